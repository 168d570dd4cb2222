// The apply thread against a log that the test holds: what it applies, tells, and answers.
#include "server/apply_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>

#include "tests/await.hpp"
#include "wire/entry.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

raft::Entry command(std::uint64_t index, const std::string& body) {
  wire::Command made;
  made.at = {Index(index), Term(1)};
  made.author = "ann";
  made.request_id = RequestId(index);
  made.body = BytesView(body);
  made.session = SessionId(1, 1);
  made.digest = wire::command_digest(made.room, made.body);
  return wire::encode_command(made);
}

/// The log on this server's disk, through the last index that the test has put there.
class FileOfTheTest final : public storage::RaftStorage {
 public:
  void put(const raft::Entry& entry) {
    const std::lock_guard lock(mutex_);
    entries_.insert_or_assign(entry.at.index, entry);
  }
  void submit(std::vector<raft::Write> /*writes*/) override {}
  Result<std::vector<raft::Entry>> read(Index first, Index last, std::size_t bytes_max) override {
    const std::lock_guard lock(mutex_);
    ++reads;
    if (entries_.empty() || entries_.rbegin()->first < last) {
      return Error(ErrorCode::invalid_argument, "beyond the log");
    }
    std::vector<raft::Entry> found;
    std::size_t bytes = 0;
    for (Index index = first; index <= last; index = index.next()) {
      bytes += entries_.at(index).stored.size();
      if (bytes > bytes_max && !found.empty()) break;
      found.push_back(entries_.at(index));
    }
    largest_read = std::max<std::size_t>(largest_read, std::min(bytes, bytes_max));
    return found;
  }
  std::atomic<int> reads = 0;
  std::size_t largest_read = 0;

 private:
  std::mutex mutex_;
  std::map<Index, raft::Entry> entries_;
};

/// Returns how many commands it has taken in; throws at "throw", and says no to "no".
class Counting final : public StateMachine {
 public:
  Bytes apply(const LogEntry& entry) override {
    if (entry.command.text() == "throw") throw std::runtime_error("cannot");
    if (entry.command.text() == "throw 7") throw 7;
    if (entry.command.text() == "large") return Bytes(std::string(result_bytes_max + 1, 'x'));
    const std::lock_guard lock(mutex_);
    seen_.push_back(std::string(entry.command.text()));
    return Bytes(std::to_string(seen_.size()));
  }
  Status admit(const std::string& author, BytesView wanted) override {
    if (wanted.text() == "throw") throw std::runtime_error("cannot say");
    if (wanted.text() == "no") return Error(ErrorCode::busy, "not from " + author);
    return Done{};
  }
  Status restore(SnapshotSource& source) override {
    while (true) {
      const auto some = source.read(100);
      ++reads_of_snapshot;
      if (!some) return Error(some.error());
      if (some->empty()) return Done{};
    }
  }
  [[nodiscard]] std::vector<std::string> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  std::atomic<int> reads_of_snapshot = 0;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> seen_;
};

/// Fails; or has far more than anybody reads, who is told to stop.
class LongSource final : public SnapshotSource {
 public:
  explicit LongSource(bool fails) : fails_(fails) {}
  Result<Bytes> read(std::size_t bytes_max) override {
    if (fails_) return Error(ErrorCode::io, "bad sector");
    if (reads_left_-- == 0) return Bytes();
    return Bytes(std::string(bytes_max, 'x'));
  }

 private:
  bool fails_;
  std::uint64_t reads_left_ = std::uint64_t{1} << 25;
};
Snapshots restored_from(bool fails) {
  return {.restored = Position{Index(5), Term(1)},
          .open = [fails]() -> Result<std::unique_ptr<SnapshotSource>> {
            return std::unique_ptr<SnapshotSource>(std::make_unique<LongSource>(fails));
          }};
}

