// learner_reader.hpp: the observers of one client over a RaftNode.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "client/learner_cursor.hpp"
#include "kuilt/client.hpp"

namespace kuilt::detail {

/// Threads: any. May be destroyed inside a callback of one of its own.
class LearnerReader {
 public:
  LearnerReader(std::shared_ptr<LearnerLog> log, std::shared_ptr<client::CallbackQueue> callbacks,
                Dispatch dispatch)
      : log_(std::move(log)), callbacks_(std::move(callbacks)), dispatch_(dispatch) {}
  ~LearnerReader();

  /// With a callback every piece is handed to it, instead of being waited for.
  Result<std::shared_ptr<LearnerCursor>> observe(
      const From& from, const RoomName& room, std::function<void(const Committed&)> callback = {},
      std::function<void(const Error&)> on_end = {});
  /// Ends every observer; as `ClusterClient::stop`.
  void stop();
  [[nodiscard]] bool stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }

 private:
  [[nodiscard]] std::vector<std::shared_ptr<LearnerCursor>> cursors();

  const std::shared_ptr<LearnerLog> log_;
  const std::shared_ptr<client::CallbackQueue> callbacks_;
  const Dispatch dispatch_;
  mutable std::mutex mutex_;  ///< Guards what follows.
  bool stopped_ = false;
  std::vector<std::weak_ptr<LearnerCursor>> pulled_;
  std::vector<std::shared_ptr<LearnerCursor>> pushed_;  ///< Nobody else holds them.
};

}  // namespace kuilt::detail
