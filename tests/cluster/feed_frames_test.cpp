#include "cluster/feed_frames.hpp"

#include <gtest/gtest.h>

namespace kuilt::cluster {
namespace {

SharedFeedFrame frame(std::uint64_t prev, std::size_t size = 10) {
  auto made = std::make_shared<FeedFrame>();
  made->key.prev = Index(prev);
  made->key.through = Index(prev + 1);
  made->encoded = Bytes(std::string(size, 'x'));
  return made;
}

TEST(FeedFrames, KeptFrameIsFoundByItsWholeKey) {
  FeedFrames frames(10, 1000);
  const SharedFeedFrame kept = frame(1);
  frames.keep(kept);
  FeedFrameKey other_room = kept->key;
  other_room.room = 7;
  FeedFrameKey other_encoding = kept->key;
  other_encoding.encoding = wire::Encoding::json;
  FeedFrameKey longer = kept->key;
  longer.through = Index(3);

  EXPECT_EQ(frames.find(kept->key), kept);
  EXPECT_EQ(frames.find(other_room), nullptr);
  EXPECT_EQ(frames.find(other_encoding), nullptr);
  EXPECT_EQ(frames.find(longer), nullptr);
}

TEST(FeedFrames, LeastRecentlyUsedGoesFirst) {
  FeedFrames frames(2, 1000);
  frames.keep(frame(1));
  frames.keep(frame(2));
  EXPECT_NE(frames.find(frame(1)->key), nullptr);

  frames.keep(frame(3));

  EXPECT_NE(frames.find(frame(1)->key), nullptr);
  EXPECT_EQ(frames.find(frame(2)->key), nullptr);
  EXPECT_NE(frames.find(frame(3)->key), nullptr);
}

TEST(FeedFrames, BytesAreBoundedToo) {
  FeedFrames frames(10, 1000);
  frames.keep(frame(1, 600));
  frames.keep(frame(2, 600));
  EXPECT_EQ(frames.find(frame(1)->key), nullptr);
  EXPECT_NE(frames.find(frame(2)->key), nullptr);

  frames.keep(frame(3, 2000));
  EXPECT_EQ(frames.find(frame(3)->key), nullptr);
  frames.keep(frame(4, 1000));
  EXPECT_NE(frames.find(frame(4)->key), nullptr);
}

}  // namespace
}  // namespace kuilt::cluster
