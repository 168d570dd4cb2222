// Snapshots on real servers: a restart applies what follows, whatever goes wrong costs a snapshot.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <mutex>
#include <stdexcept>

#include <sys/wait.h>
#include <unistd.h>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"
#include "tests/await.hpp"

namespace kuilt {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

constexpr auto patience = 20s;  // Far more than anything here takes.

/// Adds up what is proposed; keeps the indexes that this object has applied itself.
class Sum : public StateMachine {
 public:
  Bytes apply(const LogEntry& entry) override {
    const std::lock_guard lock(mutex_);
    applied_.push_back(entry.index);
    sum_ += std::stol(std::string(entry.command.text()));
    return Bytes(std::to_string(sum_));
  }
  SnapshotWriter freeze() override {
    ++freezes;
    const std::lock_guard lock(mutex_);
    return [this, frozen = std::to_string(sum_)](SnapshotSink& sink) {
      return write ? write(sink, frozen) : sink.write(frozen);
    };
  }
  Status restore(SnapshotSource& source) override {
    const auto frozen = source.read(100);
    if (!frozen) return Error(frozen.error());
    const std::lock_guard lock(mutex_);
    sum_ = std::stol(std::string(frozen->text()));
    return Done{};
  }
  [[nodiscard]] long sum() const {
    const std::lock_guard lock(mutex_);
    return sum_;
  }
  [[nodiscard]] std::vector<Index> applied() const {
    const std::lock_guard lock(mutex_);
    return applied_;
  }

  std::function<Status(SnapshotSink&, const std::string& frozen)> write;
  std::atomic<int> freezes = 0;

 private:
  mutable std::mutex mutex_;
  std::vector<Index> applied_;
  long sum_ = 0;
};

class SnapshotsOfAServer : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() /
            ("kuilt-snap-" + std::to_string(::getpid()) + "-" +
             std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()));
  }
  void TearDown() override { fs::remove_all(root_); }
  [[nodiscard]] ServerOptions options(std::uint64_t after_entries = 10) {
    ServerOptions options;
    options.data = root_.string();
    options.listen = options.peer_listen = "127.0.0.1:0";
    options.admin_listen = "";
    options.snapshot_after_entries = after_entries;
    options.on_news = [this](const std::string& line) {
      const std::lock_guard lock(news_mutex_);
      news_.push_back(line);
    };
    return options;
  }
  [[nodiscard]] std::vector<std::string> news() {
    const std::lock_guard lock(news_mutex_);
    return news_;
  }
  [[nodiscard]] std::vector<fs::path> files() const {
    std::vector<fs::path> found;
    for (const auto& file : fs::directory_iterator(root_ / "snapshots")) found.push_back(file);
    std::ranges::sort(found);
    return found;
  }
  static void damage(const fs::path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x7f');
  }

  fs::path root_;
  std::mutex news_mutex_;
  std::vector<std::string> news_;
};

/// A server that runs, and a client of it.
struct Running {
  explicit Running(ServerOptions options, StateMachine& machine)
      : server(ServerCluster::open(std::move(options), machine).or_throw()) {
    server.start().or_throw();
    client.emplace(ClusterClient::connect(server.endpoints()).or_throw());
  }
  /// Proposes 1 so many times. The last answer.
  std::string add(int times) {
    std::string last;
    for (int i = 0; i < times; ++i) {
      const auto receipt = client->propose("1").get_for(patience);
      if (!receipt || !*receipt) return "no outcome";
      last = (*receipt)->result ? std::string((*receipt)->result->text()) : "no result";
    }
    return last;
  }
  /// Proposes on until there is a snapshot of so much, for a busy machine passes cuts over. How
  /// many it took.
  int add_until_snapshot(std::uint64_t at_least) {
    int added = 0;
    const auto has_it = [&] { return has_snapshot(at_least); };
    const auto add_one = [&] {
      if (comes_true(has_it, 100ms)) return true;
      ++added;
      return add(1) == "no outcome";
    };
    EXPECT_TRUE(comes_true(add_one) && has_it());
    return added;
  }
  [[nodiscard]] ServerStatus status() const { return server.status().front(); }
  [[nodiscard]] bool has_snapshot(std::uint64_t at_least = 1) const {
    const auto snapshot = status().snapshot;
    return snapshot && snapshot->at.index >= Index(at_least);
  }
  ServerCluster server;
  std::optional<ClusterClient> client;
};

