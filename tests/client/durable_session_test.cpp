// Durable sessions over servers on real sockets, and files on a real disk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include "kuilt/client.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {
namespace {

using ::testing::HasSubstr;

constexpr auto patience = 20s;  // Far more than anything here takes.

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

/// "committed", "duplicate", or the error: "busy/none".
std::string verdict(Pending<Receipt> pending) {
  const auto outcome = pending.get_for(patience);
  if (!outcome) return "pending";
  if (*outcome) return (*outcome)->duplicate ? "duplicate" : "committed";
  const Error& error = outcome->error();
  return std::string(name_of(error.code())) +
         (error.effect() == Effect::none ? "/none" : "/unknown");
}
template <class T>
std::string refusal(const Result<T>& result) {
  return result ? "no refusal" : std::string(name_of(result.error().code()));
}

/// A store in memory whose disk can be full, and tears what it has no room for; or fails when all
/// was written, as a sync does, or a rename that took effect.
struct Disk {
  std::optional<std::string> content;
  bool full = false;
  bool replaces_fail = false;
  bool fails_late = false;
  std::size_t appends = 0;
  std::size_t replaces = 0;
  std::size_t bytes_most = 0;
};
class DiskStore final : public SessionStore {
 public:
  explicit DiskStore(Disk& disk) : disk_(disk) {}
  Result<std::optional<Bytes>> load() override {
    if (!disk_.content) return std::optional<Bytes>();
    return std::optional(Bytes(*disk_.content));
  }
  Status append(BytesView bytes) override {
    ++disk_.appends;
    disk_.content->append(bytes.text().substr(0, disk_.full ? bytes.size() / 2 : bytes.size()));
    disk_.bytes_most = std::max(disk_.bytes_most, disk_.content->size());
    return disk_.full ? Status(Error(ErrorCode::disk_full, "no room")) : end();
  }
  Status replace(BytesView bytes) override {
    ++disk_.replaces;
    if (disk_.full || disk_.replaces_fail) return Error(ErrorCode::disk_full, "no room");
    disk_.content = std::string(bytes.text());
    return end();
  }

 private:
  Status end() const {
    return disk_.fails_late ? Status(Error(ErrorCode::io, "sync: gone")) : Status(Done{});
  }

  Disk& disk_;
};

class DurableSessions : public ::testing::Test {
 protected:
  DurableSessions() {
    std::string pattern = ::testing::TempDir() + "kuilt-session-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    path_ = folder_ + "/mine";
  }
  ~DurableSessions() override { std::filesystem::remove_all(folder_); }

  static ClusterClient connect(const TinyServer& server) {
    return ClusterClient::connect({server.url()}).or_throw();
  }

  static DurableSession open_on(ClusterClient& client, Disk& disk) {
    return client.open_session(std::make_unique<DiskStore>(disk)).or_throw();
  }
  /// Commands of somebody else.
  void fill(int commands) {
    TinyServer server(log_);
    auto client = connect(server);
    for (int i = 0; i < commands; ++i) {
      ASSERT_TRUE(client.propose("other").get_for(patience).value());
    }
  }

  TinyLog log_;
  std::string folder_;
  std::string path_;
};

TEST_F(DurableSessions, WhatIsRecordedIsProposedOnceAndItsOutcomeMovesTheFloor) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();

  const RequestId first = mine.record("one").or_throw();
  EXPECT_EQ(log_.size(), 0U);
  EXPECT_EQ(verdict(mine.submit(first)), "committed");
  EXPECT_EQ(verdict(mine.submit(first)), "duplicate");
  ASSERT_TRUE(mine.acknowledge(first));
  ASSERT_TRUE(mine.acknowledge(first));
  EXPECT_TRUE(mine.unfinished().empty());
  EXPECT_EQ(verdict(mine.submit(first)), "below_floor/unknown");
  EXPECT_EQ(verdict(mine.submit(mine.record("two").or_throw())), "committed");

  EXPECT_EQ(log_.size(), 2U);
  EXPECT_EQ(log_.floor(), first);
}

