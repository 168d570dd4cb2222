// What ClientSessionTable says of proposals, and that it is a function of the log alone.
#include "cluster/sessions.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kuilt/detail/rng.hpp"

namespace kuilt::cluster {
namespace {

const SessionId mine = SessionId::named("mine");
const SessionId other = SessionId::named("other");

wire::Proposal proposal(SessionId session, std::uint64_t request_id, std::string command = "x") {
  wire::Proposal made;
  made.session = session;
  made.birth = Index(1);
  made.request_id = RequestId(request_id);
  made.author = "ann";
  made.command = Bytes(std::move(command));
  return made;
}

wire::Command command_of(const wire::Proposal& proposal, std::uint64_t index, LogTime stamp = {}) {
  wire::Command command;
  command.at = {Index(index), Term(1)};
  command.log_time = stamp;
  command.room = proposal.room;
  command.author = proposal.author;
  command.request_id = proposal.request_id;
  command.body = proposal.command;
  command.session = proposal.session;
  command.birth = proposal.birth;
  command.floor = proposal.floor;
  command.digest = wire::command_digest(proposal.room, proposal.command);
  return command;
}

using Verdict = ClientSessionTable::Verdict;

bool appends(const Verdict& verdict) {
  return std::holds_alternative<ClientSessionTable::Append>(verdict);
}
std::optional<Position> repeats(const Verdict& verdict) {
  const auto* repeat = std::get_if<ClientSessionTable::Repeat>(&verdict);
  return repeat == nullptr ? std::nullopt : std::optional(repeat->at);
}
// The name of the guard that refused, or "" if none did.
std::string guard(const Verdict& verdict) {
  const auto* refuse = std::get_if<ClientSessionTable::Refuse>(&verdict);
  return refuse == nullptr ? "" : std::string(name_of(refuse->code));
}
std::string reason(const Verdict& verdict) {
  const auto* refuse = std::get_if<ClientSessionTable::Refuse>(&verdict);
  return refuse == nullptr ? "" : refuse->message;
}

raft::Parameters small_parameters() {
  return {.command_bytes_max = 8,
          .session_window = 4,
          .sessions_max = 3,
          .sessions_per_principal_max = 2,
          .session_expiry = Duration(100)};
}

class Sessions : public testing::Test {
 protected:
  // Appends at the next index.
  void append(const wire::Proposal& each, LogTime stamp = {}) {
    table.append(command_of(each, last.value() + 1, stamp));
    last = last.next();
  }
  Verdict judge(const wire::Proposal& each, LogTime stamp = {}) const {
    return table.judge(each, last, stamp);
  }