TEST_F(SnapshotsOfAServer, ARestartAppliesOnlyWhatFollowsTheNewestSnapshot) {
  Index cut;
  long total = 35;
  {
    Sum sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(35), "35");
    total += running.add_until_snapshot(30);
    cut = running.status().snapshot->at.index;
    EXPECT_GT(running.status().snapshot->bytes, 0U);
    EXPECT_LT(running.status().snapshot->age, patience);
    EXPECT_LE(files().size(), 3U) << "the newest two, and one that may be under way";
    EXPECT_EQ(running.add(2), std::to_string(total += 2));
    cut = running.status().snapshot->at.index;
  }
  Sum sum;
  Running running(options(), sum);

  EXPECT_GE(running.status().snapshot->at.index, cut);
  EXPECT_EQ(running.add(1), std::to_string(++total));
  EXPECT_EQ(sum.sum(), total);
  ASSERT_FALSE(sum.applied().empty());
  EXPECT_GT(sum.applied().front(), cut);
  EXPECT_LT(sum.applied().size(), static_cast<std::size_t>(total) - 20);
}

TEST_F(SnapshotsOfAServer, TheCutMayBeTheLastThatTheLogKnowsToBeCommitted) {
  long total = 0;
  for (int life = 1; life <= 4; ++life) {
    Sum sum;
    Running running(options(1), sum);  // A cut behind every entry.
    const auto found = running.status().snapshot;
    EXPECT_EQ(found.has_value(), life > 1);
    const auto ends_in_a_snapshot = [&] {
      EXPECT_EQ(running.add(1), std::to_string(++total));
      // Unless it was passed over: the one before was still being written.
      return comes_true([&] { return running.has_snapshot(running.status().commit.value()); },
                        500ms);
    };
    ASSERT_TRUE(comes_true(ends_in_a_snapshot));
    EXPECT_EQ(sum.sum(), total);
    EXPECT_GT(sum.applied().front(), found ? found->at.index : Index());
  }
}

TEST_F(SnapshotsOfAServer, ADurableSessionGoesOnAfterARestartFromASnapshot) {
  auto session = root_.string() + ".session";
  {
    Sum sum;
    Running running(options(3), sum);
    auto mine = running.client->open_session(session).or_throw();
    for (int i = 0; i < 5; ++i) {
      const auto id = mine.record("1").or_throw();
      mine.submit(id).get().or_throw();
    }
    ASSERT_TRUE(comes_true([&] { return running.has_snapshot(4); }));
  }
  Sum sum;
  Running running(options(3), sum);
  auto mine = running.client->open_session(session).or_throw();
  const auto id = mine.record("1").or_throw();
  EXPECT_EQ(mine.submit(id).get().or_throw().result->text(), "6");
  fs::remove(session);
}

TEST_F(SnapshotsOfAServer, AFreezeThatThrowsCostsThisSnapshotAndNotTheServer) {
  class Throwing final : public Sum {
   public:
    SnapshotWriter freeze() override {
      if (Sum::freezes++ == 0) throw std::runtime_error("no memory");
      return Sum::freeze();
    }
  };
  Throwing sum;
  Running running(options(), sum);
  EXPECT_EQ(running.add(12), "12");
  ASSERT_TRUE(comes_true([&] { return !running.status().snapshot_failure.empty(); }));
  EXPECT_THAT(running.status().snapshot_failure, HasSubstr("freeze threw: no memory"));
  EXPECT_THAT(news(), Contains(HasSubstr("was given up: freeze threw: no memory")));
  EXPECT_FALSE(running.has_snapshot());
  EXPECT_EQ(running.status().failure, "");

  EXPECT_EQ(running.add(20), "32");

  EXPECT_TRUE(comes_true([&] { return running.has_snapshot(); }));
  EXPECT_EQ(running.status().snapshot_failure, "");
}

