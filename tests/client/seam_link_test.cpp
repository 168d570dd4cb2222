// A Seam of the application's, on the thread of the links.
#include "client/seam_link.hpp"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

namespace kuilt::client {
namespace {

/// Says what the test wants, also after it was closed.
class ChattySeam final : public kuilt::Seam {
 public:
  void start(kuilt::SeamEvents told) override { events = std::move(told); }
  bool send(Bytes /*frame*/) override { return true; }
  void close() override { ++closed; }

  kuilt::SeamEvents events;
  int closed = 0;
};

struct SeamLinks : testing::Test {
  SeamLinks() {
    link->start({.on_frame = [this](const Bytes&) { ++frames; },
                 .on_drained = [] {},
                 .on_closed = [this](const Error&) { ++ends; }});
  }

  boost::asio::io_context loop;
  std::shared_ptr<ChattySeam> seam = std::make_shared<ChattySeam>();
  std::shared_ptr<SeamLink> link = std::make_shared<SeamLink>(loop.get_executor(), seam, 1000);
  int frames = 0;
  int ends = 0;
};

TEST_F(SeamLinks, PassOnWhatComesInOneTurn) {
  seam->events.on_frame(Bytes("one"));
  seam->events.on_frame(Bytes("two"));
  EXPECT_EQ(frames, 0) << "never inside the call that brings it";

  EXPECT_EQ(loop.poll(), 1U);

  EXPECT_EQ(frames, 2);
}

TEST_F(SeamLinks, ThatHoldMoreThanTheyMayAreTorn) {
  seam->events.on_frame(Bytes(std::string(1000, 'x')));
  seam->events.on_frame(Bytes("one more"));

  loop.poll();

  EXPECT_EQ(frames, 1);
  EXPECT_EQ(ends, 1);
  EXPECT_EQ(seam->closed, 1);
}

// The loop may end at any time from then on, and a Seam of another thread may go on talking.
TEST_F(SeamLinks, ThatWereTornPostNothingMoreToTheLoop) {
  link->tear("another has taken its place");
  loop.poll();
  ASSERT_EQ(ends, 1);
  loop.restart();

  seam->events.on_frame(Bytes("late"));
  seam->events.on_torn(Error(ErrorCode::io, "late as well"));

  EXPECT_EQ(loop.poll(), 0U);
  EXPECT_EQ(frames, 0);
  EXPECT_EQ(ends, 1);
}

}  // namespace
}  // namespace kuilt::client