/// A log of ten commands "c1" to "c10" on disk, committed before the start.
class ApplyThreads : public ::testing::Test {
 protected:
  ApplyThreads() : digests_(1024) {
    for (std::uint64_t i = 1; i <= 10; ++i) {
      file_.put(command(i, "c" + std::to_string(i)));
      digests_.extend(command(i, "c" + std::to_string(i)));
    }
    log_.emplace(file_, cluster::FeedBoot{{}, {}, {}, {{Index(1), Term(1)}}, digests_});
  }
  ~ApplyThreads() override {
    thread_.reset();
    log_->close();
  }
  void start(Snapshots snapshots = {}) {
    thread_.emplace(machine_, *log_, Index(),
                    ApplyThread::Events{[this](cluster::Input input) { hear(std::move(input)); },
                                        [this](const Error& error) {
                                          const std::lock_guard lock(mutex_);
                                          failures_.push_back(error);
                                        },
                                        [this](const std::string& line) {
                                          const std::lock_guard lock(mutex_);
                                          news_.push_back(line);
                                        }},
                    std::move(snapshots));
  }
  void hear(cluster::Input input) {
    {
      const std::lock_guard lock(mutex_);
      if (auto* applied = std::get_if<cluster::Applied>(&input)) {
        told_ = applied->through;
        for (auto& each : applied->results) results_.push_back(std::move(each));
        largest_telling_ = std::max(largest_telling_, applied->results.size());
        if (!takes_) return;
      } else if (auto* verdicts = std::get_if<cluster::Verdicts>(&input)) {
        for (auto& each : verdicts->verdicts) verdicts_.push_back(std::move(each));
        return;
      }
    }
    thread_->taken();
  }
  void commit(std::uint64_t index, const std::string& body) {
    const raft::Entry entry = command(index, body);
    log_->publish({{Index(index - 1), Term(1)}, entry.at, {entry}});
    thread_->wake();
  }
  Index told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::optional<Error> failure() {
    const std::lock_guard lock(mutex_);
    return failures_.empty() ? std::nullopt : std::optional(failures_.front());
  }
  std::vector<std::string> results() {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> texts;
    for (const auto& each : results_) texts.emplace_back(each.result.text());
    return texts;
  }
  std::vector<std::pair<std::uint64_t, std::string>> verdicts() {
    const std::lock_guard lock(mutex_);
    std::vector<std::pair<std::uint64_t, std::string>> found;
    for (const auto& each : verdicts_) found.emplace_back(each.number, each.refusal.value_or("ok"));
    return found;
  }
  static cluster::AdmissionQuestion question(std::uint64_t number, const std::string& wanted,
                                             Index after = {}, Term term = Term(1)) {
    return {number, term, after, "ann", Bytes(wanted)};
  }

  FileOfTheTest file_;
  Counting machine_;
  cluster::RoomDigests digests_;
  std::optional<CommittedLog> log_;
  std::mutex mutex_;
  bool takes_ = true;
  Index told_;
  std::size_t largest_telling_ = 0;
  std::vector<cluster::AppliedResult> results_;
  std::vector<cluster::AdmissionVerdict> verdicts_;
  std::vector<Error> failures_;
  std::vector<std::string> news_;
  std::optional<ApplyThread> thread_;
};

TEST_F(ApplyThreads, ReplaysTheLogFromItsStartAndGoesOnWithWhatIsCommitted) {
  start();
  ASSERT_TRUE(comes_true([this] { return told() == Index(10); }));
  EXPECT_GT(file_.reads, 0);
  const int reads = file_.reads;

  commit(11, "c11");
  commit(12, "c12");

  ASSERT_TRUE(comes_true([this] { return told() == Index(12); }));
  EXPECT_EQ(machine_.seen().size(), 12U);
  EXPECT_EQ(machine_.seen().back(), "c12");
  EXPECT_EQ(results().back(), "12");
  EXPECT_EQ(file_.reads, reads) << "what is new comes from memory";
  EXPECT_EQ(thread_->applied(), Index(12));
}

TEST_F(ApplyThreads, WhatIsCommittedAndNotYetOnThisDiskIsWaitedFor) {
  const raft::Entry late = command(11, "c11");
  log_->publish({{Index(10), Term(1)}, late.at, {late}});  // Nobody reads yet: it is not kept.
  raft::Entry stale = command(11, "of an earlier leader");
  stale.at.term = Term(9);
  file_.put(stale);
  start();
  ASSERT_TRUE(comes_true([this] { return file_.reads > 3; }));
  EXPECT_EQ(told(), Index(10));

  file_.put(late);

  ASSERT_TRUE(comes_true([this] { return told() == Index(11); }));
  EXPECT_EQ(machine_.seen().back(), "c11");
  EXPECT_FALSE(failure());
}

