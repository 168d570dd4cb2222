#include "cluster/feed_frames.hpp"

#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

SharedFeedFrame FeedFrames::find(const FeedFrameKey& key) {
  const auto found = frames_.find(key);
  if (found == frames_.end()) return nullptr;
  touch(found->second);
  return found->second.frame;
}

void FeedFrames::keep(const SharedFeedFrame& frame) {
  const auto [place, is_new] = frames_.try_emplace(frame->key, Kept{frame, 0});
  KUILT_CHECK(is_new);
  touch(place->second);
  bytes_ += frame->encoded.size();
  while (!frames_.empty() && (frames_.size() > frames_max_ || bytes_ > bytes_max_)) {
    const auto oldest = frames_.find(by_use_.begin()->second);
    bytes_ -= oldest->second.frame->encoded.size();
    by_use_.erase(by_use_.begin());
    frames_.erase(oldest);
  }
}

void FeedFrames::touch(Kept& kept) {
  by_use_.erase(kept.used);
  kept.used = ++uses_;
  by_use_.emplace(kept.used, kept.frame->key);
}

}  // namespace kuilt::cluster
