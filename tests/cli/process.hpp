// process.hpp: the executable and other programs, run as people run them. Every wait is bounded.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <ios>
#include <optional>
#include <string>
#include <vector>

namespace kuilt::cli {

/// What an ended process left behind.
struct Outcome {
  int status = -1;  ///< 128 + signal if a signal ended it.
  std::string out;
  std::string err;
};

/// A folder below the system's temporary one, removed at the end; kept for people to look at if the
/// test has failed.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// Waits until `condition` holds, looking again every few milliseconds. False: it took too long.
[[nodiscard]] bool await(const std::function<bool()>& condition,
                         std::chrono::seconds patience = std::chrono::seconds(30));

/// One running process. Destruction kills it.
///
/// Threads: one that reads; `write` and `signal` from any while it does.
class Process {
 public:
  /// Where its standard error goes: kept for the test to read, or to that of the test itself.
  enum class StandardError { kept, ours };

  /// Variables are "NAME=value"; the context of whoever runs the tests is never seen.
  explicit Process(std::vector<std::string> arguments, std::vector<std::string> variables = {},
                   StandardError standard_error = StandardError::kept);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void write(const std::string& input);
  void close_input();
  /// Nobody reads its output any more.
  void close_output();
  void signal(int number) const;
  /// Reads until `text` is in what it wrote to standard output (or error). False: it ended, or took
  /// too long.
  [[nodiscard]] bool await_output(const std::string& text);
  [[nodiscard]] bool await_error(const std::string& text);
  /// What it has written to standard output, as far as it was read.
  [[nodiscard]] const std::string& output() const { return outcome_.out; }
  [[nodiscard]] const std::string& errors() const { return outcome_.err; }
  /// The next line that it writes to standard output, without its end; it is not in the outcome.
  /// Nothing: it ended, or took too long.
  [[nodiscard]] std::optional<std::string> next_line();
  /// Whether it has written to standard output by now, or soon.
  [[nodiscard]] bool has_output();
  /// Waits for the end; kills what takes too long, whose status is then 137.
  Outcome wait();

 private:
  enum class Heard { something, end, nothing };
  Heard listen(std::chrono::steady_clock::time_point deadline);
  [[nodiscard]] bool await(const std::string& text, const std::string& in);
  int take(int& pipe, std::string& into);

  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  int error_ = -1;
  Outcome outcome_;
};

/// Runs kuilt with these arguments to its end.
Outcome kuilt(std::vector<std::string> arguments, const std::string& input = "",
              std::vector<std::string> variables = {});

void write_file(const std::string& path, const std::string& text);
/// Empty, if there is no such file.
[[nodiscard]] std::string read_file(const std::string& path);
/// Changes some bytes of a file, as a failing disk would.
void overwrite(const std::string& path, std::streamoff at, const std::string& bytes);

}  // namespace kuilt::cli
