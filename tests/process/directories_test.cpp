// Data directories with which a server must not run.
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/local_cluster.hpp"
#include "tests/cli/process.hpp"
#include "tests/process/small_disk.hpp"

namespace kuilt::process_tests {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

std::vector<std::string> serve(const std::string& data) {
  return {"serve",       "--data",         data, "--listen", "127.0.0.1:0", "--peer-listen",
          "127.0.0.1:0", "--admin-listen", ""};
}

/// Founds a cluster of one in this directory, and ends it.
void found(const std::string& data) {
  std::vector<std::string> line = serve(data);
  line.insert(line.begin(), KUILT_BINARY);
  cli::Process server(line);
  ASSERT_TRUE(server.await_error("ready: leader a"));
  server.signal(SIGTERM);
  ASSERT_EQ(server.wait().status, 0);
}

void expect_refused(const cli::Outcome& outcome, const std::string& code, const std::string& path) {
  EXPECT_EQ(outcome.status, 2) << outcome.err;
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("error " + code), HasSubstr(path)));
}

TEST(Directories, ThatHoldTheLogOfAnotherNodeAreRefused) {
  const cli::TemporaryFolder folder;
  found(folder / "ours");
  found(folder / "theirs");
  fs::remove_all(folder / "ours/log");
  fs::copy(folder / "theirs/log", folder / "ours/log");

  expect_refused(cli::kuilt(serve(folder / "ours")), "directory_of_another", "belongs to node");
  found(folder / "theirs");  // Positive control: each alone is sound.
}

TEST(Directories, OnAWriteProtectedDiskAreRefused) {
  const cli::TemporaryFolder folder;
  const SmallDisk disk(folder / "disk", std::size_t{160} << 20);
  found(folder / "disk/founded");
  disk.protect();

  expect_refused(cli::kuilt(serve(folder / "disk/founded")), "directory_unwritable",
                 folder / "disk/founded");
  expect_refused(cli::kuilt(serve(folder / "disk/new")), "directory_unwritable",
                 folder / "disk/new");
}

TEST(Directories, ThatWereLostDoNotComeBackAsTheOldMember) {
  const cli::TemporaryFolder folder;
  auto cluster =
      cli::LocalCluster::prepare({.binary = KUILT_BINARY, .directory = folder.path(), .servers = 3})
          .or_throw();
  cluster.start_all().or_throw();
  const std::size_t lost = (cluster.await_leader(30s).or_throw() + 1) % 3;
  cluster.signal(lost, SIGKILL).or_throw();
  fs::remove_all(cluster.servers().at(lost).data);

  cluster.start(lost).or_throw();
  std::optional<int> status;
  ASSERT_TRUE(cli::await([&] { return (status = cluster.ended(lost)).has_value(); }));

  EXPECT_EQ(status, 2);
  EXPECT_THAT(cluster.last_words(lost), AllOf(HasSubstr("error directory_lost"),
                                              HasSubstr("can't come back as the old member")));
  const auto leader = cluster.await_leader(30s).or_throw();
  EXPECT_EQ(cli::kuilt({"propose", "-e", cluster.endpoints().urls().at(leader), "x"}).status, 0);
}

}  // namespace
}  // namespace kuilt::process_tests