TEST_F(DurableSessions, ALaterProcessFindsWhatIsUnfinishedAndRepeatsItUnderTheSameId) {
  TinyServer server(log_);
  RequestId sent;
  RequestId kept;
  {
    auto client = connect(server);
    auto mine = client.open_session(path_).or_throw();
    sent = mine.record("sent", "chess").or_throw();
    EXPECT_EQ(verdict(mine.submit(sent)), "committed");
    kept = mine.record("kept").or_throw();
  }

  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();
  const auto left = mine.unfinished();

  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].id, sent);
  EXPECT_EQ(left[0].command.text(), "sent");
  EXPECT_EQ(left[0].room, "chess");
  EXPECT_TRUE(left[0].submitted);
  EXPECT_EQ(left[1].command.text(), "kept");
  EXPECT_FALSE(left[1].submitted);
  EXPECT_EQ(verdict(mine.submit(sent)), "duplicate");
  EXPECT_EQ(verdict(mine.submit(kept)), "committed");
  EXPECT_EQ(log_.size(), 2U);
}

TEST_F(DurableSessions, AnIdOfTheCallersChoiceRepeatsItsOwnCommandOnly) {
  TinyServer server(log_);
  auto client = connect(server);
  {
    auto mine = client.open_session(path_).or_throw();
    EXPECT_EQ(verdict(mine.propose("move", RequestId(42))), "committed");
  }
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(verdict(mine.propose("move", RequestId(42))), "duplicate");
  EXPECT_EQ(verdict(mine.propose("other", RequestId(42))), "request_id_reused/none");
  EXPECT_EQ(verdict(mine.propose("older", RequestId(41))), "below_floor/unknown");
  EXPECT_EQ(log_.size(), 1U);
}

TEST_F(DurableSessions, ASecondOpenerIsRefusedByNameAndTheFirstGoesOn) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();

  const auto second = client.open_session(path_);

  EXPECT_EQ(refusal(second), "session_locked");
  EXPECT_THAT(second.error().message(), HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_EQ(verdict(mine.submit(mine.record("x").or_throw())), "committed");
}

TEST_F(DurableSessions, AClosedSessionOpensAgain) {
  TinyServer server(log_);
  auto client = connect(server);
  static_cast<void>(client.open_session(path_).or_throw());
  EXPECT_EQ(refusal(client.open_session(path_)), "no refusal");
}

TEST_F(DurableSessions, APathThatCannotBeWrittenIsRefusedByName) {
  TinyServer server(log_);
  auto client = connect(server);

  const auto no_folder = client.open_session(folder_ + "/none/mine");
  const auto no_path = client.open_session("");
  std::filesystem::create_directory(path_ + ".new");  // What it would have to write first.
  const auto in_the_way = client.open_session(path_);

  EXPECT_EQ(refusal(no_folder), "session_unwritable");
  EXPECT_THAT(no_folder.error().message(), HasSubstr(folder_ + "/none/mine"));
  EXPECT_EQ(refusal(no_path), "invalid_argument");
  EXPECT_EQ(refusal(in_the_way), "session_unwritable");
}

TEST_F(DurableSessions, ADamagedFileIsRefusedAndLeftAsItIs) {
  TinyServer server(log_);
  auto client = connect(server);
  {
    auto mine = client.open_session(path_).or_throw();
    static_cast<void>(mine.record("one").or_throw());
  }
  const std::string sound = content_of(path_);
  std::string damaged = sound;
  damaged[30] = static_cast<char>(damaged[30] ^ 1);

  for (const std::string& bad : {std::string(), sound.substr(0, 40), damaged, "x" + sound}) {
    write_file(path_, bad);
    const auto opened = client.open_session(path_);
    EXPECT_EQ(refusal(opened), "corrupt") << bad.size();
    EXPECT_THAT(opened.error().message(), HasSubstr(path_));
    EXPECT_EQ(content_of(path_), bad);
  }
  write_file(path_, sound);
  EXPECT_EQ(client.open_session(path_).or_throw().unfinished().size(), 1U);
}

