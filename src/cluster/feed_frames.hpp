// feed_frames.hpp: encoded feed frames, shared by the learners that stand at the same place.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::cluster {

/// Tells frames apart. Indexes are enough: what is committed there is final.
struct FeedFrameKey {
  std::uint64_t room = 0;  ///< FeedRing::serial.
  wire::Encoding encoding = wire::Encoding::protobuf;
  Index prev;
  Index through;
  friend auto operator<=>(const FeedFrameKey&, const FeedFrameKey&) = default;
};

struct FeedFrame {
  FeedFrameKey key;
  Position through;
  std::uint64_t digest_before = 0;
  std::uint64_t digest = 0;
  std::size_t bytes = 0;  ///< Of public parts: what it costs in credit.
  std::size_t entries = 0;
  Bytes encoded;
};
using SharedFeedFrame = std::shared_ptr<const FeedFrame>;

/// A small cache: the frames used last, within a number and a number of bytes.
class FeedFrames {
 public:
  FeedFrames(std::size_t frames_max, std::size_t bytes_max)
      : frames_max_(frames_max), bytes_max_(bytes_max) {}

  /// Null if it is not there.
  SharedFeedFrame find(const FeedFrameKey& key);
  void keep(const SharedFeedFrame& frame);

 private:
  struct Kept {
    SharedFeedFrame frame;
    std::uint64_t used = 0;
  };
  void touch(Kept& kept);

  std::size_t frames_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t uses_ = 0;
  std::map<FeedFrameKey, Kept> frames_;
  std::map<std::uint64_t, FeedFrameKey> by_use_;
};

}  // namespace kuilt::cluster
