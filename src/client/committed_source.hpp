// committed_source.hpp: what an Observer takes from.
#pragma once

#include <chrono>
#include <optional>

#include "kuilt/committed.hpp"
#include "kuilt/result.hpp"

namespace kuilt::detail {

/// Each as `Observer` promises it to its user.
///
/// Threads: any; the pieces are one caller's at a time.
class CommittedSource {
 public:
  virtual ~CommittedSource() = default;
  /// The next piece; waits until `deadline`, or without one for ever.
  virtual std::optional<Committed> next(
      std::optional<std::chrono::steady_clock::time_point> deadline) = 0;
  [[nodiscard]] virtual std::optional<Error> error() const = 0;
  [[nodiscard]] virtual std::optional<ResumeToken> token() const = 0;
  /// The observer is dropped, and with it all that it has not taken.
  virtual void leave() = 0;
};

}  // namespace kuilt::detail
