// brought_links.hpp: links that the caller brings, in the place of links that are dialed.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "client/dialer.hpp"
#include "client/seam_link.hpp"

namespace kuilt::client {

/// Holds the Seam that is to be used next. Each is used for one link: a dial takes it.
///
/// Threads: `offer` and `close` from any; `dial` from the thread of the links.
class BroughtLinks {
 public:
  /// `on_offer` is told, on any thread, that a dial would find another Seam than the one before.
  explicit BroughtLinks(std::function<void()> on_offer) : on_offer_(std::move(on_offer)) {}

  /// Ends the link in use; the next dial gets `seam`, or fails if that is null.
  void offer(std::shared_ptr<kuilt::Seam> seam);
  void dial(const transport::net::any_io_executor& executor, const transport::SeamLimits& limits,
            DialDone done);
  /// The thread of the links is over. Pre: no offer is under way, and none will come.
  void close();

 private:
  const std::function<void()> on_offer_;
  std::mutex mutex_;  ///< Guards what follows.
  std::shared_ptr<kuilt::Seam> offered_;
  std::weak_ptr<SeamLink> in_use_;
};

}  // namespace kuilt::client
