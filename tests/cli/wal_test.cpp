// `kuilt wal` on the directories of real servers, running and stopped, sound and damaged.
#include <signal.h>

#include <filesystem>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>

#include "tests/cli/process.hpp"
#include "tests/cli/servers.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class WalTest : public testing::Test {
 protected:
  WalTest() {
    EXPECT_EQ(kuilt({"propose", "-e", servers_.urls(), "first", "second", "third"}).status, 0);
  }
  void stop(int signal = SIGTERM) { servers_->signal(0, signal).or_throw(); }
  [[nodiscard]] std::string data() { return servers_->servers().front().data; }
  /// The one that holds the commands.
  [[nodiscard]] std::string segment() {
    for (const auto& file : std::filesystem::directory_iterator(data() + "/log")) {
      if (read_file(file.path()).find("second") != std::string::npos) return file.path();
    }
    throw std::runtime_error("no segment holds the command");
  }
  /// Names and content of all files.
  [[nodiscard]] std::string state() {
    std::string text;
    for (const auto& file : std::filesystem::recursive_directory_iterator(data())) {
      text += file.path().string();
      if (file.is_regular_file()) text += read_file(file.path());
    }
    return text;
  }

  Servers servers_{1};
};

TEST_F(WalTest, DumpPrintsEveryEntryOfARunningServer) {
  const Outcome outcome = kuilt({"wal", "dump", data()});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("1\t1\tconfiguration\t-\n2\t2\tno_op\t-\n3\t2\tcommand"));
  EXPECT_THAT(commands_in(outcome.out), testing::IsSupersetOf({"first", "second", "third"}));
}

TEST_F(WalTest, DumpPrintsTheRangeThatWasAskedFor) {
  stop();

  const Outcome outcome =
      kuilt({"wal", "dump", data(), "--from", "4", "--until", "4", "-o", "json"});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\"index\":4,"));
  EXPECT_THAT(outcome.out, HasSubstr("\"committed\":"));
  EXPECT_THAT(outcome.out, HasSubstr("\"command\":\"second\""));
  EXPECT_THAT(outcome.out, Not(HasSubstr("first")));
}

TEST_F(WalTest, InspectSaysWhoseLogItIsWhatIsInItAndThatItIsSound) {
  stop();

  const Outcome outcome = kuilt({"wal", "inspect", data()});

  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("cluster   "));
  EXPECT_THAT(outcome.out, HasSubstr("wal-0000000000000001"));
  EXPECT_THAT(outcome.out, HasSubstr("sound: entries through 5, committed through at least "));
}

TEST_F(WalTest, NothingIsWritten) {
  stop();
  const std::string before = state();

  EXPECT_EQ(kuilt({"wal", "inspect", data()}).status, 0);
  EXPECT_EQ(kuilt({"wal", "verify", data() + "/log"}).status, 0);

  EXPECT_TRUE(state() == before);
}

TEST_F(WalTest, DamageIsNamedWithItsPlaceAndStatus7) {
  stop();
  const std::string file = segment();
  const std::size_t at = read_file(file).find("second");
  overwrite(file, static_cast<std::streamoff>(at), "sEcond");

  const Outcome verified = kuilt({"wal", "verify", data()});
  const Outcome dumped = kuilt({"wal", "dump", data()});

  EXPECT_EQ(verified.status, 7);
  EXPECT_THAT(verified.out, testing::ContainsRegex("DAMAGED: wal-[0-9]+, offset [0-9]+, after "));
  EXPECT_EQ(dumped.status, 7);
  EXPECT_THAT(dumped.err, HasSubstr("DAMAGED"));
}

TEST_F(WalTest, ATornEndIsSoundAndSaid) {
  stop(SIGKILL);
  const std::string file = segment();
  const std::size_t last_batch = read_file(file).rfind("KBAT");
  ASSERT_NE(last_batch, std::string::npos);
  overwrite(file, static_cast<std::streamoff>(last_batch) + 4096, std::string(100, 'x'));

  const Outcome outcome = kuilt({"wal", "verify", data()});

  EXPECT_EQ(outcome.status, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("a torn batch of 4096 bytes at the end"));
}

TEST(Wal, ADirectoryWithoutALogIsDamagedAndOneThatIsNotThereCannotBeRead) {
  const TemporaryFolder folder;

  const Outcome empty = kuilt({"wal", "verify", folder.path()});
  const Outcome none = kuilt({"wal", "verify", folder / "nowhere"});

  EXPECT_EQ(empty.status, 7);
  EXPECT_THAT(empty.out, HasSubstr("holds no segment of a log"));
  EXPECT_NE(none.status, 0);
  EXPECT_THAT(none.err, HasSubstr("nowhere"));
}

}  // namespace
}  // namespace kuilt::cli
