#include "tests/process/swarm.hpp"

#include <signal.h>

#include <algorithm>
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
  if (json_) json_->signal(SIGKILL);
  if (json_reader_.joinable()) json_reader_.join();
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
  };
  member.client->on_committed(from_start, on_committed).or_throw();
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
      const std::lock_guard lock(acknowledged_mutex_);
      acknowledged_.push_back(command);
    } else if (receipt.error().effect() == Effect::none) {
      witness_.refused(command);
    }
    member.in_flight -= 1;
  };
  member.client->propose(command, {.deadline = 30s, .room = ""}).then(on_outcome);
}

void Swarm::read(Member& member) {
  reads_under_way_ += 1;
  const auto on_index = [this, told = witness_.told_through()](const Result<Index>& index) {
    if (index) reads_ += 1;
    if (index && index->value() < told) stale_reads_ += 1;
    reads_under_way_ -= 1;
  };
  member.client->read_barrier().then(on_index);
}

// Each time one client reads, all of them in turn.
void Swarm::drive() {
  for (std::size_t turn = 0; !stop_; ++turn) {
    if (!members_.empty()) read(*members_[turn % members_.size()]);
    for (const auto& member : members_) {
      while (member->in_flight < in_flight_max_ && !stop_) propose(*member);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(every_ms_));
  }
}

std::size_t Swarm::acknowledged_count() const {
  const std::lock_guard lock(acknowledged_mutex_);
  return acknowledged_.size();
}

// Those that were answered a moment ago are not yet replaced: nearly all is as good as all.
bool Swarm::is_fully_loaded() const {
  std::size_t in_flight = 0;
  for (const auto& member : members_) in_flight += member->in_flight;
  return 10 * in_flight >= 9 * in_flight_max_ * members_.size();
}

void Swarm::await_acknowledged(std::size_t count) {
  const std::size_t wanted = acknowledged_count() + count;
  if (cli::await([&] { return acknowledged_count() >= wanted; })) return;
  throw std::runtime_error("waited in vain for acknowledged proposals of " + options_.label);
}

void Swarm::await_full_load(std::size_t count) {
  await_acknowledged(count);
  if (cli::await([this] { return is_fully_loaded(); })) return;
  throw std::runtime_error("waited in vain for the full load of " + options_.label);
}

bool Swarm::is_idle() const {
  const bool json_idle = !json_ || (json_stopped_ && json_unanswered_ == 0);
  return json_idle && reads_under_way_ == 0 &&
         std::ranges::all_of(members_, [](const auto& m) { return m->in_flight == 0; });
}

void Swarm::finish(std::chrono::seconds patience) {
  stop_ = true;
  if (json_) json_->write("stop\n");
  if (!cli::await([this] { return is_idle(); }, patience)) {
    throw std::runtime_error("proposals of " + options_.label + " have no outcome");
  }
  through_ = witness_.told_through();
  if (json_) {
    json_->write("through " + std::to_string(through_) + "\n");
    json_reader_.join();  // Ends when all JSON clients have seen everything.
    if (json_->wait().status != 0) throw std::runtime_error("the JSON clients did not end well");
    json_.reset();
  }
  if (!cli::await([this] { return witness_.caught_up(through_); }, patience)) {
    throw std::runtime_error("observers of " + options_.label + " do not catch up");
  }
}

void Swarm::start_json() {
  std::vector<std::string> line = {"/usr/bin/python3", "-u",
                                   KUILT_SOURCE_DIR "/tests/process/json_clients.py",
                                   options_.label, std::to_string(options_.json_clients)};
  line.insert(line.end(), options_.urls.begin(), options_.urls.end());
  json_ = std::make_unique<cli::Process>(std::move(line), std::vector<std::string>{},
                                         cli::Process::StandardError::ours);
  json_reader_ = std::thread([this] {
    while (const auto fact = json_->next_line()) take_json(*fact);
  });
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
    witness_.acknowledged(fact["acknowledged"], fact["index"], fact["term"], fact["duplicate"]);
  }
  if (fact.contains("observed")) {
    const std::size_t client = fact["client"];
    witness_.observed(options_.clients + client, fact["index"], fact["term"], fact["observed"]);
  }
}

}  // namespace kuilt::process_tests
