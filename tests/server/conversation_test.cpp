// What a client may say and what it hears, over both subprotocols, against a real node and real
// sockets. Every guard is asked for by name.
#include <gtest/gtest.h>

#include <optional>

#include "server/client_link.hpp"
#include "server/open.hpp"
#include "tests/server/talker.hpp"

namespace kuilt::server {
namespace {

/// A hello with one thing changed.
template <class Change>
wire::Hello hello_with(Change change) {
  wire::Hello hello;
  change(hello);
  return hello;
}
wire::Hello named(const std::string& name) {
  return hello_with([&](wire::Hello& hello) { hello.name = name; });
}
wire::Hello numbered(std::uint64_t client, std::uint32_t link) {
  return hello_with([&](wire::Hello& hello) {
    hello.client = client;
    hello.link = link;
  });
}

class Conversation : public testing::TestWithParam<Encoding> {
 protected:
  void start(std::size_t clients_max = 100, StateMachine* state_machine = nullptr) {
    ServerOptions options;
    options.name = "a";
    options.data = "";
    options.listen = with_real_port("127.0.0.1:0").or_throw();
    options.segment_bytes = std::uint64_t{4} << 20;
    options.clients_max = clients_max;
    node_ = open_mesh_node(options, plan_mesh({options}).or_throw(),
                           std::make_shared<InProcessMesh>(), state_machine,
                           {.on_failed = [](const Error&) {}, .on_news = [](const auto&) {}})
                .or_throw();
    node_->admit_clients().or_throw();
  }
  /// A client that the server has welcomed.
  std::unique_ptr<Talker> welcomed(wire::Hello hello = {}) {
    auto talker = std::make_unique<Talker>(GetParam());
    EXPECT_TRUE(talker->connect(node_->client_urls().front()));
    talker->say(hello);
    welcome_ = talker->hear<wire::Welcome>();
    EXPECT_TRUE(welcome_.has_value());
    return talker;
  }
  std::unique_ptr<Talker> stranger() {
    auto talker = std::make_unique<Talker>(GetParam());
    EXPECT_TRUE(talker->connect(node_->client_urls().front()));
    return talker;
  }
  static void expect_goodbye(Talker& talker, ErrorCode code) {
    const auto goodbye = talker.hear<wire::Goodbye>();
    ASSERT_TRUE(goodbye.has_value());
    EXPECT_EQ(goodbye->code, code) << goodbye->message;
    EXPECT_FALSE(goodbye->message.empty());
    EXPECT_TRUE(talker.hears_the_end());
  }
  static wire::Outcome outcome(Talker& talker, wire::Proposal proposal) {
    talker.say(wire::Propose{{std::move(proposal)}});
    const auto answers = talker.hear<wire::Answers>();
    EXPECT_TRUE(answers && answers->answers.size() == 1);
    return answers ? answers->answers.front().outcome : wire::Outcome{};
  }
  static wire::Proposal proposal(const std::string& command) {
    wire::Proposal one;
    one.number = 1;
    one.command = Bytes(command);
    return one;
  }

  /// In a session of the client's own, so that it can be repeated.
  [[nodiscard]] wire::Proposal proposal(const std::string& command,
                                        std::uint64_t request_id) const {
    wire::Proposal one = proposal(command);
    one.session = SessionId::named("session");
    one.birth = welcome_->commit.index;
    one.request_id = RequestId(request_id);
    return one;
  }