TEST_F(DurableSessions, AFileOfAnotherClusterIsRefusedByName) {
  TinyServer server(log_);
  {
    auto client = connect(server);
    static_cast<void>(client.open_session(path_).or_throw());
  }
  TinyServer foreign(log_, Manners{.cluster = "another"});
  auto foreign_client = connect(foreign);

  EXPECT_EQ(refusal(foreign_client.open_session(path_)), "wrong_cluster");
}

TEST_F(DurableSessions, WithoutAServerOpeningEndsAtItsDeadline) {
  auto client = ClusterClient::connect({"ws://127.0.0.1:1"}).or_throw();

  EXPECT_EQ(refusal(client.open_session(path_, 50ms)), "no_server");
  client.stop();
  EXPECT_EQ(refusal(client.open_session(path_, 50ms)), "stopped");
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(DurableSessions, OpeningInsideACallbackIsANamedError) {
  TinyServer server(log_);
  auto client = connect(server);
  std::promise<std::string> told;

  client.propose("x").then(
      [&](const Result<Receipt>&) { told.set_value(refusal(client.open_session(path_))); });

  auto answer = told.get_future();
  ASSERT_EQ(answer.wait_for(patience), std::future_status::ready);
  EXPECT_EQ(answer.get(), "usage");
}

TEST_F(DurableSessions, ACommandThatADiskHasNoRoomForIsRefusedAndItsIdIsFree) {
  TinyServer server(log_);
  auto client = connect(server);
  Disk disk;
  {
    auto mine = open_on(client, disk);
    const RequestId before = mine.record("before").or_throw();

    disk.full = true;
    EXPECT_EQ(refusal(mine.record("lost")), "disk_full");
    EXPECT_EQ(verdict(mine.submit(before)), "disk_full/none");
    EXPECT_EQ(refusal(mine.acknowledge(before)), "disk_full");
    EXPECT_EQ(log_.size(), 0U);

    disk.full = false;
    EXPECT_EQ(mine.record("after").or_throw(), before.next());
    EXPECT_EQ(verdict(mine.submit(before)), "committed");
  }

  auto mine = open_on(client, disk);
  ASSERT_EQ(mine.unfinished().size(), 2U);
  EXPECT_EQ(mine.unfinished()[1].command.text(), "after");
}

TEST_F(DurableSessions, AfterAFailedAppendNothingIsAppendedToThatFile) {
  TinyServer server(log_);
  auto client = connect(server);
  Disk disk;
  auto mine = open_on(client, disk);
  disk.full = true;
  EXPECT_EQ(refusal(mine.record("x")), "disk_full");
  EXPECT_EQ(refusal(mine.record("x")), "disk_full");
  EXPECT_EQ(disk.appends, 1U);
  disk.full = false;
  const std::size_t replaces = disk.replaces;
  ASSERT_TRUE(mine.record("x"));
  EXPECT_EQ(disk.replaces, replaces + 1);
  EXPECT_EQ(disk.appends, 2U);
  ASSERT_TRUE(mine.record("y"));
  EXPECT_EQ(disk.replaces, replaces + 1);
  EXPECT_EQ(disk.appends, 3U);
}

TEST_F(DurableSessions, AFullDiskUnderARealFileLosesNothingThatWasThere) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = std::make_optional(client.open_session(path_).or_throw());
  const RequestId before = mine->record("before").or_throw();
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &limit), 0);
  const rlimit small{4096, limit.rlim_max};

  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = mine->record(std::string(8192, 'x'));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);

  EXPECT_EQ(refusal(refused), "disk_full");
  EXPECT_THAT(refused.error().message(), HasSubstr(path_));
  ASSERT_TRUE(mine->record("after"));
  mine.reset();
  auto again = client.open_session(path_).or_throw();
  ASSERT_EQ(again.unfinished().size(), 2U);
  EXPECT_EQ(again.unfinished()[0].id, before);
  EXPECT_EQ(again.unfinished()[1].command.text(), "after");
}

TEST_F(DurableSessions, TheFileStaysInProportionToWhatIsUnfinished) {
  TinyServer server(log_);
  auto client = connect(server);
  Disk disk;
  auto mine = open_on(client, disk);

  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(mine.acknowledge(mine.record(std::string(100, 'x')).or_throw()));
  }

  EXPECT_LT(disk.bytes_most, std::size_t{140} << 10);
  EXPECT_LT(disk.replaces, 20U);
}

