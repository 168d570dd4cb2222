#include "cli/local_cluster.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "server/secret.hpp"

namespace kuilt::cli {
namespace {

namespace fs = std::filesystem;

std::string why() { return std::strerror(errno); }

/// A port that was free a moment ago. Several are held together, so that they differ.
class PortHolder {
 public:
  ~PortHolder() {
    for (const int socket : sockets_) ::close(socket);
  }
  Result<std::string> take() {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return Error(ErrorCode::io, Effect::none, "open a socket: " + why());
    sockets_.push_back(socket);
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (::bind(socket, raw, size) != 0 || ::getsockname(socket, raw, &size) != 0) {
      return Error(ErrorCode::io, Effect::none, "find a free port: " + why());
    }
    return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }

 private:
  std::vector<int> sockets_;
};

/// The same ports, on the addresses of another host.
void move_to(const LocalHost& host, LocalServer& server) {
  const auto at = [](const std::string& host_name, std::string& address) {
    address = host_name + address.substr(address.rfind(':'));
  };
  at(host.client_host, server.client_address);
  at(host.client_host, server.admin_address);
  at(host.peer_host, server.peer_address);
}

/// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(const std::vector<char*>& arguments, int log) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // Nobody outlives the test or the demo.
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::setpgid(0, 0);  // Ctrl-C is for the parent, which decides what to do with its servers.
  ::execv(arguments.front(), arguments.data());
  ::_exit(127);
}

int exit_status(int raw) { return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw); }

}  // namespace

Result<LocalCluster> LocalCluster::prepare(LocalClusterOptions options) {
  LocalCluster cluster(std::move(options));
  if (Status status = cluster.lay_out(); !status) return std::move(status).error();
  return cluster;
}

LocalCluster::LocalCluster(LocalCluster&& other) noexcept
    : options_(std::move(other.options_)), servers_(std::exchange(other.servers_, {})) {}

LocalCluster& LocalCluster::operator=(LocalCluster&& other) noexcept {
  std::swap(options_, other.options_);
  std::swap(servers_, other.servers_);
  return *this;
}

LocalCluster::~LocalCluster() {
  for (LocalServer& server : servers_) {
    if (server.pid < 0) continue;
    ::kill(server.pid, SIGKILL);
    ::waitpid(server.pid, nullptr, 0);
  }
}

Status LocalCluster::lay_out() {
  std::error_code error;
  fs::create_directories(options_.directory, error);
  if (error) {
    return Error(ErrorCode::directory_unwritable,
                 "make directory " + options_.directory + ": " + error.message());
  }
  if (is_laid_out(options_.directory)) return read_layout();
  PortHolder ports;
  for (std::size_t i = 0; i < options_.servers; ++i) {
    LocalServer server;
    server.name = std::string(1, static_cast<char>('a' + i));
    for (std::string* address :
         {&server.client_address, &server.peer_address, &server.admin_address}) {
      auto port = ports.take();
      if (!port) return std::move(port).error();
      *address = *std::move(port);
    }
    if (i < options_.hosts.size()) move_to(options_.hosts[i], server);
    server.data = options_.directory + "/" + server.name;
    server.log_file = options_.directory + "/" + server.name + ".log";
    servers_.push_back(std::move(server));
  }
  if (options_.servers > 1) {
    if (Status status = server::create_secret(secret_file()); !status) return status;
  }
  return write_layout();
}

Status LocalCluster::write_layout() const {
  nlohmann::json layout = nlohmann::json::array();
  for (const LocalServer& server : servers_) {
    layout.push_back({{"name", server.name},
                      {"client", server.client_address},
                      {"peer", server.peer_address},
                      {"admin", server.admin_address}});
  }
  std::ofstream file(layout_file());
  file << layout.dump(2) << '\n';
  if (!file.flush()) {
    return Error(ErrorCode::io, Effect::none, "write " + layout_file() + ": " + why());
  }
  return Done{};
}

bool LocalCluster::is_laid_out(const std::string& directory) {
  std::error_code error;
  return fs::exists(directory + "/cluster", error);
}

Status LocalCluster::read_layout() {
  std::ifstream file(layout_file());
  const auto layout = nlohmann::json::parse(file, nullptr, false);
  if (!layout.is_array()) {
    return Error(ErrorCode::corrupt, layout_file() + " is not what was written there");
  }
  if (layout.size() != options_.servers) {
    return Error(ErrorCode::usage, options_.directory + " holds a cluster of " +
                                       std::to_string(layout.size()) + " servers, not " +
                                       std::to_string(options_.servers) +
                                       ": the number is fixed when it is founded");
  }
  for (const auto& row : layout) {
    LocalServer server{.name = row.value("name", ""),
                       .client_address = row.value("client", ""),
                       .peer_address = row.value("peer", ""),
                       .admin_address = row.value("admin", ""),
                       .data = {},
                       .log_file = {}};
    server.data = options_.directory + "/" + server.name;
    server.log_file = options_.directory + "/" + server.name + ".log";
    servers_.push_back(std::move(server));
  }
  return Done{};
}