TEST_F(SnapshotsOfAServer, AWriterThatThrowsOrSaysNoLeavesNothingBehind) {
  Sum sum;
  std::atomic<int> writes = 0;
  sum.write = [&](SnapshotSink& sink, const std::string& frozen) -> Status {
    const int time = writes++;
    if (Status status = sink.write(std::string(600'000, 'x')); !status) return status;
    if (time == 0) throw 7;
    if (time == 1) return Error(ErrorCode::io, "the application's own reason");
    return sink.write(frozen);
  };
  Running running(options(), sum);
  EXPECT_EQ(running.add(12), "12");
  ASSERT_TRUE(comes_true([&] { return !running.status().snapshot_failure.empty(); }));
  EXPECT_THAT(running.status().snapshot_failure, HasSubstr("its writer threw"));
  EXPECT_THAT(files(), IsEmpty());

  EXPECT_EQ(running.add(10), "22");
  ASSERT_TRUE(comes_true([&] {
    return running.status().snapshot_failure.find("the application's own reason") !=
           std::string::npos;
  }));
  EXPECT_THAT(files(), IsEmpty());

  EXPECT_EQ(running.add(10), "32");
  EXPECT_TRUE(comes_true([&] { return running.has_snapshot(); }));
  EXPECT_EQ(running.status().failure, "");
}

TEST_F(SnapshotsOfAServer, ASlowWriterHoldsUpNobodyAndCutsMeanwhileArePassedOver) {
  Sum sum;
  std::promise<void> go_on;
  const auto may_go_on = go_on.get_future().share();
  sum.write = [&](SnapshotSink& sink, const std::string& frozen) {
    may_go_on.wait();
    return sink.write(frozen);
  };
  Running running(options(), sum);

  EXPECT_EQ(running.add(60), "60");
  EXPECT_EQ(sum.freezes, 1);
  EXPECT_FALSE(running.has_snapshot());
  go_on.set_value();
  EXPECT_TRUE(comes_true([&] { return running.has_snapshot(); }));
  EXPECT_LT(running.status().snapshot->at.index, Index(20));
  EXPECT_EQ(running.add(20), "80");
  EXPECT_TRUE(comes_true([&] { return running.has_snapshot(60); }));
}

TEST_F(SnapshotsOfAServer, ARestoreThatThrowsOrSaysNoStopsTheServerByName) {
  {
    Sum sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(15), "15");
    ASSERT_TRUE(comes_true([&] { return running.has_snapshot(); }));
  }
  class Unable final : public Sum {
   public:
    explicit Unable(bool throws) : throws_(throws) {}
    Status restore(SnapshotSource&) override {
      if (throws_) throw std::runtime_error("of a later version");
      return Error(ErrorCode::corrupt, "of no version");
    }

   private:
    bool throws_;
  };
  for (const bool throws : {true, false}) {
    Unable unable(throws);
    auto server = ServerCluster::open(options(), unable).or_throw();
    ASSERT_TRUE(comes_true([&] { return !server.status().front().failure.empty(); }));
    EXPECT_THAT(server.status().front().failure,
                HasSubstr(throws ? " threw: of a later version" : ": of no version"));
    EXPECT_THAT(server.status().front().failure, HasSubstr("restore of the snapshot at index "));
    EXPECT_EQ(server.run_until_signal(), 7);
    EXPECT_THAT(unable.applied(), IsEmpty());
  }
  Sum sum;
  Running running(options(), sum);
  EXPECT_EQ(running.add(1), "16") << "nothing was harmed";
}

TEST_F(SnapshotsOfAServer, ADamagedSnapshotIsNamedAndTheOneBeforeIsUsedOrTheWholeLog) {
  long total = 45;
  {
    Sum sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(45), "45");
    total += running.add_until_snapshot(40);
    ASSERT_TRUE(comes_true([&] { return files().size() == 2; }));
  }
  const auto both = files();
  damage(both[1]);
  {
    Sum sum;
    Running running(options(1000), sum);
    EXPECT_EQ(running.add(1), std::to_string(++total));
    EXPECT_THAT(news(), Contains(HasSubstr(both[1].filename().string() + " is not used")));
    EXPECT_LT(sum.applied().size(), static_cast<std::size_t>(total)) << "from the one before";
    ASSERT_TRUE(comes_true([&] { return running.has_snapshot(40); }))
        << "of the cut that it met again";
  }
  for (const fs::path& file : both) damage(file);
  {
    Sum sum;
    Running running(options(1000), sum);
    EXPECT_EQ(running.add(1), std::to_string(++total));
    EXPECT_THAT(news(), Contains(HasSubstr(both[0].filename().string() + " is not used")));
    EXPECT_EQ(sum.applied().size(), static_cast<std::size_t>(total)) << "the whole log";
  }
  Sum sum;
  Running running(options(), sum);
  EXPECT_TRUE(comes_true([&] { return running.has_snapshot(40); }))
      << "a cut that it meets again gets its snapshot again";
  EXPECT_EQ(running.add(20), std::to_string(total + 20));
  static_cast<void>(running.add_until_snapshot(60));
  EXPECT_TRUE(comes_true([&] { return files().size() == 2; }));
}

TEST_F(SnapshotsOfAServer, AnOlderCopyOfTheLogIsRefusedAndTheLogOfTheSnapshotsIsTakenBack) {
  {
    Sum sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(5), "5");
  }
  fs::copy(root_ / "log", root_ / "log-older", fs::copy_options::recursive);
  {
    Sum sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(20), "25");
    ASSERT_TRUE(comes_true([&] { return running.has_snapshot(); }));
  }
  fs::rename(root_ / "log", root_ / "log-newer");
  fs::rename(root_ / "log-older", root_ / "log");
  {
    Sum sum;
    const auto server = ServerCluster::open(options(), sum);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code(), ErrorCode::corrupt);
    EXPECT_EQ(info(server.error().code()).exit_code, 7);
    EXPECT_THAT(server.error().message(), HasSubstr(files().back().filename().string()));
    EXPECT_THAT(server.error().message(), HasSubstr("it has forgotten entries"));
  }
  fs::remove_all(root_ / "log");
  fs::rename(root_ / "log-newer", root_ / "log");
  Sum sum;
  Running running(options(), sum);
  EXPECT_EQ(running.add(1), "26");
}