  ClientSessionTable table{small_parameters()};
  Index last{1};
};

TEST_F(Sessions, AWellFormedFirstProposalIsAppended) {
  EXPECT_TRUE(appends(judge(proposal(mine, 1))));
}

TEST_F(Sessions, AProposalWithoutASessionIsInvalid) {
  const auto verdict = judge(proposal(SessionId(), 1));

  EXPECT_EQ(guard(verdict), "invalid_argument");
  EXPECT_EQ(reason(verdict), "the proposal names no session");
}

TEST_F(Sessions, RequestIdZeroIsInvalid) {
  const auto verdict = judge(proposal(mine, 0));

  EXPECT_EQ(guard(verdict), "invalid_argument");
  EXPECT_EQ(reason(verdict), "request id 0: the first is 1");
}

TEST_F(Sessions, AFloorThatCoversTheRequestItselfIsInvalid) {
  auto covered = proposal(mine, 2);
  covered.floor = RequestId(2);
  auto below = proposal(mine, 2);
  below.floor = RequestId(1);

  EXPECT_EQ(guard(judge(covered)), "invalid_argument");
  EXPECT_EQ(reason(judge(covered)), "floor 2 is not below request id 2");
  EXPECT_TRUE(appends(judge(below)));
}

TEST_F(Sessions, NamesThatAreTooLongAreInvalid) {
  auto room = proposal(mine, 1);
  room.room.assign(wire::room_bytes_max, 'r');
  EXPECT_TRUE(appends(judge(room)));
  room.room += 'r';
  auto author = proposal(mine, 1);
  author.author.assign(wire::principal_bytes_max + 1, 'a');

  EXPECT_EQ(reason(judge(room)), "room name of 129 bytes; at most 128");
  EXPECT_EQ(reason(judge(author)), "author of 129 bytes; at most 128");
}

TEST_F(Sessions, ACommandOverTheLimitIsTooLarge) {
  EXPECT_TRUE(appends(judge(proposal(mine, 1, "12345678"))));

  EXPECT_EQ(guard(judge(proposal(mine, 1, "123456789"))), "command_too_large");
}

TEST_F(Sessions, AnotherBirthUnderAKnownSessionIsExpired) {
  append(proposal(mine, 1));
  auto reborn = proposal(mine, 2);
  reborn.birth = Index(2);

  EXPECT_EQ(guard(judge(reborn)), "session_expired");
  EXPECT_EQ(reason(judge(reborn)), "the session was opened with birth 1, not 2");
}

TEST_F(Sessions, ASessionServesOnlyThePrincipalThatOpenedIt) {
  append(proposal(mine, 1));
  auto foreign = proposal(mine, 1);
  foreign.author = "bob";

  EXPECT_EQ(guard(judge(foreign)), "not_allowed");
}

TEST_F(Sessions, ARequestAtOrBelowTheFloorIsBelowFloor) {
  auto second = proposal(mine, 2);
  second.floor = RequestId(1);
  append(proposal(mine, 1));
  append(second);

  EXPECT_EQ(guard(judge(proposal(mine, 1))), "below_floor");
  EXPECT_EQ(repeats(judge(second)), (Position{Index(3), Term(1)}));
}

TEST_F(Sessions, TheSameRequestIsARepeatAndOthersAreNot) {
  append(proposal(mine, 2));

  EXPECT_EQ(repeats(judge(proposal(mine, 2))), (Position{Index(2), Term(1)}));
  EXPECT_TRUE(appends(judge(proposal(mine, 1)))) << "ids may arrive in any order";
  EXPECT_TRUE(appends(judge(proposal(mine, 3))));
  EXPECT_TRUE(appends(judge(proposal(other, 2))));
}

TEST_F(Sessions, TheSameIdWithOtherBytesIsReused) {
  append(proposal(mine, 1));
  auto elsewhere = proposal(mine, 1);
  elsewhere.room = "room";

  EXPECT_EQ(guard(judge(proposal(mine, 1, "y"))), "request_id_reused");
  EXPECT_EQ(guard(judge(elsewhere)), "request_id_reused");
}

TEST_F(Sessions, AnIdTooFarAboveTheFloorFindsTheWindowFull) {
  append(proposal(mine, 1));
  auto acknowledged = proposal(mine, 5);
  acknowledged.floor = RequestId(1);

  EXPECT_TRUE(appends(judge(proposal(mine, 4))));
  EXPECT_EQ(guard(judge(proposal(mine, 5))), "window_full");
  EXPECT_TRUE(appends(judge(acknowledged))) << "its own floor counts already";
  EXPECT_EQ(guard(judge(proposal(other, 5))), "window_full") << "for the first one, too";
}

TEST_F(Sessions, AnUnknownSessionFromTheFutureIsExpired) {
  auto unborn = proposal(mine, 1);
  unborn.birth = Index(2);
  EXPECT_EQ(guard(judge(unborn)), "session_expired");

  last = Index(2);
  EXPECT_TRUE(appends(judge(unborn)));
}

TEST_F(Sessions, AnUnknownSessionThatMayHaveBeenForgottenIsExpired) {
  append(proposal(mine, 1), LogTime(0));
  append(proposal(other, 1), LogTime(100));  // Here the first one expires.
  auto later = proposal(mine, 1);
  later.birth = Index(2);

  EXPECT_EQ(table.forgotten_through(), Index(1));
  EXPECT_EQ(guard(judge(proposal(mine, 1))), "session_expired");
  EXPECT_TRUE(appends(judge(later)));
}

TEST_F(Sessions, NewSessionsAreRefusedAtTheLimitAndOldOnesStay) {
  auto bobs = proposal(SessionId::named("bob's"), 1);
  bobs.author = "bob";
  auto carls = proposal(SessionId::named("carl's"), 1);
  carls.author = "carl";
  append(proposal(mine, 1));
  append(proposal(other, 1));

  EXPECT_EQ(reason(judge(proposal(SessionId::named("third"), 1))),
            "the cluster keeps 2 sessions of one principal at most");
  EXPECT_TRUE(appends(judge(bobs)));
  append(bobs);
  EXPECT_EQ(reason(judge(carls)), "the cluster keeps 3 sessions at most");
  EXPECT_EQ(guard(judge(carls)), "too_many_sessions");
  EXPECT_TRUE(appends(judge(proposal(mine, 2))));
}

TEST_F(Sessions, AFullTableLetsNewSessionsInOnceOldOnesExpire) {
  for (const char* name : {"ann", "bob", "carl"}) {
    auto first = proposal(SessionId::named(name), 1);
    first.author = name;
    append(first);
  }
  auto fourth = proposal(mine, 1);
  fourth.author = "dora";

  EXPECT_EQ(guard(judge(fourth, LogTime(99))), "too_many_sessions");
  EXPECT_TRUE(appends(judge(fourth, LogTime(100))));
  append(fourth, LogTime(100));
  EXPECT_EQ(table.size(), 1U);
}

TEST_F(Sessions, AStampNeverExpiresTheSessionThatItsEntryUses) {
  append(proposal(mine, 1), LogTime(0));
  ASSERT_TRUE(appends(judge(proposal(mine, 2), LogTime(1000))));

  append(proposal(mine, 2), LogTime(1000));

  EXPECT_EQ(table.expired(), 0U);
  EXPECT_EQ(repeats(judge(proposal(mine, 1))), (Position{Index(2), Term(1)}));
}

TEST_F(Sessions, ASessionExpiresOnlyAfterItsLastUse) {
  append(proposal(mine, 1), LogTime(0));
  append(proposal(mine, 2), LogTime(60));
  append(proposal(other, 1), LogTime(159));
  EXPECT_EQ(table.size(), 2U);

  append(proposal(other, 2), LogTime(160));

  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.expired(), 1U);
  EXPECT_FALSE(table.find(mine, RequestId(2)).has_value());
}

TEST_F(Sessions, TruncationBringsBackWhatAnEntryMadeExpire) {
  append(proposal(mine, 1), LogTime(0));
  const std::uint64_t before = table.digest();
  append(proposal(other, 1), LogTime(100));
  ASSERT_EQ(table.size(), 1U);

  table.truncate_after(Index(2));

  EXPECT_EQ(table.digest(), before);
  EXPECT_EQ(repeats(judge(proposal(mine, 1))), (Position{Index(2), Term(1)}));
}

TEST_F(Sessions, AReleasedEntryCannotBeTakenBack) {
  append(proposal(mine, 1));
  table.release(Index(2));
  append(proposal(mine, 2));

  table.truncate_after(Index(2));

  EXPECT_TRUE(table.find(mine, RequestId(1)).has_value());
  EXPECT_FALSE(table.find(mine, RequestId(2)).has_value());
  EXPECT_DEATH(table.truncate_after(Index(1)), "check failed");
}

// Draws proposals in which everything that the table reacts to is frequent.
wire::Proposal random_proposal(Rng& rng, Index last) {
  static const std::vector<std::string> authors = {"ann", "bob"};
  const std::string name = "session" + std::to_string(rng.below(6));
  auto made = proposal(SessionId::named(name), 1 + rng.below(8), std::string(rng.below(3), 'x'));
  made.floor = RequestId(rng.below(made.request_id.value()));
  made.author = authors[rng.below(authors.size())];
  made.birth = Index(1 + rng.below(last.value() + 2));
  return made;
}

ClientSessionTable recomputed(const std::vector<wire::Command>& log) {
  ClientSessionTable table(small_parameters());
  for (const wire::Command& command : log) table.append(command);
  return table;
}

struct RandomLog {
  std::vector<wire::Proposal> proposals;  // What the commands borrow from.
  std::uint64_t truncations = 0;
  std::uint64_t expired = 0;
  std::uint64_t repeats = 0;
};

RandomLog run_random_log(std::uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  RandomLog run;
  run.proposals.reserve(400);
  std::vector<wire::Command> log;  // From index 2 on: sessions are born at 1 at the earliest.
  ClientSessionTable table(small_parameters());
  std::size_t released = 0;  // Of the log's entries.
  LogTime stamp;
  for (int step = 0; step < 400; ++step) {
    if (rng.chance(10)) {
      const std::size_t keep = released + rng.below(log.size() - released + 1);
      run.truncations += keep < log.size() ? 1 : 0;
      log.resize(keep);
      table.truncate_after(Index(keep + 1));
      stamp = log.empty() ? LogTime() : log.back().log_time;
    } else if (rng.chance(10)) {
      released += rng.below(log.size() - released + 1);
      table.release(Index(released + 1));
    } else {
      const LogTime next(stamp.value() + rng.below(40));
      run.proposals.push_back(random_proposal(rng, Index(log.size() + 1)));
      const Verdict verdict = table.judge(run.proposals.back(), Index(log.size() + 1), next);
      run.repeats += repeats(verdict) ? 1U : 0U;
      if (!appends(verdict)) continue;
      stamp = next;
      log.push_back(command_of(run.proposals.back(), log.size() + 2, stamp));
      table.append(log.back());
      EXPECT_LE(table.size(), small_parameters().sessions_max);
    }
    EXPECT_EQ(table.digest(), recomputed(log).digest());
    if (testing::Test::HasFailure()) break;
  }
  run.expired = table.expired();
  return run;
}

TEST(SessionsAtRandom, ATableThatWasTruncatedEqualsOneMadeFromWhatIsLeft) {
  RandomLog all;
  for (std::uint64_t seed = 1; seed <= 100 && !HasFailure(); ++seed) {
    const RandomLog run = run_random_log(seed);
    all.truncations += run.truncations;
    all.expired += run.expired;
    all.repeats += run.repeats;
  }

  EXPECT_GT(all.truncations, 100U);
  EXPECT_GT(all.expired, 100U);
  EXPECT_GT(all.repeats, 10U);
}

}  // namespace
}  // namespace kuilt::cluster
