// bare_cluster.hpp: what the same proposals cost at the very least.
//
// As many processes as voters. They move the bytes that a cluster moves, over as many sockets,
// write and fdatasync them before they answer, a majority of them, with group commit; and nothing
// else: no parsing, no elections, no sessions, no checks. The figure is the limit that `kuilt bench
// propose` is held against in the same run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/samples.hpp"
#include "kuilt/result.hpp"

namespace kuilt::bench {

struct BareClusterOptions {
  std::size_t voters = 1;
  std::size_t clients = 1;
  std::size_t in_flight = 1;
  std::size_t request_bytes = 0;  ///< A proposal on the wire.
  std::size_t answer_bytes = 0;
  std::size_t entry_bytes = 0;  ///< An entry on disk and between servers.
  std::string directory;        ///< Where the files go: on the same disk as the servers' logs.
};

struct BareClusterFigures {
  std::uint64_t answered = 0;
  std::size_t silent_clients = 0;  ///< That never had an answer while it was measured.
  Duration measured{};
  Spread latency;

  [[nodiscard]] double per_second() const;
};

/// Pre: the process has one thread, and may open the files it needs.
/// Errors: io.
Result<BareClusterFigures> run_bare_cluster(const BareClusterOptions& options, Duration warm_up,
                                            Duration measured);

/// fdatasync of one block into a preallocated, zeroed file, by so many processes at once: the
/// median of one of them. Errors: io.
Result<Duration> bare_sync_time(const std::string& directory, std::size_t processes,
                                Duration measured);

}  // namespace kuilt::bench