  std::unique_ptr<Node> node_;
  std::optional<wire::Welcome> welcome_;
};

TEST_P(Conversation, AHelloIsWelcomedWithAllThatAClientNeeds) {
  start();

  welcomed(named("ada"));

  EXPECT_EQ(welcome_->server_name, "a");
  EXPECT_EQ(welcome_->principal, "ada");
  EXPECT_EQ(welcome_->endpoints, std::vector<std::string>{node_->client_urls().front()});
  EXPECT_EQ(welcome_->limits.command_bytes_max, 1U << 20);
  EXPECT_FALSE(welcome_->cluster.is_none());
}

TEST_P(Conversation, AFirstMessageThatIsNoHelloIsRefused) {
  start();
  auto talker = stranger();

  talker->say(wire::Observe{"", wire::FromStart{}, 0});

  expect_goodbye(*talker, ErrorCode::hello_expected);
}

TEST_P(Conversation, AHelloOverFourKiBEndsTheLink) {
  start();
  auto talker = stranger();

  talker->say(hello_with([](wire::Hello& hello) { hello.token = std::string(5000, 't'); }));

  EXPECT_TRUE(talker->hears_the_end());
}

TEST_P(Conversation, SilenceInsteadOfAHelloEndsTheLinkAfterFiveSeconds) {
  start();
  auto talker = stranger();

  EXPECT_TRUE(talker->hears_the_end());
}

TEST_P(Conversation, VersionsThatDoNotMeetAreRefused) {
  start();
  auto talker = stranger();

  talker->say(hello_with([](wire::Hello& hello) {
    hello.version_min = 7;
    hello.version_max = 9;
  }));

  expect_goodbye(*talker, ErrorCode::version_unsupported);
}

TEST_P(Conversation, AClientOfAnotherClusterIsRefused) {
  start();
  auto talker = stranger();

  talker->say(hello_with([](wire::Hello& hello) { hello.cluster = ClusterId::named("another"); }));

  expect_goodbye(*talker, ErrorCode::wrong_cluster);
}

TEST_P(Conversation, ASecondHelloIsRefused) {
  start();
  auto talker = welcomed();

  talker->say(wire::Hello{});

  expect_goodbye(*talker, ErrorCode::bad_frame);
}

TEST_P(Conversation, BytesThatAreNoMessageAreRefused) {
  start();
  for (const char* bytes : {"", "{", "[]", "\x0a\x7f", "{\"vote\":{}}"}) {
    auto talker = welcomed();
    talker->say_bytes(Bytes(std::string(bytes)));
    expect_goodbye(*talker, ErrorCode::bad_frame);
  }
}

TEST_P(Conversation, ATruncatedMessageIsRefused) {
  start();
  auto talker = welcomed();
  const Bytes whole =
      wire::encode(wire::ClientMessage(wire::Propose{{proposal("hello")}}), GetParam());

  talker->say_bytes(whole.slice(0, whole.size() - 3));

  expect_goodbye(*talker, ErrorCode::bad_frame);
}

TEST_P(Conversation, AMessageBetweenServersIsRefused) {
  start();
  auto talker = welcomed();

  talker->say_bytes(wire::encode(wire::PeerMessage(
      raft::Message(raft::VoteRequest{Term(99), false, Position{Index(99), Term(98)}}))));

  // In a text frame these bytes are no UTF-8, which WebSocket itself refuses (RFC 6455, 8.1).
  if (GetParam() == Encoding::protobuf) expect_goodbye(*talker, ErrorCode::bad_frame);
  EXPECT_TRUE(talker->hears_the_end());
}

TEST_P(Conversation, AProposalIsCommittedAndObserved) {
  start();
  auto talker = welcomed(named("ada"));
  talker->say(wire::Observe{"", wire::FromStart{}, 0});
  ASSERT_TRUE(talker->hear<wire::ObserveReply>().has_value());

  const auto result = outcome(*talker, proposal("move"));

  const auto* committed = std::get_if<wire::CommittedOutcome>(&result);
  ASSERT_NE(committed, nullptr);
  auto second = welcomed();
  second->say(wire::Observe{"", wire::FromStart{}, 0});
  std::vector<Bytes> entries;
  while (entries.empty()) {
    const auto feed = second->hear<wire::Feed>();
    ASSERT_TRUE(feed.has_value());
    entries = feed->entries;
  }
  const auto entry = wire::decode_feed_entry(entries.front()).or_throw();
  EXPECT_EQ(entry.at, committed->at);
  EXPECT_EQ(entry.author, "ada");
  EXPECT_EQ(entry.command.text(), "move");
}

TEST_P(Conversation, ARepeatUnderTheSameIdIsTheSameEntryAndAReuseIsRefused) {
  start();
  auto talker = welcomed();
  const wire::Proposal first = proposal("move", 1);
  wire::Proposal reuse = first;
  reuse.command = Bytes(std::string("another move"));

  const auto once = std::get<wire::CommittedOutcome>(outcome(*talker, first));
  const auto again = std::get<wire::CommittedOutcome>(outcome(*talker, first));
  const auto refused = std::get<wire::RefusedOutcome>(outcome(*talker, reuse));

  EXPECT_EQ(again.at, once.at);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(refused.code, ErrorCode::request_id_reused);
}

/// Returns how many commands it has taken in; or a long result, if it is asked to.
struct Counting final : StateMachine {
  Bytes apply(const LogEntry& entry) override {
    if (entry.command.text() == "long") return Bytes(std::string(result_bytes_max, 'x'));
    return Bytes(std::to_string(++count));
  }
  int count = 0;
};

TEST_P(Conversation, ARepeatBringsTheOriginalResult) {
  Counting machine;
  start(100, &machine);
  auto talker = welcomed();
  const auto propose = [&](std::uint64_t id) {
    return std::get<wire::CommittedOutcome>(outcome(*talker, proposal("move", id)));
  };

  const wire::CommittedOutcome first = propose(1);
  const wire::CommittedOutcome second = propose(2);
  const wire::CommittedOutcome again = propose(1);

  EXPECT_EQ(first.result, Bytes("1"));
  EXPECT_EQ(second.result, Bytes("2"));
  EXPECT_EQ(again.at, first.at);
  EXPECT_TRUE(again.duplicate);
  EXPECT_EQ(again.result, Bytes("1"));
  node_.reset();
}

TEST_P(Conversation, ResultsBeyondWhatALinkMayHaveUnreadAreLeftOutAndTheLinkLives) {
  Counting machine;
  start(100, &machine);
  auto talker = welcomed();
  static constexpr std::uint64_t many = 40;  // 40 MiB of results: more than sockets hold.
  for (std::uint64_t id = 1; id <= many; ++id) {
    talker->say(wire::Propose{{proposal("long", id)}});
  }
  talker->read_nothing_until([this] {
    const CoreView view = node_->core_view();
    return view.counters.proposals == many && view.waiting == 0;
  });

  std::uint64_t answered = 0;
  std::uint64_t results = 0;
  while (answered < many) {
    const auto answers = talker->hear<wire::Answers>();
    ASSERT_TRUE(answers.has_value()) << "the link lives";
    for (const wire::Answer& each : answers->answers) {
      ++answered;
      results += std::get<wire::CommittedOutcome>(each.outcome).result ? 1 : 0;
    }
  }

  EXPECT_GE(results, 1U) << "one always fits";
  EXPECT_LT(results, many);
  node_.reset();
}

TEST_P(Conversation, ACommandOverTheLimitIsRefusedAndTheLinkLives) {
  start();
  auto talker = welcomed();

  const auto refused = outcome(*talker, proposal(std::string((1 << 20) + 1, 'x')));
  const auto accepted = outcome(*talker, proposal(std::string(1 << 19, 'x')));

  ASSERT_TRUE(std::holds_alternative<wire::RefusedOutcome>(refused));
  EXPECT_EQ(std::get<wire::RefusedOutcome>(refused).code, ErrorCode::command_too_large);
  EXPECT_TRUE(std::get<wire::RefusedOutcome>(refused).certain);
  EXPECT_TRUE(std::holds_alternative<wire::CommittedOutcome>(accepted));
}

TEST_P(Conversation, ASessionThatNobodyWasToldOfIsExpired) {
  start();
  auto talker = welcomed();
  wire::Proposal one = proposal("move");
  one.session = SessionId::named("session");
  one.birth = Index(1'000'000);
  one.request_id = RequestId(1);

  const auto refused = outcome(*talker, one);

  ASSERT_TRUE(std::holds_alternative<wire::RefusedOutcome>(refused));
  EXPECT_EQ(std::get<wire::RefusedOutcome>(refused).code, ErrorCode::session_expired);
}

TEST_P(Conversation, APlaceInAnotherHistoryOrClusterIsNamed) {
  start();
  auto talker = welcomed();
  const wire::ResumePoint other_history{welcome_->cluster, HistoryId::named("other"), {}, 0};
  const wire::ResumePoint other_cluster{ClusterId::named("other"), welcome_->history, {}, 0};

  talker->say(wire::Observe{"", other_history, 0});
  const auto differs = talker->hear<wire::ObserveReply>();
  talker->say(wire::Observe{"", other_cluster, 0});
  const auto elsewhere = talker->hear<wire::ObserveReply>();

  ASSERT_TRUE(differs && elsewhere);
  EXPECT_EQ(differs->verdict, wire::ObserveVerdict::history_differs);
  EXPECT_EQ(elsewhere->verdict, wire::ObserveVerdict::not_this_cluster);
}

TEST_P(Conversation, AClientAheadOfTheServerIsHeldAndThenSentElsewhere) {
  start();
  auto talker = welcomed();
  const Position ahead{Index(1'000'000), Term(9)};

  talker->say(
      wire::Observe{"", wire::ResumePoint{welcome_->cluster, welcome_->history, ahead, 0}, 0});
  const auto reply = talker->hear<wire::ObserveReply>();

  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(reply->verdict, wire::ObserveVerdict::behind);
}

TEST_P(Conversation, ARoomTooManyIsRefusedAndTheLinkLives) {
  start();
  auto talker = welcomed();
  const auto verdict_on = [&](const RoomName& room) {
    talker->say(wire::Observe{room, wire::FromNow{}, 0});
    const auto reply = talker->hear<wire::ObserveReply>();
    return reply ? reply->verdict : wire::ObserveVerdict{};
  };
  for (int i = 0; i < 64; ++i) {
    ASSERT_EQ(verdict_on(std::to_string(i)), wire::ObserveVerdict::resumed);
  }

  EXPECT_EQ(verdict_on("one too many"), wire::ObserveVerdict::refused);

  EXPECT_TRUE(std::holds_alternative<wire::CommittedOutcome>(outcome(*talker, proposal("x"))));
}

TEST_P(Conversation, AReadBarrierIsAnsweredWithTheIndexOfWhatWasAcknowledged) {
  start();
  auto talker = welcomed();
  const auto done = outcome(*talker, proposal("x"));
  ASSERT_TRUE(std::holds_alternative<wire::CommittedOutcome>(done));

  talker->say(wire::ReadBarrier{7});

  const auto answer = talker->hear<wire::BarrierAnswer>();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->number, 7U);
  const auto* reached = std::get_if<wire::Reached>(&answer->outcome);
  ASSERT_NE(reached, nullptr);
  EXPECT_EQ(reached->index, std::get<wire::CommittedOutcome>(done).at.index);
}

TEST_P(Conversation, ANewerLinkOfTheSameNumberTakesTheOldOnesPlace) {
  start();
  auto old_link = welcomed(numbered(7, 1));
  auto other_number = welcomed(numbered(7, 2));

  auto new_link = welcomed(numbered(7, 1));

  expect_goodbye(*old_link, ErrorCode::replaced);
  EXPECT_TRUE(
      std::holds_alternative<wire::CommittedOutcome>(outcome(*other_number, proposal("x"))));
  EXPECT_TRUE(std::holds_alternative<wire::CommittedOutcome>(outcome(*new_link, proposal("y"))));
}

TEST_P(Conversation, OneClientTooManyIsToldSoBeforeItIsServed) {
  start(1);
  auto first = welcomed();
  Talker second(GetParam());

  EXPECT_FALSE(second.connect(node_->client_urls().front()));

  ASSERT_TRUE(second.refusal.has_value());
  EXPECT_EQ(second.refusal->code(), ErrorCode::too_many_clients);
}

TEST_P(Conversation, ADrainTellsClientsWhereToGo) {
  start();
  auto talker = welcomed();

  node_->drain(0s);

  expect_goodbye(*talker, ErrorCode::draining);
}

INSTANTIATE_TEST_SUITE_P(Both, Conversation, testing::Values(Encoding::protobuf, Encoding::json),
                         [](const auto& encoding) {
                           return encoding.param == Encoding::json ? "Json" : "Protobuf";
                         });

}  // namespace
}  // namespace kuilt::server