// What a session may have of the log, when servers do not know it.

TEST_F(DurableSessions, AnExpiredSessionThatSentNothingIsReplacedUnderTheSameIds) {
  TinyServer server(log_);
  RequestId id;
  {
    auto client = connect(server);
    auto mine = client.open_session(path_).or_throw();
    id = mine.record("late").or_throw();
    ASSERT_TRUE(client.propose("of somebody else").get_for(patience).value());
  }
  TinyServer forgetful(log_, Manners{.forgotten_through = Index(0)});
  auto client = connect(forgetful);
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(verdict(mine.submit(id)), "committed");
  EXPECT_EQ(verdict(mine.submit(id)), "duplicate");
  EXPECT_EQ(log_.size(), 2U);
}

TEST_F(DurableSessions, ASessionBornOnALaggingServerIsReplacedBeforeAnybodyHearsOfIt) {
  fill(5);
  TinyServer lagging(log_, Manners{.forgotten_through = Index(3), .lags_behind_at = 2});
  RequestId first;
  RequestId second;
  {
    auto client = connect(lagging);
    auto mine = client.open_session(path_).or_throw();
    first = mine.record("first").or_throw();
    second = mine.record("second").or_throw();
    auto one = mine.submit(first);
    auto other = mine.submit(second);
    EXPECT_EQ(verdict(std::move(one)), "committed");
    EXPECT_EQ(verdict(std::move(other)), "committed");
  }
  auto client = connect(lagging);
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(verdict(mine.submit(first)), "duplicate");
  EXPECT_EQ(verdict(mine.submit(second)), "duplicate");
  EXPECT_EQ(log_.size(), 7U);
}

TEST_F(DurableSessions, WithoutRoomForAnotherSessionNothingIsSentUnderIt) {
  fill(5);
  TinyServer lagging(log_, Manners{.forgotten_through = Index(3), .lags_behind_at = 2});
  auto client = connect(lagging);
  Disk disk;
  auto mine = open_on(client, disk);
  const RequestId id = mine.record("x").or_throw();
  disk.replaces_fail = true;

  EXPECT_EQ(verdict(mine.submit(id)), "session_expired/none");

  EXPECT_EQ(log_.size(), 5U);
  EXPECT_EQ(verdict(mine.submit(id)), "disk_full/none");
  disk.replaces_fail = false;
  EXPECT_EQ(verdict(mine.submit(id)), "committed");
}

TEST_F(DurableSessions, WhileAnythingOfItMayBeInTheLogAnExpiredSessionStays) {
  RequestId sent;
  {
    TinyServer server(log_);
    auto client = connect(server);
    auto mine = client.open_session(path_).or_throw();
    sent = mine.record("sent").or_throw();
    EXPECT_EQ(verdict(mine.submit(sent)), "committed");
  }
  TinyServer forgetful(log_, Manners{.forgotten_through = Index(0)});
  auto client = connect(forgetful);
  auto mine = client.open_session(path_).or_throw();
  const RequestId next = mine.record("next").or_throw();

  EXPECT_EQ(verdict(mine.submit(next)), "session_expired/none");
  ASSERT_TRUE(mine.acknowledge(sent));

  EXPECT_EQ(verdict(mine.submit(next)), "committed");
}

// It could still be let in, by a leader whose table has forgotten less.
TEST_F(DurableSessions, WhileAnythingOfItIsUnderWayAnExpiredSessionStays) {
  fill(1);
  TinyServer lagging(
      log_, Manners{.swallows = "lost", .forgotten_through = Index(0), .lags_behind_at = 0});
  auto client = connect(lagging);
  auto mine = client.open_session(path_).or_throw();
  const std::string before = content_of(path_);
  auto under_way = mine.submit(mine.record("lost").or_throw());

  EXPECT_EQ(verdict(mine.submit(mine.record("x").or_throw(), 500ms)), "session_expired/none");

  EXPECT_EQ(log_.size(), 1U);
  EXPECT_EQ(content_of(path_).substr(0, before.size()), before) << "as it was begun";
}