TEST_F(ApplyThreads, ACoreThatTakesNothingInStopsItWithinABound) {
  takes_ = false;
  start();
  ASSERT_TRUE(comes_true([this] { return told() == Index(10); }));
  // One telling is on its way and never taken; 64 bytes and a digit each gather behind it.
  constexpr std::uint64_t many = 40'000;
  for (std::uint64_t i = 11; i <= many; ++i) commit(i, "c");
  std::size_t before = 0;
  ASSERT_TRUE(comes_true([&] {  // It stands still.
    std::this_thread::sleep_for(20ms);
    return std::exchange(before, machine_.seen().size()) == machine_.seen().size();
  }));
  EXPECT_LT(machine_.seen().size(), many / 2);
  EXPECT_EQ(told(), Index(10));

  {
    const std::lock_guard lock(mutex_);
    takes_ = true;
  }
  thread_->taken();

  ASSERT_TRUE(comes_true([&] { return told() == Index(many); }));
  EXPECT_EQ(results().size(), many);
  EXPECT_LT(largest_telling_, many / 2);
}

TEST_F(ApplyThreads, AStateMachineThatThrowsEndsItAndNamesTheEntry) {
  start();
  commit(11, "c11");
  commit(12, "throw");
  commit(13, "c13");

  ASSERT_TRUE(comes_true([this] { return failure().has_value(); }));
  EXPECT_EQ(failure()->code(), ErrorCode::apply_failed);
  EXPECT_EQ(failure()->message(), "apply of entry 12 threw: cannot");
  EXPECT_EQ(machine_.seen().back(), "c11");
  EXPECT_EQ(thread_->applied(), Index(11));
}

TEST_F(ApplyThreads, WhatIsThrownNeedNotBeAnException) {
  start();
  commit(11, "throw 7");

  ASSERT_TRUE(comes_true([this] { return failure().has_value(); }));
  EXPECT_THAT(failure()->message(), HasSubstr("entry 11 threw: something that is no"));
}

TEST_F(ApplyThreads, AResultThatIsTooLargeIsNotToldAndTheNewsSaySo) {
  start();
  commit(11, "large");
  commit(12, "c12");

  ASSERT_TRUE(comes_true([this] { return told() == Index(12); }));
  EXPECT_EQ(results().size(), 11U);
  EXPECT_EQ(results().back(), "11");
  const std::lock_guard lock(mutex_);
  EXPECT_THAT(news_, ElementsAre("apply of entry 11 returned 1048577 bytes: results over 1048576 "
                                 "bytes are not sent to clients"));
}

TEST_F(ApplyThreads, QuestionsAreAnsweredInOrderWithTheWordsOfTheStateMachine) {
  start();

  thread_->ask({question(1, "yes"), question(2, "no"), question(3, "throw")});

  ASSERT_TRUE(comes_true([this] { return verdicts().size() == 3; }));
  EXPECT_THAT(verdicts(), ElementsAre(std::pair(1, "ok"), std::pair(2, "not from ann"),
                                      std::pair(3, "admit threw: cannot say")));
  EXPECT_FALSE(failure()) << "the server lives";
}

TEST_F(ApplyThreads, AQuestionWaitsUntilEnoughIsApplied) {
  start();
  thread_->ask({question(1, "yes", Index(10)), question(2, "yes", Index(11))});
  ASSERT_TRUE(comes_true([this] { return verdicts().size() == 1; }));

  commit(11, "c11");

  ASSERT_TRUE(comes_true([this] { return verdicts().size() == 2; }));
  EXPECT_EQ(machine_.seen().back(), "c11");
}

TEST_F(ApplyThreads, AServerThatStopsDoesNotWaitForTheRestOfALongSnapshot) {
  start(restored_from(false));
  ASSERT_TRUE(comes_true([this] { return machine_.reads_of_snapshot > 3; }));

  thread_->stop();

  EXPECT_FALSE(failure()) << "the source says that it stops: nothing has failed";
  EXPECT_TRUE(machine_.seen().empty());
  EXPECT_EQ(thread_->applied(), Index());
}

TEST_F(ApplyThreads, ASnapshotThatCanNotBeReadIsAFailure) {
  start(restored_from(true));

  ASSERT_TRUE(comes_true([this] { return failure().has_value(); }));
  EXPECT_EQ(failure()->code(), ErrorCode::restore_failed);
  EXPECT_THAT(failure()->message(), HasSubstr("bad sector"));
}

TEST_F(ApplyThreads, QuestionsOfAnEarlierLeadHoldUpNobody) {
  start();
  thread_->ask({question(1, "yes", Index(1000))});

  thread_->ask({question(2, "yes", Index(10), Term(2))});

  ASSERT_TRUE(comes_true([this] { return !verdicts().empty(); }));
  EXPECT_THAT(verdicts(), ElementsAre(std::pair(2, "ok")));
}

}  // namespace
}  // namespace kuilt::server