std::vector<std::string> LocalCluster::command_line(const LocalServer& server) const {
  std::vector<std::string> line;
  for (std::size_t i = 0; i < options_.hosts.size(); ++i) {
    if (&server == &servers_.at(i)) line = options_.hosts[i].command_prefix;
  }
  line.insert(line.end(), {options_.binary, "serve", "--name", server.name, "--data", server.data,
                           "--listen", server.client_address, "--peer-listen", server.peer_address,
                           "--admin-listen", server.admin_address});
  const std::size_t founders = options_.founders > 0 ? options_.founders : servers_.size();
  const auto place = static_cast<std::size_t>(&server - servers_.data());
  std::string found;
  std::string join;
  for (std::size_t i = 0; i < founders; ++i) {
    const char* const comma = i == 0 ? "" : ",";
    found += comma + servers_[i].name + "=" + servers_[i].peer_address;
    join += comma + servers_[i].peer_address;
  }
  if (servers_.size() > 1) line.insert(line.end(), {"--secret-file", secret_file()});
  if (place >= founders) {
    line.insert(line.end(), {"--join", join});
  } else if (founders > 1) {
    line.insert(line.end(), {"--found", found});
  }
  line.insert(line.end(), options_.extra_flags.begin(), options_.extra_flags.end());
  return line;
}

Status LocalCluster::start(std::size_t place) {
  LocalServer& server = servers_.at(place);
  KUILT_CHECK(server.pid < 0);
  std::vector<std::string> line = command_line(server);
  std::vector<char*> arguments;
  for (std::string& argument : line) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  const int log = ::open(server.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return Error(ErrorCode::io, Effect::none, "open " + server.log_file + ": " + why());
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments, log);
  ::close(log);
  if (pid < 0) return Error(ErrorCode::io, Effect::none, "start server: " + why());
  server.pid = pid;
  return Done{};
}

Status LocalCluster::start_all() {
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].pid >= 0) continue;
    if (Status status = start(i); !status) return status;
  }
  return Done{};
}

std::optional<int> LocalCluster::ended(std::size_t place) {
  LocalServer& server = servers_.at(place);
  if (server.pid < 0) return std::nullopt;
  int raw = 0;
  if (::waitpid(server.pid, &raw, WNOHANG) != server.pid) return std::nullopt;
  server.pid = -1;
  return exit_status(raw);
}

Result<std::optional<int>> LocalCluster::signal(std::size_t place, int number) {
  LocalServer& server = servers_.at(place);
  if (server.pid < 0 || ::kill(server.pid, number) != 0) {
    return Error(ErrorCode::invalid_argument, "server " + server.name + " does not run");
  }
  if (number != SIGKILL && number != SIGTERM) return std::optional<int>{};
  int raw = 0;
  ::waitpid(server.pid, &raw, 0);
  server.pid = -1;
  return std::optional(exit_status(raw));
}

void LocalCluster::stop_all(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (const LocalServer& server : servers_) {
    if (server.pid >= 0) ::kill(server.pid, SIGTERM);
  }
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    while (servers_[i].pid >= 0 && !ended(i)) {
      if (std::chrono::steady_clock::now() > deadline) ::kill(servers_[i].pid, SIGKILL);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

std::string LocalCluster::last_words(std::size_t place) const {
  std::ifstream file(servers_.at(place).log_file);
  std::string words;
  bool is_error = false;
  for (std::string line; std::getline(file, line);) {
    if (is_error && !line.starts_with("error ")) continue;
    is_error = line.starts_with("error ");
    words = line;
  }
  return words;
}

Result<AdminStatus> LocalCluster::status(std::size_t place) const {
  const LocalServer& server = servers_.at(place);
  auto status = ask_status(server.admin_address);
  if (!status) return std::move(status).error().within("ask server " + server.name);
  return status;
}

std::optional<std::size_t> LocalCluster::agreed_leader() const {
  std::vector<std::size_t> votes(servers_.size());
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    if (servers_[i].pid < 0) continue;
    const auto answer = status(i);
    if (!answer) continue;
    for (std::size_t j = 0; j < servers_.size(); ++j) {
      if (servers_[j].pid >= 0 && servers_[j].name == answer->leader) votes[j] += 1;
    }
  }
  const auto most = std::max_element(votes.begin(), votes.end());
  if (*most <= servers_.size() / 2) return std::nullopt;
  return static_cast<std::size_t>(most - votes.begin());
}

Result<std::size_t> LocalCluster::await_leader(std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < deadline) {
    if (const auto leader = agreed_leader()) return *leader;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      const auto status = ended(i);
      if (!status) continue;
      return Error(ErrorCode::no_leader, "server " + servers_[i].name + " ended with status " +
                                             std::to_string(*status) + ": " + last_words(i));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return Error(ErrorCode::no_leader, "no leader within " + std::to_string(patience.count()) +
                                         " ms; see the logs in " + options_.directory);
}

ClusterEndpoints LocalCluster::endpoints() const {
  std::vector<std::string> urls;
  for (const LocalServer& server : servers_) urls.push_back("ws://" + server.client_address);
  return ClusterEndpoints(std::move(urls));
}

}  // namespace kuilt::cli