TEST_F(DurableSessions, WhatWasRefusedForCertainIsCertainForALaterProcessToo) {
  TinyServer server(log_);
  Disk disk;
  std::string left_by_a_kill;
  RequestId refused;
  {
    auto client = connect(server);
    auto mine = open_on(client, disk);
    refused = mine.record("refused").or_throw();
    EXPECT_EQ(verdict(mine.submit(refused, 0ms)), "timed_out/none");
    static_cast<void>(mine.record("next").or_throw());
    left_by_a_kill = *disk.content;
  }
  ASSERT_TRUE(connect(server).propose("of somebody else").get_for(patience).value());
  TinyServer forgetful(log_, Manners{.forgotten_through = Index(0)});
  auto client = connect(forgetful);
  for (const std::string& content : {left_by_a_kill, *disk.content}) {
    Disk found{.content = content};
    auto mine = open_on(client, found);

    EXPECT_FALSE(mine.unfinished().front().submitted);
    EXPECT_EQ(verdict(mine.submit(refused)), "committed");
  }
}

TEST_F(DurableSessions, WhatWasRefusedAndSentAgainIsNotCertainForALaterProcess) {
  TinyServer server(log_);
  Disk disk;
  auto client = connect(server);
  auto mine = open_on(client, disk);
  const RequestId id = mine.record("x").or_throw();
  EXPECT_EQ(verdict(mine.submit(id, 0ms)), "timed_out/none");
  static_cast<void>(mine.record("next").or_throw());
  EXPECT_EQ(verdict(mine.submit(id)), "committed");
  Disk left_by_a_kill{.content = disk.content};

  auto later = open_on(client, left_by_a_kill);

  EXPECT_TRUE(later.unfinished().front().submitted);
  EXPECT_EQ(verdict(later.submit(id)), "duplicate");
}

TEST_F(DurableSessions, AnIdThatAnOlderCopyGivesOutAgainIsNotAnsweredAsDone) {
  TinyServer server(log_);
  Disk disk;
  Disk older;
  {
    auto client = connect(server);
    auto mine = open_on(client, disk);
    older.content = disk.content;
    EXPECT_EQ(verdict(mine.submit(mine.record("tick").or_throw())), "committed");
  }
  auto client = connect(server);
  auto mine = open_on(client, older);
  const RequestId id = mine.record("tick").or_throw();

  EXPECT_EQ(verdict(mine.submit(id)), "request_id_reused/none");

  ASSERT_TRUE(mine.renew());
  EXPECT_EQ(verdict(mine.submit(id)), "committed");
  EXPECT_EQ(log_.size(), 2U);
}

TEST_F(DurableSessions, AnExpiryAfterASubmitOfAnEarlierProcessIsUnknownAndNotRenewedAway) {
  TinyServer server(log_);
  RequestId id;
  {
    auto client = connect(server);
    auto mine = client.open_session(path_).or_throw();
    id = mine.record("sent").or_throw();
    EXPECT_EQ(verdict(mine.submit(id)), "committed");
  }
  TinyServer forgetful(log_, Manners{.forgotten_through = Index(0)});
  auto client = connect(forgetful);
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(verdict(mine.submit(id)), "session_expired/unknown");
  EXPECT_EQ(refusal(mine.renew()), "invalid_argument");
  ASSERT_TRUE(mine.acknowledge(id));
  ASSERT_TRUE(mine.renew());
  EXPECT_EQ(verdict(mine.submit(mine.record("next").or_throw())), "committed");
}

TEST_F(DurableSessions, ARefusalIsCertainOnlyIfEverySubmitWasRefused) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();
  const RequestId id = mine.record("x").or_throw();
  EXPECT_EQ(verdict(mine.submit(id, 0ms)), "timed_out/none");
  EXPECT_EQ(verdict(mine.submit(id, 0ms)), "timed_out/none");

  EXPECT_EQ(verdict(mine.submit(id)), "committed");

  EXPECT_EQ(verdict(mine.submit(id, 0ms)), "unknown_outcome/unknown");
}

