#include "tests/cli/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

#include "kuilt/detail/check.hpp"
#include "tests/await.hpp"

namespace kuilt::cli {
namespace {

constexpr auto patience_max = std::chrono::seconds(30);

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

void close_pipe(int& pipe) {
  if (pipe >= 0) ::close(std::exchange(pipe, -1));
}

}  // namespace

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "kuilt-cli-XXXXXX").string();
  KUILT_CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  if (testing::Test::HasFailure()) {
    std::printf("what the test left: %s\n", path_.c_str());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool await(const std::function<bool()>& condition, std::chrono::seconds patience) {
  constexpr auto look_interval = std::chrono::milliseconds(5);
  return comes_true(condition, patience, look_interval);
}

Process::Process(std::vector<std::string> arguments, std::vector<std::string> variables,
                 StandardError standard_error) {
  ::signal(SIGPIPE, SIG_IGN);  // What ends early does not read its input.
  variables.insert(variables.end(),
                   {"PATH=/usr/bin:/bin", "XDG_CONFIG_HOME=/nonexistent", "USER=tester"});
  std::vector<char*> argv = pointers(arguments);
  std::vector<char*> envp = pointers(variables);
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  for (auto* pipe : {&in, &out}) KUILT_CHECK(::pipe2(pipe->data(), O_CLOEXEC) == 0);
  const bool kept = standard_error == StandardError::kept;
  if (kept) KUILT_CHECK(::pipe2(err.data(), O_CLOEXEC) == 0);
  pid_ = ::fork();
  KUILT_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    if (kept) ::dup2(err[1], STDERR_FILENO);
    ::execve(argv.front(), argv.data(), envp.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  input_ = in[1];
  output_ = out[0];
  if (!kept) return;
  ::close(err[1]);
  error_ = err[0];
}

Process::~Process() {
  if (pid_ >= 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  for (int* pipe : {&input_, &output_, &error_}) close_pipe(*pipe);
}

void Process::write(const std::string& input) {
  std::size_t sent = 0;
  while (sent < input.size()) {
    const ssize_t one = ::write(input_, input.data() + sent, input.size() - sent);
    if (one <= 0) return;  // It wants no more.
    sent += static_cast<std::size_t>(one);
  }
}

void Process::close_input() { close_pipe(input_); }
void Process::close_output() { close_pipe(output_); }
void Process::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int Process::take(int& pipe, std::string& into) {
  std::array<char, 4096> chunk{};
  const ssize_t got = ::read(pipe, chunk.data(), chunk.size());
  if (got <= 0) {
    close_pipe(pipe);
    return 0;
  }
  into.append(chunk.data(), static_cast<std::size_t>(got));
  return static_cast<int>(got);
}

Process::Heard Process::listen(std::chrono::steady_clock::time_point deadline) {
  if (output_ < 0 && error_ < 0) return Heard::end;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  std::array<pollfd, 2> pipes{{{.fd = output_, .events = POLLIN, .revents = 0},
                               {.fd = error_, .events = POLLIN, .revents = 0}}};
  if (left.count() <= 0) return Heard::nothing;
  if (::poll(pipes.data(), pipes.size(), static_cast<int>(left.count())) <= 0) {
    return Heard::nothing;
  }
  if (pipes[0].revents != 0) take(output_, outcome_.out);
  if (pipes[1].revents != 0) take(error_, outcome_.err);
  return Heard::something;
}

bool Process::await(const std::string& text, const std::string& in) {
  const auto deadline = std::chrono::steady_clock::now() + patience_max;
  while (in.find(text) == std::string::npos) {
    if (listen(deadline) != Heard::something) return false;
  }
  return true;
}

bool Process::await_output(const std::string& text) { return await(text, outcome_.out); }
bool Process::await_error(const std::string& text) { return await(text, outcome_.err); }

std::optional<std::string> Process::next_line() {
  const auto deadline = std::chrono::steady_clock::now() + patience_max;
  std::string& heard = outcome_.out;
  while (heard.find('\n') == std::string::npos) {
    if (listen(deadline) != Heard::something) return std::nullopt;
  }
  const auto end = heard.find('\n');
  std::string line = heard.substr(0, end);
  heard.erase(0, end + 1);
  return line;
}

bool Process::has_output() {
  constexpr auto soon = std::chrono::milliseconds(200);
  const auto deadline = std::chrono::steady_clock::now() + soon;
  while (outcome_.out.empty() && listen(deadline) == Heard::something) {
  }
  return !outcome_.out.empty();
}

Outcome Process::wait() {
  close_input();
  const auto deadline = std::chrono::steady_clock::now() + patience_max;
  Heard heard = Heard::something;
  while (heard == Heard::something) heard = listen(deadline);
  if (heard == Heard::nothing) ::kill(pid_, SIGKILL);
  int raw = 0;
  ::waitpid(std::exchange(pid_, -1), &raw, 0);
  outcome_.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return outcome_;
}

Outcome kuilt(std::vector<std::string> arguments, const std::string& input,
              std::vector<std::string> variables) {
  arguments.insert(arguments.begin(), KUILT_BINARY);
  Process process(std::move(arguments), std::move(variables));
  process.write(input);
  return process.wait();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  KUILT_CHECK(file.flush().good());
}

void overwrite(const std::string& path, std::streamoff at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(at);
  file << bytes;
  KUILT_CHECK(file.flush().good());
}

}  // namespace kuilt::cli
