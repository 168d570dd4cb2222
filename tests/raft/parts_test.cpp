#include "raft/invariants.hpp"
#include "tests/raft/fixture.hpp"

namespace kuilt::raft::test {
namespace {

LogView log_of(const std::vector<std::uint64_t>& terms, Position base = {}) {
  Boot from = boot(a, voters({a}), {}, terms, base);
  return {from.base, from.terms, from.last, from.tail};
}

TEST(LogView, KnowsTheTermOfEveryIndexAndOfTheBaseButOfNoOther) {
  const LogView log = log_of({7, 7, 9}, at(1000, 7));

  EXPECT_EQ(log.term_at(Index(999)), std::nullopt);
  EXPECT_EQ(log.term_at(Index(1000)), Term(7));
  EXPECT_EQ(log.term_at(Index(1002)), Term(7));
  EXPECT_EQ(log.term_at(Index(1003)), Term(9));
  EXPECT_EQ(log.term_at(Index(1004)), std::nullopt);
}

TEST(LogView, TruncationForgetsTermsAndAppendingGoesOnFromThere) {
  LogView log = log_of({1, 2, 3});

  log.truncate_after(Index(1));
  log.append(command(2, 5));

  EXPECT_EQ(log.last(), at(2, 5));
  EXPECT_EQ(log.terms(), (std::vector<TermRange>{{Index(1), Term(1)}, {Index(2), Term(5)}}));
}

TEST(LogView, EvictedEntriesKeepTheirTerms) {
  LogView log = log_of({1, 2, 3});

  log.evict(Index(2), 0);

  EXPECT_EQ(log.first_in_memory(), Index(3));
  EXPECT_EQ(log.term_at(Index(1)), Term(1));
}

TEST(Durability, WriteThatWasOvertakenByATruncationVouchesOnlyForWhatIsLeft) {
  Durability durability(Index(4));
  const WriteSeq first = durability.order(Index(10), Instant{});
  durability.truncate_after(Index(2));
  const WriteSeq second = durability.order(Index(8), Instant{});
  EXPECT_EQ(durability.index(), Index(2));

  durability.finish(first);
  EXPECT_EQ(durability.index(), Index(2));
  EXPECT_EQ(durability.write_of(Index(3)), second);

  durability.finish(second);
  durability.finish(first);
  EXPECT_EQ(durability.index(), Index(8));
}

TEST(Durability, AgeIsThatOfTheOldestUnfinishedWrite) {
  Durability durability(Index(0));
  EXPECT_EQ(durability.age(Instant(5s)), 0s);
  const WriteSeq first = durability.order(Index(1), Instant(1s));
  durability.order(Index(2), Instant(3s));
  EXPECT_EQ(durability.age(Instant(5s)), 4s);

  durability.finish(first);

  EXPECT_EQ(durability.age(Instant(5s)), 2s);
}

TEST(Options, EachComplaintNamesTheValueAndTheLimit) {
  const auto complaint = [](auto change) {
    Options options;
    change(options);
    return complaint_about(options).value_or("none");
  };
  using testing::HasSubstr;

  EXPECT_EQ(complaint([](Options&) {}), "none");
  EXPECT_THAT(complaint([](Options& o) { o.heartbeat_interval = 10us; }), HasSubstr("10 us"));
  EXPECT_THAT(complaint([](Options& o) { o.election_timeout_min = 99ms; }), HasSubstr("100000 us"));
  EXPECT_THAT(complaint([](Options& o) { o.election_timeout_max = 300ms; }),
              HasSubstr("election_timeout_max"));
  EXPECT_THAT(complaint([](Options& o) { o.election_timeout_max = 24h * 25; }),
              HasSubstr("may not be above"));
  EXPECT_THAT(complaint([](Options& o) { o.retransmit_after = 1ms; }), HasSubstr("retransmit"));
  EXPECT_THAT(complaint([](Options& o) { o.disk_stall_max = 49ms; }), HasSubstr("49000 us"));
  EXPECT_EQ(complaint([](Options& o) { o.disk_stall_max = 50ms; }), "none");
  EXPECT_THAT(complaint([](Options& o) { o.disk_stall_max = 24h * 366; }), HasSubstr("disk_stall"));
  EXPECT_THAT(complaint([](Options& o) { o.append_bytes_max = 0; }), HasSubstr("append_bytes"));
  EXPECT_THAT(complaint([](Options& o) { o.window_bytes_max = 1; }), HasSubstr("window_bytes"));
  EXPECT_THAT(complaint([](Options& o) { o.uncommitted_bytes_max = 1; }),
              HasSubstr("uncommitted_bytes"));
  EXPECT_THAT(complaint([](Options& o) { o.term_jump_max = 0; }), HasSubstr("term_jump"));
}

View view_with(const std::vector<std::uint64_t>& terms, std::uint64_t commit) {
  return view_of(Core({}, boot(a, voters({a, b}), {Term(9), b}, terms, {}, commit), 1, Instant{}));
}

TEST(Invariants, ASoundStepBreaksNothing) {
  const View before = view_with({1, 1, 2}, 2);
  const View after = view_with({1, 1, 3, 3}, 3);

  EXPECT_EQ(broken_now(before), std::nullopt);
  EXPECT_EQ(broken_between(before, after), std::nullopt);
  EXPECT_EQ(broken_among(std::vector{before, after}), std::nullopt);
}

TEST(Invariants, EachIsSeenToBreak) {
  const View sound = view_with({1, 1, 2}, 2);

  View view = sound;
  view.commit = Index(4);
  EXPECT_EQ(broken_now(view), "the commit index is inside the log");
  EXPECT_EQ(broken_between(view, sound), "the commit index never goes down");
  view = sound;
  view.hard.term = Term(1);
  EXPECT_EQ(broken_now(view), "no entry is from a later term than the server's own");
  EXPECT_EQ(broken_between(sound, view), "a server's term never goes down");
  view = sound;
  view.hard.vote = a;
  EXPECT_EQ(broken_between(sound, view), "a vote is final within its term");
  EXPECT_EQ(broken_between(sound, view_with({1, 2, 2}, 2)), "a committed entry never changes");
  view = sound;
  view.role = Role::leader;
  EXPECT_EQ(broken_now(view), "a leader voted for itself");
  EXPECT_EQ(broken_between(view,
                           [&] {
                             View cut = view;
                             cut.last = Index(2);
                             return cut;
                           }()),
            "a leader never changes its own log but by appending");
  EXPECT_EQ(broken_among(std::vector{view, view}), "a term has one leader at most");
  EXPECT_EQ(broken_among(std::vector{view_with({1, 1, 4}, 0), view_with({1, 3, 4}, 0)}),
            "logs that share an entry are equal before it");
  EXPECT_EQ(broken_among(std::vector{view_with({1, 1}, 2), view_with({1, 3}, 2)}),
            "no two servers commit differently");
}

}  // namespace
}  // namespace kuilt::raft::test