TEST_F(DurableSessions, AStoppedClientSubmitsNothing) {
  TinyServer server(log_);
  auto client = std::make_optional(connect(server));
  auto mine = client->open_session(path_).or_throw();
  const RequestId sent = mine.record("sent").or_throw();
  const RequestId kept = mine.record("kept").or_throw();
  EXPECT_EQ(verdict(mine.submit(sent)), "committed");

  client.reset();

  EXPECT_EQ(verdict(mine.submit(sent)), "unknown_outcome/unknown");
  EXPECT_EQ(verdict(mine.submit(kept)), "stopped/none");
  EXPECT_TRUE(mine.acknowledge(sent));
}

// Failures that took effect: what is in memory and what is on the disk are no longer the same.

TEST_F(DurableSessions, ARenewalThatFailedLateSendsNothingUnderTheOldSession) {
  TinyServer server(log_);
  auto client = connect(server);
  Disk disk;
  RequestId id;
  {
    auto mine = open_on(client, disk);
    id = mine.record("x").or_throw();
    EXPECT_EQ(verdict(mine.submit(id, 0ms)), "timed_out/none");
    disk.fails_late = true;
    EXPECT_EQ(refusal(mine.renew()), "io");

    EXPECT_EQ(verdict(mine.submit(id)), "io/none");
    EXPECT_EQ(log_.size(), 0U);
    disk.fails_late = false;
    EXPECT_EQ(verdict(mine.submit(id)), "committed");
  }

  auto mine = open_on(client, disk);
  EXPECT_EQ(verdict(mine.submit(id)), "duplicate");
  EXPECT_EQ(log_.size(), 1U);
}

TEST_F(DurableSessions, AnAcknowledgementThatFailedLateIsUndoneBeforeItsIdIsSubmittedAgain) {
  TinyServer server(log_);
  auto client = connect(server);
  Disk disk;
  RequestId id;
  {
    auto mine = open_on(client, disk);
    id = mine.record("x").or_throw();
    EXPECT_EQ(verdict(mine.submit(id, 0ms)), "timed_out/none");
    disk.fails_late = true;
    EXPECT_EQ(refusal(mine.acknowledge(id)), "io");

    EXPECT_EQ(verdict(mine.submit(id)), "io/none");
    EXPECT_EQ(verdict(mine.propose("x", id)), "io/none");
    EXPECT_EQ(log_.size(), 0U);
    disk.fails_late = false;
    EXPECT_EQ(verdict(mine.submit(id)), "committed");
  }

  auto mine = open_on(client, disk);
  ASSERT_EQ(mine.unfinished().size(), 1U);
  EXPECT_EQ(verdict(mine.submit(id)), "duplicate");
}

TEST_F(DurableSessions, ARefusalWhileAnotherSubmitOfItsIdGoesOnIsNotCertain) {
  TinyServer server(log_);
  std::promise<void> lost;
  ClientOptions options;
  options.on_event = [&](const ClientEvent& event) {
    if (event.kind == ClientEventKind::disconnected) lost.set_value();
  };
  auto client = ClusterClient::connect({server.url()}, options).or_throw();
  auto mine = client.open_session(path_).or_throw();
  const RequestId alone = mine.record("alone").or_throw();
  const RequestId twice = mine.record("twice").or_throw();
  server.kill();
  ASSERT_EQ(lost.get_future().wait_for(patience), std::future_status::ready);
  auto only = mine.submit(alone);
  auto first = mine.submit(twice);
  auto second = mine.submit(twice);

  only.give_up();
  first.give_up();

  EXPECT_EQ(verdict(std::move(only)), "cancelled/none");
  EXPECT_EQ(verdict(std::move(first)), "unknown_outcome/unknown");
}

TEST_F(DurableSessions, AFileIsHeldUntilTheLastCallOfItsSessionHasEnded) {
  TinyServer silent(log_, Manners{.answers = false});
  auto client = connect(silent);
  auto mine = std::make_optional(client.open_session(path_).or_throw());
  auto under_way = mine->submit(mine->record("x").or_throw());
  mine.reset();
  EXPECT_EQ(refusal(client.open_session(path_)), "session_locked");

  under_way.give_up();

  ASSERT_TRUE(under_way.get_for(patience));
  EXPECT_EQ(refusal(client.open_session(path_)), "no refusal");
}

