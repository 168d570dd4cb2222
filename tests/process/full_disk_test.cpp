// A disk without room stops a server, by name; what was acknowledged is there when there is room
// again, and what was not yet answered gets its answer.
#include <chrono>
#include <deque>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/local_cluster.hpp"
#include "kuilt/client.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/log_history.hpp"
#include "tests/process/small_disk.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t command_bytes = mib / 2;

/// Proposes commands that differ in their first characters, and keeps a few in flight.
class Proposer {
 public:
  explicit Proposer(const ClusterEndpoints& endpoints)
      : client_(ClusterClient::connect(endpoints).or_throw()) {}

  /// One more, once there is room in flight. Returns without one if that takes long.
  void propose_one() {
    if (pending_.size() == 8) {
      auto outcome = pending_.front().get_for(20ms);
      if (!outcome) return;
      take(*std::move(outcome));
    }
    std::string command = std::to_string(proposed_.size()) + " ";
    proposed_.push_back(command);
    command.resize(command_bytes, 'x');
    pending_.push_back(client_.propose(command, {.deadline = 120s, .room = ""}));
  }
  void finish() {
    while (!pending_.empty()) take(pending_.front().get());
  }
  [[nodiscard]] const std::vector<std::string>& proposed() const { return proposed_; }
  [[nodiscard]] std::size_t acknowledged() const { return acknowledged_; }

 private:
  void take(Result<Receipt> outcome) {
    EXPECT_TRUE(outcome.has_value()) << outcome.error().message();
    acknowledged_ += 1;
    pending_.pop_front();
  }

  ClusterClient client_;
  std::deque<Pending<Receipt>> pending_;
  std::vector<std::string> proposed_;
  std::size_t acknowledged_ = 0;
};

class FullDisk : public testing::Test {
 protected:
  FullDisk()
      : disk_(folder_ / "a", 160 * mib),
        cluster_(cli::LocalCluster::prepare(
                     {.binary = KUILT_BINARY, .directory = folder_.path(), .servers = 1})
                     .or_throw()) {
    cluster_.start_all().or_throw();
    cluster_.await_leader(30s).or_throw();
  }
  /// The status that the server ends with, by itself.
  int await_end() {
    std::optional<int> status;
    EXPECT_TRUE(cli::await([&] { return (status = cluster_.ended(0)).has_value(); }));
    return status.value_or(-1);
  }
  [[nodiscard]] std::string log() const {
    std::ifstream file(cluster_.servers().front().log_file);
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
  }
  [[nodiscard]] auto names_the_file_and_its_size() const {
    return AllOf(HasSubstr("disk_full"),
                 HasSubstr("67108864 bytes of " + (folder_ / "a") + "/log/"),
                 HasSubstr("No space left on device"));
  }

  cli::TemporaryFolder folder_;
  SmallDisk disk_;
  cli::LocalCluster cluster_;
};

TEST_F(FullDisk, StopsTheServerByNameAndNothingIsLostOrRepeatedOnceThereIsRoom) {
  Proposer proposer(cluster_.endpoints());
  while (proposer.acknowledged() < 8) proposer.propose_one();
  disk_.fill();

  // While proposals are in flight: the server ends when its log needs another segment.
  std::optional<int> status;
  while (!(status = cluster_.ended(0)) && proposer.proposed().size() < 400) proposer.propose_one();
  EXPECT_EQ(status, 7);
  EXPECT_THAT(log(), AllOf(HasSubstr("the disk is filling up: "), HasSubstr("stopping: "),
                           names_the_file_and_its_size()));
  const std::size_t in_time = proposer.acknowledged();

  cluster_.start(0).or_throw();
  EXPECT_EQ(await_end(), 7) << "it is as full as before";
  EXPECT_THAT(cluster_.last_words(0), AllOf(HasSubstr("error "), names_the_file_and_its_size()));

  disk_.resize(320 * mib);
  cluster_.start(0).or_throw();
  proposer.finish();

  EXPECT_GT(in_time, 8U);
  EXPECT_GT(proposer.acknowledged(), in_time) << "what was in flight got its answer";
  EXPECT_EQ(cluster_.signal(0, SIGTERM).or_throw(), 0);
  const LogHistory history = read_log(cluster_.servers().front().data).or_throw();
  EXPECT_TRUE(history.repeats.empty());
  std::multiset<std::string> found;
  for (const std::string& command : history.commands) {
    found.insert(command.substr(0, command.find('x')));
  }
  const auto& all = proposer.proposed();
  EXPECT_EQ(found, std::multiset<std::string>(all.begin(), all.end()));
}

}  // namespace
}  // namespace kuilt::process_tests
