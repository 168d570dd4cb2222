// bare_feed.hpp: what the same fan-out costs at the very least.
//
// One process that sends the same bytes to as many sockets, in frames of the same size, one write
// for each socket and frame (or several, if it lags); and nothing else. The figure is the limit
// that `kuilt bench fanout` is held against in the same run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bench/samples.hpp"
#include "kuilt/result.hpp"

namespace kuilt::bench {

struct BareFeedOptions {
  std::size_t learners = 1;
  std::size_t frame_bytes = 1;
  double frames_per_second = 0;   ///< Zero: as many as the slowest learner takes.
  std::size_t window_frames = 1;  ///< Sent before the slowest has them, if there is no rate.
};

struct BareFeedFigures {
  std::uint64_t frames = 0;  ///< Delivered, over all learners.
  Duration measured{};
  Spread first_to_last;  ///< From its arrival at the first learner to that at the last.
  Spread order_to_last;  ///< From when the frame was ordered.

  [[nodiscard]] double frames_per_learner_second(std::size_t learners) const;
};

/// Pre: the process has one thread, and may open the files it needs.
/// Errors: io.
Result<BareFeedFigures> run_bare_feed(const BareFeedOptions& options, Duration warm_up,
                                      Duration measured);

}  // namespace kuilt::bench
