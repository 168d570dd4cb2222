// A disk that hangs under a real server: it gives way, says so, and comes back.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>

#include <gmock/gmock.h>

#include "cli/http_get.hpp"
#include "cli/local_cluster.hpp"
#include "kuilt/client.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class HungDisk : public testing::Test {
 protected:
  HungDisk() : cluster_(cli::LocalCluster::prepare(options()).or_throw()) {
    cluster_.start_all().or_throw();
    old_ = cluster_.await_leader(30s).or_throw();
  }
  cli::LocalClusterOptions options() {
    cli::LocalClusterOptions options{.binary = KUILT_BINARY, .directory = folder_ / "cluster"};
    for (std::size_t i = 0; i < 3; ++i) {
      // Sanitizers would come first otherwise; the order makes no difference to this library.
      options.hosts.push_back({.command_prefix = {"/usr/bin/env", "LD_PRELOAD=" KUILT_HANG_DISK,
                                                  "ASAN_OPTIONS=verify_asan_link_order=0",
                                                  "KUILT_TEST_HANG=" + hang_file(i)},
                               .client_host = "127.0.0.1",
                               .peer_host = "127.0.0.1"});
    }
    return options;
  }
  [[nodiscard]] std::string hang_file(std::size_t server) const {
    return folder_ / ("hang-" + std::to_string(server));
  }
  [[nodiscard]] bool is_stalled(std::size_t server) const {
    const auto status = cluster_.status(server);
    return status.has_value() && status->disk_stalled;
  }
  [[nodiscard]] std::string metrics(std::size_t server) const {
    const std::string& address = cluster_.servers().at(server).admin_address;
    return cli::http_get(address, "/metrics", 5s).or_throw();
  }

  cli::TemporaryFolder folder_;
  cli::LocalCluster cluster_;
  std::size_t old_ = 0;
};

TEST_F(HungDisk, LeaderWithOneIsReplacedAndEveryProposalIsCommittedOnce) {
  auto client = ClusterClient::connect(cluster_.endpoints()).or_throw();
  client.propose("before").get().or_throw();
  cli::write_file(hang_file(old_), "");
  const auto begun = std::chrono::steady_clock::now();
  auto pending = client.propose("during", {.deadline = 30s, .room = ""});

  const auto is_replaced = [&] {
    const auto leader = cluster_.await_leader(1s);
    return leader.has_value() && *leader != old_;
  };
  ASSERT_TRUE(cli::await(is_replaced));
  // Two seconds until it counts as hung, two election timeouts, and what a busy machine adds.
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s + 2 * 600ms + 3s);
  EXPECT_TRUE(pending.get().has_value());
  EXPECT_TRUE(client.propose("after").get().has_value());
  ASSERT_TRUE(cli::await([&] { return is_stalled(old_); }));
  EXPECT_THAT(metrics(old_),
              AllOf(HasSubstr("kuilt_disk_stalled 1"), HasSubstr("kuilt_gave_way_total 1")));
  EXPECT_THAT(cli::read_file(cluster_.servers().at(old_).log_file), HasSubstr("disk_stalled: "));
  std::string admin;
  for (const auto& server : cluster_.servers()) admin += server.admin_address + ",";
  admin.pop_back();
  const auto status = cli::kuilt({"status", "--admin", admin});
  EXPECT_EQ(status.status, 8);
  EXPECT_THAT(status.out, HasSubstr("the disk of " + cluster_.servers().at(old_).name + " hangs"));

  std::filesystem::remove(hang_file(old_));

  EXPECT_TRUE(cli::await([&] { return !is_stalled(old_); }));
  const auto is_level = [&] {
    const auto mine = cluster_.status(old_);
    const auto other = cluster_.status((old_ + 1) % 3);
    return mine.has_value() && other.has_value() && mine->commit == other->commit;
  };
  EXPECT_TRUE(cli::await(is_level));
  const auto seen =
      cli::kuilt({"observe", "-e", cluster_.endpoints().urls().at(old_), "--count", "3"});
  for (const char* command : {"before", "during", "after"}) {
    EXPECT_THAT(seen.out, HasSubstr(std::string("\t") + command + "\n"));
  }
}

TEST_F(HungDisk, FollowerWithOneHoldsUpNobody) {
  const std::size_t hung = (old_ + 1) % 3;
  auto client = ClusterClient::connect(cluster_.endpoints()).or_throw();
  cli::write_file(hang_file(hung), "");
  for (int i = 0; i < 100; ++i) {
    client.propose(std::to_string(i), {.deadline = 20s, .room = ""}).get().or_throw();
  }
  ASSERT_TRUE(cli::await([&] { return is_stalled(hung); }));
  EXPECT_EQ(cluster_.await_leader(1s).or_throw(), old_);
  std::filesystem::remove(hang_file(hung));
  EXPECT_TRUE(cli::await([&] { return !is_stalled(hung); }));
}

}  // namespace
}  // namespace kuilt::process_tests
