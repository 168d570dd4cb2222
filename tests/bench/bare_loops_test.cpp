// The limits beside the figures: bare loops that do all of the work, and nothing but the work.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "bench/bare_cluster.hpp"
#include "bench/bare_feed.hpp"
#include "bench/proposers.hpp"

namespace kuilt::bench {
namespace {

class BareLoops : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "kuilt-bare-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  BareClusterOptions options(std::size_t voters, std::size_t clients) const {
    const ProposalSizes sizes = sizes_of(256);
    return {.voters = voters,
            .clients = clients,
            .in_flight = 2,
            .request_bytes = sizes.request,
            .answer_bytes = sizes.answer,
            .entry_bytes = sizes.entry,
            .directory = directory_};
  }
  std::string directory_;
};

TEST_F(BareLoops, ClusterOfOneAnswersEveryClient) {
  const auto figures = run_bare_cluster(options(1, 5), std::chrono::milliseconds(300),
                                        std::chrono::milliseconds(300));

  ASSERT_TRUE(figures) << figures.error().message();
  EXPECT_GT(figures->answered, 10U);
  EXPECT_GT(figures->latency.p50, Duration{});
}

TEST_F(BareLoops, FollowersAnswerTheirClientsOnceTheLeaderHasAMajority) {
  const auto figures = run_bare_cluster(options(3, 6), std::chrono::milliseconds(500),
                                        std::chrono::milliseconds(500));

  // A third of the clients is on each server: if one of them fell silent, its two clients would
  // stay with what they have in flight, and the others go on.
  ASSERT_TRUE(figures) << figures.error().message();
  EXPECT_GT(figures->answered, 10U);
  EXPECT_EQ(figures->silent_clients, 0U);
}

TEST_F(BareLoops, SyncIsNeverFreeOfCharge) {
  const auto time = bare_sync_time(directory_, 2, std::chrono::milliseconds(100));

  ASSERT_TRUE(time) << time.error().message();
  EXPECT_GT(*time, std::chrono::microseconds(1));
}

TEST(BareFeed, EveryLearnerGetsEveryFrameAtTheRate) {
  const BareFeedOptions options{
      .learners = 20, .frame_bytes = 700, .frames_per_second = 100, .window_frames = 1};

  const auto figures =
      run_bare_feed(options, std::chrono::milliseconds(100), std::chrono::milliseconds(500));

  ASSERT_TRUE(figures) << figures.error().message();
  EXPECT_NEAR(static_cast<double>(figures->frames), 50.0 * 20, 30.0 * 20);
  EXPECT_GE(figures->order_to_last.p50, figures->first_to_last.p50);
}

TEST(BareFeed, WithoutARateTheSlowestLearnerSetsThePace) {
  const BareFeedOptions options{
      .learners = 20, .frame_bytes = 700, .frames_per_second = 0, .window_frames = 4};

  const auto figures =
      run_bare_feed(options, std::chrono::milliseconds(100), std::chrono::milliseconds(300));

  ASSERT_TRUE(figures) << figures.error().message();
  EXPECT_GT(figures->frames, 20U * 20);
}

}  // namespace
}  // namespace kuilt::bench
