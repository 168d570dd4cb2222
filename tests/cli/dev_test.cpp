// kuilt dev: a table and keys on a terminal, lines elsewhere.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "kuilt/detail/check.hpp"
#include "tests/await.hpp"
#include "tests/cli/process.hpp"

namespace kuilt::cli {
namespace {

using testing::HasSubstr;

constexpr auto patience = std::chrono::seconds(30);

/// `kuilt dev` as people see it: on a terminal of its own, whose other end is the test.
class DevOnATerminal : public testing::Test {
 protected:
  DevOnATerminal() {
    std::vector<std::string> words = {KUILT_BINARY, "dev", "--dir", folder_ / "dev"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::array<char*, 3> envp = {config_.data(), path_.data(), nullptr};
    pid_ = ::forkpty(&screen_, nullptr, nullptr, nullptr);
    KUILT_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      ::execve(argv.front(), argv.data(), envp.data());
      ::_exit(127);
    }
    // Of the terminal's: nobody but this test and the command may keep it open.
    ::fcntl(screen_, F_SETFD, FD_CLOEXEC);
  }
  ~DevOnATerminal() override {
    hang_up();
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void hang_up() {
    if (screen_ >= 0) ::close(std::exchange(screen_, -1));
  }
  void press(char key) const { EXPECT_EQ(::write(screen_, &key, 1), 1); }

  /// Reads until the screen shows this, after all that was awaited before.
  bool await(const std::string& text) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (true) {
      const std::size_t at = shown_.find(text, awaited_);
      if (at != std::string::npos) {
        awaited_ = at + text.size();
        return true;
      }
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0 || !readable(screen_, left) || !read_some()) return false;
    }
  }
  /// The exit status; 128 + signal. Reads on, so that what is still painted finds its way.
  int await_end() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    int raw = 0;
    while (::waitpid(pid_, &raw, WNOHANG) == 0) {
      if (readable(screen_, std::chrono::milliseconds(10))) read_some();
      if (std::chrono::steady_clock::now() > deadline) ::kill(pid_, SIGKILL);
    }
    pid_ = -1;
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  }
  [[nodiscard]] Outcome run(std::vector<std::string> words) const {
    return kuilt(std::move(words), "", {config_});
  }
  [[nodiscard]] bool echoes() const {
    termios state{};
    return ::tcgetattr(screen_, &state) == 0 && (state.c_lflag & ECHO) != 0;
  }
  [[nodiscard]] std::string terminal_name() const { return ::ptsname(screen_); }
  /// Whether none of the servers answers any more, now or soon.
  [[nodiscard]] bool servers_end() const {
    return comes_true([this] { return run({"status"}).status == 3; }, patience);
  }
  [[nodiscard]] const std::string& shown() const { return shown_; }

 private:
  static bool readable(int file, std::chrono::milliseconds wait) {
    pollfd input{.fd = file, .events = POLLIN, .revents = 0};
    return ::poll(&input, 1, static_cast<int>(wait.count())) > 0;
  }
  bool read_some() {
    std::array<char, 4096> chunk{};
    const ssize_t got = ::read(screen_, chunk.data(), chunk.size());
    if (got <= 0) return false;  // The other end is closed.
    shown_.append(chunk.data(), static_cast<std::size_t>(got));
    return true;
  }

  TemporaryFolder folder_;
  std::string config_ = "XDG_CONFIG_HOME=" + folder_.path();
  std::string path_ = "PATH=/usr/bin:/bin";
  pid_t pid_ = -1;
  int screen_ = -1;
  std::string shown_;
  std::size_t awaited_ = 0;
};

TEST_F(DevOnATerminal, AKeyKillsAServerAndStartsItAgainAndQQuits) {
  ASSERT_TRUE(await("keys: 1 to 3 kill or start a server, l moves the lead, q quits")) << shown();
  EXPECT_FALSE(echoes()) << "keys come one by one, and are not shown";

  press('1');
  ASSERT_TRUE(await("killed a")) << shown();
  ASSERT_TRUE(await("down; key 1 starts it")) << shown();
  const Outcome without = run({"propose", "two of three go on"});
  press('9');
  press('1');
  ASSERT_TRUE(await("started a")) << shown();
  const Outcome with = run({"propose", "and so do three"});
  press('q');
  const int status = await_end();

  EXPECT_EQ(without.status, 0) << without.err;
  EXPECT_EQ(with.status, 0) << with.err;
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(servers_end());
}

TEST_F(DevOnATerminal, TheKeyLMovesTheLead) {
  ASSERT_TRUE(await("q quits")) << shown();
  const auto leader = [this] {
    const std::string text = run({"status"}).out;
    const std::string before = "well: leader ";
    const std::size_t at = text.find(before);
    return at == std::string::npos ? "" : text.substr(at + before.size(), 1);
  };
  const std::string before = leader();

  press('l');

  ASSERT_TRUE(await(", was " + before)) << shown();
  EXPECT_NE(leader(), before);
  EXPECT_EQ(run({"propose", "goes on"}).status, 0);
}

TEST_F(DevOnATerminal, TheTerminalIsGivenBackAsItWas) {
  ASSERT_TRUE(await("q quits")) << shown();
  // Held open, so that it outlives the command as a person's terminal does.
  const int held = ::open(terminal_name().c_str(), O_RDWR | O_NOCTTY);
  ASSERT_GE(held, 0);

  press('q');
  const int status = await_end();

  EXPECT_EQ(status, 0);
  EXPECT_TRUE(echoes());
  ::close(held);
}

TEST_F(DevOnATerminal, ATerminalThatGoesAwayEndsIt) {
  ASSERT_TRUE(await("q quits")) << shown();

  hang_up();
  const int status = await_end();

  EXPECT_THAT(status, testing::AnyOf(0, 128 + SIGHUP));
  EXPECT_TRUE(servers_end()) << "and leaves none behind";
}

TEST(Dev, RunsAClusterUntilItIsTold) {
  const TemporaryFolder folder;
  Process dev({KUILT_BINARY, "dev", "--dir", folder / "dev"}, {"XDG_CONFIG_HOME=" + folder.path()});
  ASSERT_TRUE(dev.await_output("leader "));

  const Outcome proposed =
      kuilt({"propose", "found by the context"}, "", {"XDG_CONFIG_HOME=" + folder.path()});
  dev.signal(SIGTERM);
  const Outcome ended = dev.wait();

  EXPECT_EQ(proposed.status, 0) << proposed.err;
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_THAT(ended.out, HasSubstr("kuilt observe"));
  EXPECT_THAT(ended.out, HasSubstr("3 of 3 servers run"));
}

}  // namespace
}  // namespace kuilt::cli