TEST_F(SnapshotsOfAServer, AStateMachineWithoutSnapshotsIsRebuiltFromTheWholeLog) {
  class Plain final : public Sum {
   public:
    SnapshotWriter freeze() override {
      ++Sum::freezes;
      return {};
    }
  };
  {
    Plain sum;
    Running running(options(), sum);
    EXPECT_EQ(running.add(25), "25");
    EXPECT_TRUE(comes_true([&] { return sum.freezes == 2; }));
    EXPECT_FALSE(running.has_snapshot());
    EXPECT_EQ(running.status().snapshot_failure, "");
  }
  EXPECT_THAT(files(), IsEmpty());
  Plain sum;
  Running running(options(), sum);
  EXPECT_EQ(running.add(1), "26");
  EXPECT_EQ(sum.applied().size(), 26U);
}

TEST_F(SnapshotsOfAServer, WhatASigkillLeavesHalfWrittenIsNotUsedAndGoes) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe(pipe_ends), 0);
  const ServerOptions given = options();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Sum sum;
    int written = 0;
    sum.write = [&](SnapshotSink& sink, const std::string& frozen) -> Status {
      if (written++ == 0) return sink.write(frozen);
      static_cast<void>(sink.write(std::string(2'000'000, 'x')));
      const char half = 'h';
      if (::write(pipe_ends[1], &half, 1) != 1) ::_exit(1);
      ::pause();  // Until it is killed.
      return Done{};
    };
    Running running(given, sum);
    static_cast<void>(running.add(11));
    if (!comes_true([&] { return running.has_snapshot(); })) ::_exit(1);
    static_cast<void>(running.add(14));
    ::pause();
    ::_exit(0);
  }
  char half = 0;
  ASSERT_EQ(::read(pipe_ends[0], &half, 1), 1);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(pipe_ends[0]);
  ::close(pipe_ends[1]);
  ASSERT_EQ(files().size(), 2U) << "one that is whole, and half of one";

  Sum sum;
  Running running(options(), sum);
  const std::string now = running.add(1);
  EXPECT_GE(std::stol(now), 19);
  EXPECT_EQ(sum.sum(), std::stol(now));
  EXPECT_LT(sum.applied().size(), 20U) << "from the snapshot that is whole";
  static_cast<void>(running.add(20));
  EXPECT_TRUE(comes_true([&] {
    const auto found = files();
    return found.size() == 2 && std::ranges::none_of(found, [](const fs::path& file) {
             return file.filename().string().starts_with("unfinished");
           });
  }));
}

