// kuilt observe -- CMD: a program of the user's for each entry.
#include <signal.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

class EntryCommand : public testing::Test {
 protected:
  /// Proposes, and returns the index of the last.
  int propose(std::vector<std::string> commands, const std::string& input = "") {
    commands.insert(commands.begin(), {"propose", "-o", "json", "-e", servers_.urls()});
    const Outcome outcome = kuilt(std::move(commands), input);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return last_index_in(outcome.out);
  }
  /// `kuilt observe FLAGS -- sh -c SCRIPT`
  std::vector<std::string> line(std::vector<std::string> flags, const std::string& script) {
    flags.insert(flags.begin(), {"observe", "-e", servers_.urls()});
    flags.insert(flags.end(), {"--", "sh", "-c", script});
    return flags;
  }

  Servers servers_{1};
};

TEST_F(EntryCommand, RunsOnceForEachEntryInOrderAndIsToldWhichItIs) {
  const int last = propose({"first", "second"});

  const Outcome outcome = kuilt(line(
      {"--count", "2"}, "echo \"$KUILT_INDEX $KUILT_TERM $KUILT_AUTHOR <$KUILT_ROOM> $(cat)\""));

  const std::string term = " 2 tester <> ";
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out,
            std::to_string(last - 1) + term + "first\n" + std::to_string(last) + term + "second\n");
}

TEST_F(EntryCommand, GetsTheBytesAsTheyAreOrTheEntryAsJson) {
  propose({"a\tb\\c\x01"});

  const Outcome bytes = kuilt(line({"--count", "1"}, "od -An -c | tr -d ' \\n'"));
  const Outcome json = kuilt(line({"--count", "1", "-o", "json"}, "cat"));

  EXPECT_EQ(bytes.out, "a\\tb\\c001");
  EXPECT_THAT(json.out, HasSubstr("\"command_base64\":\"YQliXGMB\""));
  EXPECT_THAT(json.out, HasSubstr("\"author\":\"tester\""));
}

TEST_F(EntryCommand, OneThatReadsNothingHoldsNobodyUp) {
  propose({"-"}, std::string(1 << 20, 'x') + "\nshort\n");

  const Outcome outcome = kuilt(line({"--count", "2"}, "echo seen"));

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "seen\nseen\n");
}

TEST_F(EntryCommand, WhenItFailsNothingMoreIsHandedOverAndTheWayOnIsSaid) {
  const int last = propose({"one", "two", "three"});

  const Outcome outcome = kuilt(line({"--count", "3"}, "read x; echo $x; [ $x != two ] || exit 7"));

  EXPECT_EQ(outcome.status, 8);
  EXPECT_EQ(outcome.out, "one\ntwo\n");
  const std::string index = std::to_string(last - 1);
  EXPECT_THAT(outcome.err, HasSubstr("error: sh ended with status 7 at index " + index));
  EXPECT_THAT(outcome.err,
              HasSubstr("--from " + index + "; past it: --from " + std::to_string(last)));
  EXPECT_EQ(kuilt(line({"--from", std::to_string(last), "--count", "1"}, "cat")).out, "three");
}

TEST_F(EntryCommand, ItsDeathByASignalIsAFailureToo) {
  propose({"one"});

  const Outcome outcome = kuilt(line({"--count", "1"}, "kill -9 $$"));

  EXPECT_EQ(outcome.status, 8);
  EXPECT_THAT(outcome.err, HasSubstr("ended with status 137"));
}

TEST_F(EntryCommand, ItsOwnPipesEndAsUsual) {
  propose({"one"});

  const Outcome outcome = kuilt(line({"--count", "1"}, "yes | head -1"));

  EXPECT_EQ(outcome.status, 0) << "SIGPIPE must not be ignored there: " << outcome.err;
  EXPECT_EQ(outcome.out, "y\n");
  EXPECT_EQ(outcome.err.find("Broken pipe"), std::string::npos);
}

TEST_F(EntryCommand, AnInterruptIsPassedOnAndTheEndIsWaitedFor) {
  const int last = propose({"one"});
  std::vector<std::string> words =
      line({}, "trap 'echo put away; exit 3' TERM; echo begun; while :; do sleep 0.05; done");
  words.insert(words.begin(), KUILT_BINARY);
  Process observer(words);
  ASSERT_TRUE(observer.await_output("begun\n"));

  observer.signal(SIGTERM);
  const Outcome outcome = observer.wait();

  EXPECT_EQ(outcome.status, 130);
  EXPECT_EQ(outcome.out, "begun\nput away\n");
  EXPECT_THAT(outcome.err,
              HasSubstr("interrupted: sh ended with status 3 at index " + std::to_string(last)));
}

TEST(EntryCommandUsage, AProgramThatIsNotThereIsRefusedBeforeAnythingIsObserved) {
  for (const char* name : {"no-such-program", "./no-such-program", "/etc"}) {
    const Outcome outcome = kuilt({"observe", "-e", "ws://127.0.0.1:1", "--", name});

    EXPECT_EQ(outcome.status, 2) << name;
    EXPECT_THAT(outcome.err, HasSubstr("-- CMD: \"" + std::string(name) + "\" is no program"));
  }
}

}  // namespace
}  // namespace kuilt::cli
