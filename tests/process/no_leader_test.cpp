// One server of three alone: it has no leader, and says so instead of guessing.
#include <signal.h>

#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/raw_link.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

/// Three servers, of which only a follower is left, and knows that it follows nobody.
class NoLeader : public testing::Test {
 protected:
  NoLeader()
      : cluster_(cli::LocalCluster::prepare(
                     {.binary = KUILT_BINARY, .directory = folder_.path(), .servers = 3})
                     .or_throw()) {
    cluster_.start_all().or_throw();
    alone_ = (cluster_.await_leader(30s).or_throw() + 1) % 3;
    for (std::size_t i = 0; i < 3; ++i) {
      if (i != alone_) cluster_.signal(i, SIGKILL).or_throw();
    }
    const auto leaderless = [this] {
      const auto status = cluster_.status(alone_);
      return status.has_value() && status->leader.empty();
    };
    EXPECT_TRUE(cli::await(leaderless));
    // Its clients are told only when that has lasted a while.
    const std::string address = cluster_.servers().at(alone_).client_address;
    RawLink client(address);
    client.say(UpgradeRequest{.host = address}.text());
    EXPECT_TRUE(client.hears("\r\n\r\n"));
    client.say(frame_of(R"({"hello":{"name":"waits"}})"));
    EXPECT_TRUE(client.hears(R"("leader":"")"));
  }
  [[nodiscard]] std::string url() const { return cluster_.endpoints().urls().at(alone_); }
  void expect_first_entry(const std::string& text) const {
    const auto observed = cli::kuilt({"observe", "-e", url(), "--count", "1"});
    EXPECT_THAT(observed.out, HasSubstr("\t" + text + "\n"));
  }

  cli::TemporaryFolder folder_;
  cli::LocalCluster cluster_;
  std::size_t alone_ = 0;
};

TEST_F(NoLeader, AProposalWaitsToItsDeadlineIsRefusedAndIsNowhere) {
  const auto begin = std::chrono::steady_clock::now();

  const auto refused = cli::kuilt({"propose", "-e", url(), "--deadline", "2s", "refused"});

  EXPECT_EQ(refused.status, 3) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("error no_leader"));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2s);
  cluster_.start_all().or_throw();
  cluster_.await_leader(30s).or_throw();
  EXPECT_EQ(cli::kuilt({"propose", "-e", url(), "later"}).status, 0);
  expect_first_entry("later");
}

TEST_F(NoLeader, AProposalWhoseLeaderComesInTimeIsCommitted) {
  cli::Process proposer({KUILT_BINARY, "propose", "-e", url(), "--deadline", "60s", "patient"});
  const auto is_connected = [this] {
    const auto status = cluster_.status(alone_);
    return status.has_value() && status->clients == 1;
  };
  ASSERT_TRUE(cli::await(is_connected));

  cluster_.start((alone_ + 1) % 3).or_throw();
  const auto outcome = proposer.wait();

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("committed "));
  expect_first_entry("patient");
}

}  // namespace
}  // namespace kuilt::process_tests
