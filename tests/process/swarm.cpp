#include "tests/process/swarm.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace kuilt::process_tests {

using namespace std::chrono_literals;

Swarm::Swarm(SwarmOptions options)
    : options_(std::move(options)),
      witness_(options_.clients + options_.json_clients, options_.label + " ") {
  for (std::size_t i = 0; i < options_.clients; ++i) {
    members_.push_back(std::make_unique<Member>());
    members_.back()->number = i;
    start(*members_.back());
  }
  if (options_.json_clients > 0) start_json();
  driver_ = std::thread([this] { drive(); });
}

Swarm::~Swarm() {
  stop_ = true;
  driver_.join();
  members_.clear();
  if (json_ > 0) ::kill(json_, SIGKILL);
  if (json_reader_.joinable()) json_reader_.join();
  if (json_ > 0) ::waitpid(json_, nullptr, 0);
  if (facts_ != nullptr) std::fclose(facts_);
  if (orders_ >= 0) ::close(orders_);
}

void Swarm::start(Member& member) {
  std::vector<std::string> urls = options_.urls;
  std::rotate(urls.begin(), urls.begin() + static_cast<std::ptrdiff_t>(member.number % urls.size()),
              urls.end());
  ClientOptions client_options;
  client_options.name = options_.label + std::to_string(member.number);
  client_options.attempt_timeout = 1s;
  member.client = std::make_unique<ClusterClient>(
      ClusterClient::connect(ClusterEndpoints(std::move(urls)), client_options).or_throw());
  const auto on_committed = [this, number = member.number](const Committed& committed) {
    const auto* seen = std::get_if<Committed::Entry>(&committed);
    if (seen == nullptr) return;
    const LogEntry& entry = seen->entry;
    witness_.observed(number, entry.index.value(), entry.term.value(),
                      std::string(entry.command.text()));
    reach(entry.index.value());
  };
  member.client->on_committed(from_start, on_committed).or_throw();
}

void Swarm::reach(std::uint64_t index) {
  std::uint64_t known = through_;
  while (known < index && !through_.compare_exchange_weak(known, index)) {
  }
}

void Swarm::pace(std::size_t in_flight, std::chrono::milliseconds every) {
  in_flight_max_ = in_flight;
  every_ms_ = every.count();
}

void Swarm::propose(Member& member) {
  const std::string command = options_.label + " " + std::to_string(member.number) + " move " +
                              std::to_string(member.next++);
  witness_.proposed(command);
  member.in_flight += 1;
  const auto on_outcome = [this, &member, command](const Result<Receipt>& receipt) {
    if (receipt) {
      witness_.acknowledged(command, receipt->index.value(), receipt->term.value(),
                            receipt->duplicate);
      reach(receipt->index.value());
      const std::lock_guard lock(acknowledged_mutex_);
      acknowledged_.push_back(command);
    } else if (receipt.error().effect() == Effect::none) {
      witness_.refused(command);
    } else {
      unknown_ += 1;
    }
    member.in_flight -= 1;
  };
  member.client->propose(command, {.deadline = 30s, .room = ""}).then(on_outcome);
}

void Swarm::drive() {
  while (!stop_) {
    for (const auto& member : members_) {
      while (member->in_flight < in_flight_max_ && !stop_) propose(*member);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(every_ms_));
  }
}

std::size_t Swarm::observed_most() const {
  std::size_t most = 0;
  for (std::size_t i = 0; i < options_.clients + options_.json_clients; ++i) {
    most = std::max(most, witness_.count(i));
  }
  return most;
}

void Swarm::finish(std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto in_time = [deadline] { return std::chrono::steady_clock::now() < deadline; };
  stop_ = true;
  const auto order = [this](const std::string& line) {
    if (orders_ >= 0 && ::write(orders_, line.data(), line.size()) < 0) return;
  };
  order("stop\n");
  const auto idle = [this] {
    const bool json_idle = json_ < 0 || (json_stopped_ && json_unanswered_ == 0);
    return json_idle &&
           std::ranges::all_of(members_, [](const auto& m) { return m->in_flight == 0; });
  };
  while (!idle() && in_time()) std::this_thread::sleep_for(20ms);
  order("through " + std::to_string(through_.load()) + "\n");
  if (json_ > 0) {
    json_reader_.join();  // Ends when all JSON clients have seen everything, or are killed below.
    ::waitpid(json_, nullptr, 0);
    json_ = -1;
  }
  const auto level = [this] {
    const std::size_t most = observed_most();
    for (std::size_t i = 0; i < options_.clients; ++i) {
      if (witness_.count(i) != most) return false;
    }
    return true;
  };
  while (!level() && in_time()) std::this_thread::sleep_for(50ms);
}

void Swarm::start_json() {
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  if (::pipe(in.data()) != 0 || ::pipe(out.data()) != 0) throw std::runtime_error("no pipe");
  std::vector<std::string> line = {"/usr/bin/python3", "-u",
                                   KUILT_SOURCE_DIR "/tests/process/json_clients.py",
                                   options_.label, std::to_string(options_.json_clients)};
  line.insert(line.end(), options_.urls.begin(), options_.urls.end());
  std::vector<char*> arguments;
  for (std::string& argument : line) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  json_ = ::fork();
  if (json_ == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    for (const int end : {in[0], in[1], out[0], out[1]}) ::close(end);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  orders_ = in[1];
  facts_ = ::fdopen(out[0], "r");
  json_reader_ = std::thread([this] { read_json(); });
}

void Swarm::read_json() {
  std::array<char, 65536> line{};
  while (std::fgets(line.data(), static_cast<int>(line.size()), facts_) != nullptr) {
    take_json(line.data());
  }
}

void Swarm::take_json(const std::string& line) {
  const auto fact = nlohmann::json::parse(line, nullptr, false);
  if (!fact.is_object()) return;
  if (fact.contains("stopped")) json_stopped_ = true;
  if (fact.contains("proposed")) {
    json_unanswered_ += 1;
    witness_.proposed(fact["proposed"]);
  }
  if (fact.contains("acknowledged")) {
    json_unanswered_ -= 1;
    reach(fact["index"]);
    witness_.acknowledged(fact["acknowledged"], fact["index"], fact["term"], fact["duplicate"]);
  }
  if (fact.contains("observed")) {
    const std::size_t client = fact["client"];
    witness_.observed(options_.clients + client, fact["index"], fact["term"], fact["observed"]);
  }
}

}  // namespace kuilt::process_tests
