// What a crash leaves: nothing that was acknowledged is lost, nothing is invented, wherever it
// hits.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/storage/crash_disk.hpp"
#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

/// Keeps the names of the files that are written.
class RecordingDisk final : public Disk {
 public:
  explicit RecordingDisk(MemoryDisk& disk) : disk_(disk) {}
  Status perform(const DiskOp& op) override {
    if (const auto* write = std::get_if<WriteAt>(&op)) written_.insert(write->file);
    return disk_.perform(op);
  }
  Result<std::vector<FileInfo>> list() override { return disk_.list(); }
  Result<Bytes> read(const FileName& file, std::uint64_t offset, std::size_t bytes) override {
    return disk_.read(file, offset, bytes);
  }
  [[nodiscard]] const std::set<FileName>& written() const { return written_; }

 private:
  MemoryDisk& disk_;
  std::set<FileName> written_;
};

/// What a log should hold.
struct Model {
  raft::HardState hard;
  Index commit;
  std::vector<raft::Entry> entries;
  friend bool operator==(const Model&, const Model&) = default;

  void apply(const raft::Write& write) {
    if (write.truncate_after) entries.resize(write.truncate_after->value());
    entries.insert(entries.end(), write.entries.begin(), write.entries.end());
    hard = write.hard;
    commit = std::max(commit, write.commit);
  }
  [[nodiscard]] std::uint64_t last() const { return entries.size(); }
};

/// A log on a CrashDisk, what it has acknowledged, and what it may hold besides.
struct World {
  CrashDisk disk;
  WalOptions options = small_segments();
  std::unique_ptr<Wal> wal;
  Model acknowledged;
  std::optional<Model> in_flight;
  std::uint64_t seed = 1;

  World() = default;
  /// Another world with the same disk and the same promises, and no process.
  World(const World& other)
      : disk(other.disk),
        options(other.options),
        acknowledged(other.acknowledged),
        in_flight(other.in_flight),
        seed(other.seed) {}

  /// False if the disk died.
  bool create() {
    auto created = Wal::create(disk, options, test_identity, {}, Rng(seed++));
    if (created) wal = std::move(*created);
    return created.has_value();
  }
  bool write(std::span<const raft::Write> writes) {
    while (!writes.empty()) {
      const Wal::Planned planned = wal->plan(writes);
      in_flight = acknowledged;
      for (const raft::Write& write : writes.first(planned.taken)) in_flight->apply(write);
      if (!perform_all(disk, planned.batch.ops)) return false;
      wal->done();
      acknowledged = *std::exchange(in_flight, {});
      writes = writes.subspan(planned.taken);
    }
    return true;
  }
  bool mark() { return write_mark(*wal, disk).has_value(); }

  /// False if the disk died meanwhile; fails the test if what comes back is not what must.
  bool recover() {
    auto log = reopen(disk, options, seed++);
    if (!log) {
      EXPECT_TRUE(disk.died()) << log.error().message();
      return false;
    }
    const Model found{log->recovered.hard, log->recovered.commit, log->entries()};
    const bool as_acknowledged = found == acknowledged;
    const bool as_in_flight = in_flight && found == *in_flight;
    EXPECT_TRUE(as_acknowledged || as_in_flight)
        << "found " << found.last() << " entries, term " << found.hard.term.value() << "; promised "
        << acknowledged.last() << ", term " << acknowledged.hard.term.value();
    acknowledged = found;
    in_flight.reset();
    wal = std::move(log->wal);
    if (found.last() > 0) {
      EXPECT_EQ(read_whole(disk, *wal, Index(1), Index(found.last())), found.entries);
    }
    return as_acknowledged || as_in_flight;
  }
};

