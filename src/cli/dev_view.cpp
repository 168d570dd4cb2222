#include "cli/dev_view.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "cli/admin_transfer.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

constexpr auto look_interval = std::chrono::milliseconds(500);

const char* const two_lines_to_try = "in another terminal:\n  kuilt observe\n  kuilt propose hello";

/// Keys come one by one and are not shown, as long as this lives.
class KeyByKey {
 public:
  KeyByKey() {
    ::tcgetattr(STDIN_FILENO, &before_);
    termios now = before_;
    now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
  }
  KeyByKey(const KeyByKey&) = delete;
  KeyByKey& operator=(const KeyByKey&) = delete;
  ~KeyByKey() { ::tcsetattr(STDIN_FILENO, TCSANOW, &before_); }

  /// 0, if none comes in time; 'q' once there is no terminal any more.
  [[nodiscard]] static char next() {
    pollfd input{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (::poll(&input, 1, static_cast<int>(look_interval.count())) <= 0) return 0;
    char key = 0;
    return ::read(STDIN_FILENO, &key, 1) == 1 ? key : 'q';
  }

 private:
  termios before_{};
};

std::string row_of(LocalCluster& cluster, std::size_t place) {
  const LocalServer& server = cluster.servers().at(place);
  char line[160];
  std::string role = "down";
  AdminStatus status;
  if (server.pid < 0) {
    role = "down; key " + std::to_string(place + 1) + " starts it";
  } else if (const auto answer = cluster.status(place)) {
    status = *answer;
    role = status.role;
  } else {
    role = "silent";
  }
  std::snprintf(line, sizeof line, "%zu  %-5s %-23s %6llu %9llu %8llu  %s", place + 1,
                server.name.c_str(), ("ws://" + server.client_address).c_str(),
                static_cast<unsigned long long>(status.term),
                static_cast<unsigned long long>(status.commit),
                static_cast<unsigned long long>(status.clients), role.c_str());
  return line;
}

/// What ended by itself since the last look.
std::vector<std::string> endings(LocalCluster& cluster) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < cluster.servers().size(); ++i) {
    if (const auto status = cluster.ended(i)) {
      lines.push_back("server " + cluster.servers()[i].name + " ended with status " +
                      std::to_string(*status) + ": " + cluster.last_words(i));
    }
  }
  return lines;
}

/// Kills it, or starts it again.
std::string toggle(LocalCluster& cluster, std::size_t place) {
  const LocalServer& server = cluster.servers().at(place);
  if (server.pid < 0) {
    const Status status = cluster.start(place);
    return status ? "started " + server.name : status.error().message();
  }
  const auto killed = cluster.signal(place, SIGKILL);
  return killed ? "killed " + server.name : killed.error().message();
}

/// From whoever leads to whoever is best suited.
std::string move_lead(const LocalCluster& cluster) {
  std::vector<std::string> admins;
  for (const LocalServer& server : cluster.servers()) {
    if (server.pid >= 0) admins.push_back(server.admin_address);
  }
  if (admins.empty()) return "no server runs";
  const auto moved = transfer_lead(admins, "", std::chrono::milliseconds(0));
  return moved ? "leader " + moved->leader + ", was " + moved->before : moved.error().message();
}

class Table {
 public:
  explicit Table(LocalCluster& cluster) : cluster_(cluster) {}

  void say(std::string line) { message_ = std::move(line); }
  /// False: nobody looks any more.
  [[nodiscard]] bool paint() {
    std::string text = painted_ == 0 ? "" : "\x1b[" + std::to_string(painted_) + "A\x1b[J";
    text += "   name  URL                       term    commit  clients  role\n";
    for (std::size_t i = 0; i < cluster_.servers().size(); ++i) text += row_of(cluster_, i) + '\n';
    text += "keys: 1 to " + std::to_string(cluster_.servers().size()) +
            " kill or start a server, l moves the lead, q quits";
    painted_ = cluster_.servers().size() + 3;
    return put_line(text + '\n' + message_);
  }

 private:
  LocalCluster& cluster_;
  std::size_t painted_ = 0;  ///< Lines that the next painting goes over.
  std::string message_;
};

/// What the servers agree on, in one line; equal as long as nothing changed.
std::string summary(const LocalCluster& cluster) {
  AdminStatus newest;
  std::size_t running = 0;
  for (std::size_t i = 0; i < cluster.servers().size(); ++i) {
    if (cluster.servers()[i].pid < 0) continue;
    const auto answer = cluster.status(i);
    if (!answer) continue;
    running += 1;
    if (!answer->leader.empty() && answer->term >= newest.term) newest = *answer;
  }
  const std::string up =
      std::to_string(running) + " of " + std::to_string(cluster.servers().size()) + " servers run";
  if (newest.leader.empty()) return "no leader, " + up;
  return "leader " + newest.leader + " in term " + std::to_string(newest.term) + ", " + up;
}

}  // namespace

int run_dev_table(LocalCluster& cluster) {
  const KeyByKey terminal;
  if (!put_line(two_lines_to_try)) return 0;
  Table table(cluster);
  while (interrupt() == 0 && table.paint()) {
    const char key = KeyByKey::next();
    if (key == 'q') break;
    if (key == 'l') table.say(move_lead(cluster));
    const auto place = static_cast<std::size_t>(key - '1');
    if (key >= '1' && place < cluster.servers().size()) table.say(toggle(cluster, place));
    for (std::string& line : endings(cluster)) table.say(std::move(line));
  }
  return 0;
}

int run_dev_lines(LocalCluster& cluster) {
  for (const LocalServer& server : cluster.servers()) {
    if (!put_line("server " + server.name + " ws://" + server.client_address + " admin " +
                  server.admin_address + " pid " + std::to_string(server.pid) + " log " +
                  server.log_file)) {
      return 0;
    }
  }
  if (!put_line(two_lines_to_try)) return 0;
  std::string told;
  while (interrupt() == 0 && !reader_has_gone()) {
    for (const std::string& line : endings(cluster)) {
      if (!put_line(line)) return 0;
    }
    if (std::string line = summary(cluster); line != told) {
      if (!put_line(line)) return 0;
      told = std::move(line);
    }
    std::this_thread::sleep_for(look_interval);
  }
  return 0;
}

}  // namespace kuilt::cli