TEST_F(DurableSessions, AFileStaysInTheFolderThatItWasOpenedIn) {
  TinyServer server(log_);
  auto client = connect(server);
  const std::string link = folder_ + "/link";
  for (const char* folder : {"/a", "/b"}) std::filesystem::create_directory(folder_ + folder);
  std::filesystem::create_directory_symlink("a", link);
  {
    auto mine = client.open_session(link + "/mine").or_throw();
    std::filesystem::remove(link);
    std::filesystem::create_directory_symlink("b", link);
    ASSERT_TRUE(mine.record("x"));
    ASSERT_TRUE(mine.renew());  // Writes the file anew.
    EXPECT_EQ(refusal(client.open_session(folder_ + "/a/mine")), "session_locked");
  }

  EXPECT_TRUE(std::filesystem::is_empty(folder_ + "/b"));
  EXPECT_EQ(client.open_session(folder_ + "/a/mine").or_throw().unfinished().size(), 1U);
}

TEST_F(DurableSessions, ALinkInPlaceOfTheFileIsRefusedByName) {
  TinyServer server(log_);
  auto client = connect(server);
  static_cast<void>(client.open_session(path_).or_throw());
  const std::string link = folder_ + "/link";
  std::filesystem::create_symlink("mine", link);

  const auto opened = client.open_session(link);

  EXPECT_EQ(refusal(opened), "session_unwritable");
  EXPECT_THAT(opened.error().message(), HasSubstr("the file itself"));
  EXPECT_TRUE(std::filesystem::is_symlink(link));
}

TEST_F(DurableSessions, IdsMayBeginAnywhereAndGoOnFromThere) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(verdict(mine.propose("x", RequestId(5000))), "committed");
  const auto far = mine.propose("y", RequestId(5000 + 1024)).get();
  EXPECT_EQ(far.error().code(), ErrorCode::window_full);
  EXPECT_THAT(far.error().message(), HasSubstr("acknowledge"));
  EXPECT_EQ(verdict(mine.propose("y", RequestId(5000 + 1023))), "committed");
  ASSERT_TRUE(mine.acknowledge(RequestId(5000)));
  ASSERT_TRUE(mine.acknowledge(RequestId(5000 + 1023)));
  EXPECT_EQ(verdict(mine.propose("z", RequestId(1'000'000))), "committed");
}

TEST_F(DurableSessions, TheLastIdOfAllIsNeverGivenOut) {
  TinyServer server(log_);
  auto client = connect(server);
  auto mine = client.open_session(path_).or_throw();
  constexpr std::uint64_t last = ~std::uint64_t{0};

  EXPECT_EQ(verdict(mine.propose("x", RequestId(last))), "invalid_argument/none");
  EXPECT_EQ(verdict(mine.propose("x", RequestId(last - 1))), "committed");
  EXPECT_EQ(refusal(mine.record("y")), "invalid_argument");
}

TEST_F(DurableSessions, AfterARestoreTheSessionShowsWhatIsUnfinishedAndIsRenewed) {
  TinyServer server(log_);
  RequestId sent;
  RequestId kept;
  {
    auto client = connect(server);
    auto mine = client.open_session(path_).or_throw();
    sent = mine.record("sent").or_throw();
    EXPECT_EQ(verdict(mine.submit(sent)), "committed");
    kept = mine.record("kept").or_throw();
  }
  TinyServer restored(log_, Manners{.history = "another"});
  auto client = connect(restored);
  auto mine = client.open_session(path_).or_throw();

  EXPECT_EQ(mine.unfinished().size(), 2U);
  EXPECT_EQ(verdict(mine.submit(sent)), "history_differs/unknown");
  EXPECT_EQ(verdict(mine.submit(kept)), "history_differs/none");
  EXPECT_EQ(refusal(mine.renew()), "invalid_argument");
  ASSERT_TRUE(mine.acknowledge(sent));
  ASSERT_TRUE(mine.renew());
  EXPECT_EQ(verdict(mine.submit(kept)), "committed");
}

}  // namespace
}  // namespace kuilt::testing