/// Batches of one and several blocks, a vote, truncations, marks, and two rolls.
bool run_script(World& world) {
  if (!world.create()) return false;
  const auto write = [&](const raft::Write& one) { return world.write(std::span(&one, 1)); };
  raft::Write vote;
  vote.hard = {Term(3), NodeId::named("c")};
  vote.commit = Index(3);
  return write(write_of(1, 2, 1, 0)) && write(write_of(3, 5, 2, 2, 3000)) && world.mark() &&
         write(vote) && write(truncating(4, write_of(5, 6, 3, 3, 5000))) &&
         write(write_of(7, 7, 3, 6, 9000)) && write(write_of(8, 9, 3, 7)) &&
         write(truncating(8, write_of(9, 10, 4, 8, 6000))) && world.mark() &&
         write(write_of(11, 13, 4, 10, 8000)) && write(truncating(12, write_of(13, 13, 5, 10)));
}

void go_on(World& world) {
  const std::uint64_t last = world.acknowledged.last();
  const std::uint64_t term = world.acknowledged.hard.term.value() + 1;
  const std::vector writes{write_of(last + 1, last + 2, term, last, 3000)};
  ASSERT_TRUE(world.write(writes));
}

std::size_t operations_of_script() {
  World world;
  EXPECT_TRUE(run_script(world));
  return world.disk.performed();
}

/// Runs `then` in every world that a power cut at any operation of the script can leave.
void in_every_crash_of_the_script(const std::function<void(World&)>& then) {
  const std::size_t operations = operations_of_script();
  for (std::size_t count = 0; count < operations; ++count) {
    World before;
    before.disk.die_after(count);
    ASSERT_FALSE(run_script(before));
    if (!before.wal) continue;  // Before create returned there is no log.
    AllChoices all;
    do {
      World world = before;
      world.disk.cut_power(all.choose());
      then(world);
      if (::testing::Test::HasFailure()) FAIL() << "after operation " << count;
    } while (all.next());
  }
}

TEST(Crash, AnySubsetOfTheUnsyncedBlocksIsRecoveredAtEveryOperation) {
  std::size_t worlds = 0;

  in_every_crash_of_the_script([&](World& world) {
    ++worlds;
    world.disk.revive();
    ASSERT_TRUE(world.recover());
    go_on(world);
    ASSERT_TRUE(world.recover());
  });

  EXPECT_GT(worlds, 300u);
}

TEST(Crash, APowerCutDuringRecoveryLosesNothing) {
  Rng rng(5);
  std::size_t worlds = 0;

  in_every_crash_of_the_script([&](World& world) {
    if (!rng.chance(40)) return;
    for (std::size_t count = 0;; ++count) {
      World again = world;
      again.disk.die_after(count);
      const bool whole = again.recover();
      again.disk.revive();
      if (whole) break;
      again.disk.cut_power(random_choices(rng));
      ++worlds;
      ASSERT_TRUE(again.recover()) << "after operation " << count << " of the recovery";
      go_on(again);
      again.disk.cut_power(random_choices(rng));
      ASSERT_TRUE(again.recover());
    }
  });

  EXPECT_GT(worlds, 500u);
}

// The tail that a killed process wrote is in the page cache; the next process reads it there and
// answers for it. Only what it wrote again survives the power cut.
TEST(Crash, WhatARestartCountsSurvivesAPowerCutAfterASigkill) {
  const std::size_t operations = operations_of_script();
  Rng rng(6);
  for (std::size_t count = 0; count < operations; ++count) {
    World killed;
    killed.disk.die_after(count);
    ASSERT_FALSE(run_script(killed));
    if (!killed.wal) continue;
    killed.disk.revive();
    ASSERT_TRUE(killed.recover());
    for (int round = 0; round < 20; ++round) {
      World world = killed;

      world.disk.cut_power(random_choices(rng));

      ASSERT_TRUE(world.recover()) << "after operation " << count;
    }
  }
}

TEST(Crash, ACreateThatWasCutShortIsRepeated) {
  for (std::size_t count = 0; count < 6; ++count) {
    World before;
    before.disk.die_after(count);
    ASSERT_FALSE(before.create());
    AllChoices all;
    do {
      World world = before;
      world.disk.cut_power(all.choose());
      world.disk.revive();
      ASSERT_TRUE(world.create()) << count;
      go_on(world);
      ASSERT_TRUE(world.recover());
    } while (all.next());
  }
}