TEST(SnapshotsOfACluster, AllServersHaveTheSameAtTheSameCutsAndRestartFromThem) {
  const fs::path root = fs::temp_directory_path() / ("kuilt-snaps-" + std::to_string(::getpid()));
  const InProcessOptions options{.voters = 3,
                                 .directory = root.string(),
                                 .snapshot_after_bytes = 0,
                                 .snapshot_after_entries = 10};
  long total = 0;
  const auto open = [&](std::map<std::string, Sum>& sums) {
    auto cluster =
        ServerCluster::in_process(options, [&](const std::string& voter) -> StateMachine& {
          return sums[voter];
        }).or_throw();
    cluster.start().or_throw();
    return cluster;
  };
  {
    std::map<std::string, Sum> sums;
    auto cluster = open(sums);
    auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
    for (; total < 25; ++total) ASSERT_TRUE(client.propose("1").get());
    const auto all_have_the_same = [&] {
      const auto rows = cluster.status();
      return std::ranges::all_of(rows, [&](const ServerStatus& row) {
        return row.snapshot && row.snapshot->at.index >= Index(20) && rows.front().snapshot &&
               row.snapshot->at == rows.front().snapshot->at;
      });
    };
    // A busy machine passes cuts over: then another one.
    ASSERT_TRUE(comes_true([&] {
      if (comes_true(all_have_the_same, 200ms)) return true;
      ++total;
      return !client.propose("1").get();
    }));
    for (const ServerStatus& row : cluster.status()) {
      EXPECT_EQ(row.snapshot->at, cluster.status().front().snapshot->at);
      EXPECT_EQ(row.snapshot->digest, cluster.status().front().snapshot->digest);
    }
  }
  std::map<std::string, Sum> sums;
  auto cluster = open(sums);
  auto client = ClusterClient::connect(cluster.endpoints()).or_throw();
  ++total;
  EXPECT_EQ(client.propose("1").get().or_throw().result->text(), std::to_string(total));
  for (const auto& [voter, sum] : sums) {
    EXPECT_TRUE(comes_true([&] { return sum.sum() == total; })) << voter;
    EXPECT_LT(sum.applied().size(), static_cast<std::size_t>(total) - 10) << voter;
  }
  fs::remove_all(root);
}

}  // namespace
}  // namespace kuilt
