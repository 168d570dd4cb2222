// kuilt check: what passes, what fails, and what could not be asked.
#include <signal.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "cli/check.hpp"
#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<bool> verdicts(const std::vector<Finding>& findings) {
  std::vector<bool> verdicts;
  for (const Finding& one : findings) verdicts.push_back(one.passes);
  return verdicts;
}

ResumeToken token_at(std::uint64_t index, std::uint64_t digest) {
  return {ClusterId::named("c"), HistoryId::named("h"), {Index(index), Term(1)}, digest};
}

TEST(CheckPerf, EachFigureFailsBeyondItsLimitAlone) {
  const BenchFigures good{.proposals_per_second = 5000,
                          .of_bare_loop = 0.5,
                          .latency = 5ms,
                          .fdatasync = 500us,
                          .refused = 0};
  BenchFigures slow_disk = good;
  slow_disk.fdatasync = 11ms;
  BenchFigures slow = good;
  slow.latency = 101ms;
  BenchFigures refusing = good;
  refusing.refused = 1;
  BenchFigures weak = good;
  weak.of_bare_loop = 0.09;

  EXPECT_THAT(verdicts(judge_performance(good)), ElementsAre(true, true, true, true));
  EXPECT_THAT(verdicts(judge_performance(slow_disk)), ElementsAre(false, true, true, true));
  EXPECT_THAT(verdicts(judge_performance(slow)), ElementsAre(true, false, true, true));
  EXPECT_THAT(verdicts(judge_performance(refusing)), ElementsAre(true, true, false, true));
  EXPECT_THAT(verdicts(judge_performance(weak)), ElementsAre(true, true, true, false));
}

TEST(CheckPerf, SaysPassOrFailForEachFigureAndEndsAccordingly) {
  const Outcome outcome =
      kuilt({"check", "perf", "--voters", "1", "--clients", "4", "--seconds", "0.3"});

  const bool fails = outcome.out.find("FAIL") != std::string::npos;
  EXPECT_EQ(outcome.status, fails ? 8 : 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("  one fdatasync: "), HasSubstr("(at most 10 ms)")));
  EXPECT_THAT(outcome.out, HasSubstr("PASS  proposals refused: 0 (none)"));
}

TEST(CheckConsistency, AnythingThatDiffersFromTheFirstFailsByName) {
  const ResumeToken first = token_at(17, 1);
  ResumeToken cluster = first;
  cluster.cluster = ClusterId::named("other");
  ResumeToken history = first;
  history.history = HistoryId::named("other");
  ResumeToken term = first;
  term.position.term = Term(2);

  const auto findings = judge_consistency({{"ws://down", std::nullopt, "refused"},
                                           {"ws://a", first, ""},
                                           {"ws://b", first, ""},
                                           {"ws://c", token_at(17, 2), ""},
                                           {"ws://d", cluster, ""},
                                           {"ws://e", history, ""},
                                           {"ws://f", term, ""}});

  EXPECT_THAT(verdicts(findings), ElementsAre(false, true, true, false, false, false, false));
  EXPECT_EQ(findings[0].figure, "refused");
  EXPECT_THAT(findings[3].limit, HasSubstr("another history than the first"));
  EXPECT_THAT(findings[4].limit, HasSubstr("another cluster"));
  EXPECT_THAT(findings[5].limit, HasSubstr("another history id"));
  EXPECT_THAT(findings[6].limit, HasSubstr("another term"));
}

TEST(CheckConsistency, ServersOfOneClusterAgreeAtOneIndex) {
  Servers servers(3);
  ASSERT_EQ(kuilt({"propose", "-e", servers.urls(), "one", "two"}).status, 0);

  const Outcome all = kuilt({"check", "consistency", "-e", servers.urls()});
  servers->signal((servers.leader() + 1) % 3, SIGKILL).or_throw();
  const Outcome two = kuilt({"check", "consistency", "--deadline", "2s", "-e", servers.urls()});

  EXPECT_EQ(all.status, 0) << all.out << all.err;
  EXPECT_THAT(all.out, AllOf(HasSubstr("PASS  ws://"), Not(HasSubstr("FAIL"))));
  EXPECT_EQ(two.status, 8) << two.out << two.err;
  EXPECT_THAT(two.out, AllOf(HasSubstr("PASS"), HasSubstr("could not be asked")));
}

TEST(CheckConsistency, TwoClustersAreNotOneHistory) {
  Servers one(1);
  Servers other(1);

  const Outcome outcome =
      kuilt({"check", "consistency", "-e", one.urls() + "," + other.urls(), "-o", "json"});

  EXPECT_EQ(outcome.status, 8) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"passes\":false"));
  EXPECT_THAT(outcome.out, HasSubstr("is of another cluster than the first"));
}

}  // namespace
}  // namespace kuilt::cli
