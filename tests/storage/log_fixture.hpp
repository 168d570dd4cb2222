// log_fixture.hpp: writes by the dozen, and a log that runs over any disk.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/memory_disk.hpp"
#include "storage/wal.hpp"

namespace kuilt::storage {

inline const Identity test_identity{ClusterId::named("cluster"), HistoryId::named("history"),
                                    NodeId::named("a")};

inline WalOptions small_segments() {
  WalOptions options;
  options.segment_bytes = 12 * 4096;
  options.batch_bytes_max = 8 * 1024;
  return options;
}

inline raft::Entry entry(std::uint64_t index, std::uint64_t term, std::string text) {
  return {{Index(index), Term(term)}, raft::EntryKind::command, Bytes(std::move(text)), nullptr};
}

/// Entries `first` to `last` in `term`, as one write that knows `commit` to be committed.
inline raft::Write write_of(std::uint64_t first, std::uint64_t last, std::uint64_t term,
                            std::uint64_t commit = 0, std::size_t bytes = 20) {
  raft::Write write;
  write.seq = raft::WriteSeq(last);
  write.hard = {Term(term), NodeId::named("b")};
  write.commit = Index(commit);
  for (std::uint64_t index = first; index <= last; ++index) {
    std::string text = "entry " + std::to_string(index) + " of term " + std::to_string(term);
    text.resize(std::max(text.size(), bytes), '.');
    write.entries.push_back(entry(index, term, std::move(text)));
  }
  return write;
}

inline raft::Write truncating(std::uint64_t last_kept, raft::Write write) {
  write.truncate_after = Index(last_kept);
  return write;
}

/// Plans, carries out and finishes all of `writes`.
inline Status write_all(Wal& wal, Disk& disk, std::span<const raft::Write> writes) {
  while (!writes.empty()) {
    const Wal::Planned planned = wal.plan(writes);
    if (auto status = perform_all(disk, planned.batch.ops); !status) return status;
    wal.done();
    writes = writes.subspan(planned.taken);
  }
  return Done{};
}
inline Status write_all(Wal& wal, Disk& disk, const raft::Write& write) {
  return write_all(wal, disk, std::span(&write, 1));
}
inline Status write_mark(Wal& wal, Disk& disk) {
  const Batch mark = wal.plan_idle_mark();
  if (mark.ops.empty()) return Done{};
  if (auto status = perform_all(disk, mark.ops); !status) return status;
  wal.done();
  return Done{};
}

struct Delivered {
  raft::Entry entry;
  bool committed = false;
};

/// A recovered log and what its sink was given.
struct Reopened {
  std::unique_ptr<Wal> wal;
  Recovered recovered;
  std::vector<Delivered> delivered;

  [[nodiscard]] std::vector<raft::Entry> entries() const {
    std::vector<raft::Entry> out;
    for (const Delivered& one : delivered) out.push_back(one.entry);
    return out;
  }
};

inline Result<Reopened> reopen(Disk& disk, const WalOptions& options, std::uint64_t seed = 7,
                               const Identity& identity = test_identity) {
  Reopened out;
  const auto sink = [&](const raft::Entry& one, bool committed) -> Status {
    out.delivered.push_back({one, committed});
    return Done{};
  };
  auto opened = Wal::open(disk, options, identity, Rng(seed), sink);
  if (!opened) return std::move(opened).error();
  out.wal = std::move(opened->wal);
  out.recovered = std::move(opened->recovered);
  return out;
}

inline std::unique_ptr<Wal> new_log(Disk& disk, const WalOptions& options, Position base = {},
                                    std::uint64_t seed = 1) {
  auto wal = Wal::create(disk, options, test_identity, base, Rng(seed));
  EXPECT_TRUE(wal) << wal.error().message();
  return std::move(*wal);
}

inline std::vector<raft::Entry> read_whole(Disk& disk, const Wal& wal, Index first, Index last) {
  std::vector<raft::Entry> out;
  while (first <= last) {
    auto some = wal.reader()->read(disk, first, last, 4096);
    EXPECT_TRUE(some) << some.error().message();
    if (!some) return out;
    first = Index(first.value() + some->size());
    out.insert(out.end(), some->begin(), some->end());
  }
  return out;
}

}  // namespace kuilt::storage