// Otherwise a power cut brings the removed segment back, behind one that has gone on without it.
TEST(Crash, ANameThatWasRemovedAndNotSyncedIsSyncedByTheNextStart) {
  World world;
  ASSERT_TRUE(world.create());
  const std::vector writes{write_of(1, 1, 1), write_of(2, 2, 1, 1, 40'000)};
  ASSERT_TRUE(world.write(std::span(writes).first(1)) && world.mark());
  world.disk.die_after(3);  // Of the roll: the header of segment 2 is written, no seal is.
  ASSERT_FALSE(world.write(std::span(writes).last(1)));
  world.disk.revive();
  world.disk.die_after(1);  // Of the recovery: segment 2 is removed, and that is not synced.
  ASSERT_FALSE(world.recover());
  world.disk.revive();
  ASSERT_EQ(world.disk.list()->size(), 1u);
  ASSERT_TRUE(world.recover());
  go_on(world);

  // Each name is as it was last synced, each block as it was written.
  world.disk.cut_power([](std::uint64_t bound) { return bound == 2 ? 0 : 1; });

  EXPECT_TRUE(world.recover());
}

raft::Write random_write(Rng& rng, const Model& model) {
  const std::uint64_t commit = model.commit.value();
  const std::uint64_t last = model.last();
  const bool truncates = last > commit && rng.chance(25);
  const std::uint64_t kept = truncates ? commit + rng.below(last - commit) : last;
  const std::uint64_t term =
      model.hard.term.value() + (truncates || model.last() == 0 || rng.chance(10) ? 1 : 0);
  const std::uint64_t count = rng.below(4);
  const std::size_t bytes = rng.chance(30) ? rng.below(9000) : rng.below(300);
  raft::Write write = write_of(kept + 1, kept + count, term, 0, bytes);
  write.commit = Index(commit + rng.below(kept - commit + 1));
  if (truncates) write.truncate_after = Index(kept);
  return write;
}

/// One life of a process: recovers, writes, and dies somewhere. False: the test has failed.
bool live(World& world, Rng& rng) {
  world.disk.call_pages_of_a_failed_sync_clean(rng.chance(50) ? random_choices(rng) : Choose());
  world.disk.die_after(rng.chance(20) ? rng.below(12) : 12 + rng.below(60));
  if (world.recover()) {
    for (int i = 0; i < 40; ++i) {
      Model model = world.acknowledged;
      std::vector<raft::Write> writes;
      for (std::uint64_t n = 1 + rng.below(3); n > 0; --n) {
        writes.push_back(random_write(rng, model));
        model.apply(writes.back());
      }
      if (!world.write(writes) || (rng.chance(20) && !world.mark())) break;
    }
  }
  if (rng.chance(60)) world.disk.cut_power(random_choices(rng));
  world.disk.revive();
  return !::testing::Test::HasFailure();
}

TEST(Crash, RandomLivesAndDeathsLoseNothingAndInventNothing) {
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Rng rng(seed);
    World world;
    world.seed = seed * 1000;
    ASSERT_TRUE(world.create());

    for (int i = 0; i < 12; ++i) ASSERT_TRUE(live(world, rng)) << "life " << i;

    ASSERT_TRUE(world.recover());
  }
}

// The recovered batch is in the page cache and in its copy, nowhere else: what makes the copy part
// of the log must outlive every restart, however those end.
TEST(Crash, ABatchWhoseFirstSyncFailedOutlivesAnyTwoPowerCutsDuringIdleRestarts) {
  const auto always = [](std::uint64_t choice) {
    return [choice](std::uint64_t bound) { return std::min(choice, bound - 1); };
  };
  World acknowledged;
  ASSERT_TRUE(acknowledged.create());
  const std::vector writes{write_of(1, 1, 1), write_of(2, 2, 1)};
  ASSERT_TRUE(acknowledged.write(std::span(writes).first(1)));
  acknowledged.disk.call_pages_of_a_failed_sync_clean(always(0));
  acknowledged.disk.die_after(1);
  ASSERT_FALSE(acknowledged.write(std::span(writes).last(1)));
  acknowledged.disk.revive();
  acknowledged.disk.call_pages_of_a_failed_sync_clean({});
  ASSERT_TRUE(acknowledged.recover());
  ASSERT_EQ(acknowledged.acknowledged.last(), 2u);

  for (std::uint64_t code = 0; code < 9 * 12 * 12; ++code) {
    World world = acknowledged;
    const std::uint64_t left = code / 144;
    for (const auto& [count, choice] : {std::pair(code % 12, left % 3),  //
                                        std::pair(code / 12 % 12, left / 3)}) {
      world.disk.die_after(count);
      (void)world.recover();
      world.disk.cut_power(always(choice));
      world.disk.revive();
    }
    ASSERT_TRUE(world.recover()) << code;
  }
}

// A seal that a power cut garbles on its way is as good as none; with a batch behind the copies
// that only the seal makes part of the log, that batch would be lost.
TEST(Crash, ASealIsNotWrittenAgainOnceAnythingWasBegunBehindTheCopies) {
  const WalOptions options = small_segments();
  MemoryDisk memory;
  ASSERT_TRUE(write_all(*new_log(memory, options), memory, write_of(1, 2, 1, 1)));
  ASSERT_TRUE(reopen(memory, options));  // Segment 2: header, copy, mark; segment 1 is sealed.
  memory.contents(segment_name(2))->replace(2 * block_bytes, block_bytes, block_bytes, 'x');
  RecordingDisk disk(memory);

  const auto log = reopen(disk, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->entries(), write_of(1, 2, 1).entries);
  EXPECT_FALSE(disk.written().contains(segment_name(1)));
  EXPECT_TRUE(disk.written().contains(segment_name(3)));
}

// The positive control: with nothing begun behind it, the seal may be in the page cache only.
TEST(Crash, ASealThatNothingIsBehindIsWrittenAgain) {
  const WalOptions options = small_segments();
  MemoryDisk memory;
  ASSERT_TRUE(write_all(*new_log(memory, options), memory, write_of(1, 2, 1, 1)));
  ASSERT_TRUE(reopen(memory, options));
  memory.contents(segment_name(2))->replace(2 * block_bytes, block_bytes, block_bytes, '\0');
  RecordingDisk disk(memory);

  ASSERT_TRUE(reopen(disk, options));

  EXPECT_TRUE(disk.written().contains(segment_name(1)));
}

// A client that proposes the very bytes of the log can't make a torn batch look like damage: each
// checksum holds for one offset of one segment, and each offset is written once.
TEST(Crash, ACommandThatIsTheImageOfABatchIsNotTakenForOne) {
  World world;
  world.options.segment_bytes = 40 * block_bytes;
  world.options.batch_bytes_max = 64 * 1024;
  ASSERT_TRUE(world.create());
  const raft::Write first = write_of(1, 1, 1);
  ASSERT_TRUE(world.write(std::span(&first, 1)));
  const std::string image =
      world.disk.contents(segment_name(1)).substr(2 * block_bytes, block_bytes);
  raft::Write forged = write_of(2, 2, 1);
  std::string text(block_bytes - batch_header_bytes - record_header_bytes, 'x');
  for (int i = 0; i < 3; ++i) text += image;
  forged.entries[0].stored = Bytes(std::move(text));
  world.disk.die_after(1);
  ASSERT_FALSE(world.write(std::span(&forged, 1)));
  world.disk.revive();
  world.disk.contents(segment_name(1)).replace(3 * block_bytes, block_bytes, block_bytes, '\0');

  EXPECT_TRUE(world.recover());

  EXPECT_EQ(world.acknowledged.last(), 1u);
}

}  // namespace
}  // namespace kuilt::storage
