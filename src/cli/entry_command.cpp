#include "cli/entry_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

std::string why(int number) { return std::strerror(number); }

bool is_executable(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

/// As execvp looks for it.
bool is_program(const std::string& name) {
  if (name.find('/') != std::string::npos) return is_executable(name);
  const char* found = std::getenv("PATH");
  std::istringstream path(found == nullptr ? "/bin:/usr/bin" : found);
  for (std::string folder; std::getline(path, folder, ':');) {
    if (is_executable(folder + "/" + name)) return true;
  }
  return false;
}

/// A descriptor that is closed at the end.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

/// In memory rather than in a pipe: who does not read it holds nobody up.
bool fill(int file, std::string_view input) {
  while (!input.empty()) {
    const ssize_t written = ::write(file, input.data(), input.size());
    if (written < 0 && errno != EINTR) return false;
    if (written > 0) input.remove_prefix(static_cast<std::size_t>(written));
  }
  return ::lseek(file, 0, SEEK_SET) == 0;
}

std::vector<std::string> environment_for(const LogEntry& entry) {
  std::vector<std::string> variables = {"KUILT_INDEX=" + std::to_string(entry.index.value()),
                                        "KUILT_TERM=" + std::to_string(entry.term.value()),
                                        "KUILT_AUTHOR=" + escaped(entry.author),
                                        "KUILT_ROOM=" + escaped(entry.room)};
  const std::size_t own = variables.size();
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view inherited(*one);
    const std::string_view name = inherited.substr(0, inherited.find('='));
    bool is_ours = false;
    for (std::size_t i = 0; i < own; ++i) {
      is_ours = is_ours || variables[i].substr(0, variables[i].find('=')) == name;
    }
    if (!is_ours) variables.emplace_back(inherited);
  }
  return variables;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

/// Returns errno.
int spawn(std::vector<std::string> words, std::vector<std::string> variables, int input,
          pid_t& pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t to_default;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  ::posix_spawnattr_init(&attributes);
  ::sigemptyset(&to_default);
  ::sigaddset(&to_default, SIGPIPE);  // We ignore it; a pipeline of the user's lives on it.
  ::posix_spawnattr_setsigdefault(&attributes, &to_default);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int trouble = ::posix_spawnp(&pid, words.front().c_str(), &actions, &attributes,
                                     pointers(words).data(), pointers(variables).data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return trouble;
}

/// Returns its exit status, as a shell would.
int await_end(pid_t pid) {
  constexpr int look_ms = 100;  // A signal handler can't wake a poll that has not begun yet.
  // Not pidfd_open: glibc 2.36 declares it for C only.
  const Descriptor end(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool passed_on = false;
  pollfd ended{.fd = end.get(), .events = POLLIN, .revents = 0};
  while (::poll(&ended, 1, look_ms) <= 0) {
    if (interrupt() != 0 && !std::exchange(passed_on, true)) ::kill(pid, interrupt());
  }
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

}  // namespace

Result<EntryCommand> EntryCommand::find(std::vector<std::string> words) {
  if (!is_program(words.front())) {
    return Error(ErrorCode::usage, "\"" + words.front() + "\" is no program, here or in PATH");
  }
  return EntryCommand(std::move(words));
}

Result<int> EntryCommand::run(const LogEntry& entry, std::string_view input) const {
  const Descriptor file(::memfd_create("kuilt entry", MFD_CLOEXEC));
  if (file.get() < 0 || !fill(file.get(), input)) {
    return Error(ErrorCode::io, Effect::none, "hand the command to " + name() + ": " + why(errno));
  }
  pid_t pid = -1;
  if (const int trouble = spawn(words_, environment_for(entry), file.get(), pid); trouble != 0) {
    return Error(ErrorCode::io, Effect::none, "start " + name() + ": " + why(trouble));
  }
  return await_end(pid);
}

}  // namespace kuilt::cli
