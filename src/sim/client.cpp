#include "sim/client.hpp"

#include <algorithm>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "sim/counters.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {
namespace {

using std::chrono::milliseconds;

constexpr Duration clock_offset_max = std::chrono::hours(1000);
constexpr Duration rest_max = milliseconds(500);  // Between two lives of a client.
constexpr Duration never_after = std::chrono::hours(24);

}  // namespace

Client::Client(Scene& scene, std::size_t number, Rng rng, std::vector<LinkEnd*> servers,
               const MakeProgram& make_program)
    : scene_(scene),
      number_(number),
      rng_(rng),
      servers_(std::move(servers)),
      guest_(scene, number,
             {[this](Instant when, std::function<void()> action) {
                when_awake(when, std::move(action));
              },
              [this](client::Input input) { step(std::move(input)); }}),
      program_(make_program(*this, Rng(rng_.next()))) {}

void Client::when_awake(Instant when, std::function<void()> action) {
  scene_.agenda.at(when, [this, incarnation = incarnation_, action = std::move(action)] {
    if (incarnation != incarnation_) return;
    if (paused()) return when_awake(paused_until_, action);
    action();
  });
}

client::ClientOptions Client::draw_options() {
  client::ClientOptions options;
  // Everybody knows all servers; a third of the clients begins at each.
  for (std::size_t i = 0; i < servers_.size(); ++i) {
    options.endpoints.push_back(endpoint_of_server((number_ + i) % servers_.size()));
  }
  options.name = "c" + std::to_string(number_);
  options.links = servers_.size() > 1 && rng_.chance(30) ? 2 : 1;
  options.attempt_timeout = milliseconds(200 + rng_.below(2000));
  options.silence_max = milliseconds(1200 + rng_.below(2000));
  options.dial_timeout = milliseconds(500 + rng_.below(1500));
  options.backoff_max = milliseconds(100 + rng_.below(1000));
  options.leaderless_max = milliseconds(500 + rng_.below(2000));
  options.credit_bytes = scene_.plan.habits.credit_bytes;
  options.secret = guest_.appear(options.name);
  return options;
}

void Client::start() {
  ++incarnation_;
  paused_until_ = {};
  const std::uint64_t own = scene_.plan.troubles_seed + (number_ << 24) + incarnation_;
  clock_ = Clock(up_to(rng_, clock_offset_max), draw_drift(Rng(own), scene_.plan));
  encoding_ = rng_.chance(scene_.plan.habits.json_percent) ? wire::Encoding::json
                                                           : wire::Encoding::protobuf;
  const client::ClientOptions options = draw_options();
  const SessionId session(rng_.next(), rng_.next());
  core_.emplace(options, rng_.next(), session, local_now());
  alarm_ = std::make_unique<Alarm>(
      [this](Instant when, std::function<void()> action) { when_awake(when, std::move(action)); },
      [this] { return scene_.now(); }, [this] { step(client::Tick{}); });
  step(client::Tick{});
  program_->started();
  guest_.start();
}

void Client::crash() {
  scene_.note("c{} dies", {number_});
  settle_counters();
  ++incarnation_;
  scene_.links.die(*this);
  for (const auto& [id, call] : calls_) {
    if (!call.is_durable) scene_.oracle.orphaned(call.proposal);
  }
  guest_.vanish();
  calls_.clear();
  reads_.clear();
  observed_.clear();
  links_.clear();
  dials_.clear();
  core_.reset();
  program_->died();
  after(up_to(rng_, rest_max), [this] { start(); });
}

void Client::step(client::Input input) {
  client::Output output = core_->step(local_now(), std::move(input));
  for (client::Duty& duty : output.duties) carry_out(duty);
  if (core_->counters().feed_violations > 0) {
    scene_.invariants.complain("no client finds its feed broken, but " + std::to_string(number_) +
                               " does: " + last_event_);
  }
  if (output.wake_at < local_now() + never_after) alarm_->set(clock_.scene(output.wake_at));
}

void Client::carry_out(client::Duty& duty) {
  const auto on_duty = Overloaded{
      [&](const client::Dial& d) { dial(d); },
      [&](const client::Send& d) {
        const auto link = links_.find(d.dial);
        if (link == links_.end()) return;  // Broken, and the core will hear of it.
        scene_.links.send(link->second, Side::client, wire::encode(d.message, encoding_));
      },
      [&](const client::Close& d) { close(d); },
      [&](const client::Resolved& d) { resolved(d); },
      [&](const client::BarrierResolved& d) { read_resolved(d); },
      [&](const client::Delivered& d) { delivered(d); },
      [&](const client::Advanced& d) { advanced(d); },
      [&](const client::ObserveEnded& d) { observe_ended(d); },
      [&](const client::RoomTold& d) { guest_.told(d); },
      [&](const client::RoomDelivered& d) { guest_.delivered(d); },
      [](const client::RoomRefused&) {},
      [&](const client::RoomEnded& d) { guest_.ended(d); },
      [&](const client::NeedSession&) {
        when_awake(scene_.now(), [this] {
          const std::uint64_t high = rng_.next();
          step(client::FreshSession{SessionId(high, rng_.next())});
        });
      },
      [](const client::NeedKey&) {},  // No call of these renews its session.
      [&](const client::Event& d) { told(d); },
  };
  std::visit(on_duty, duty);
}

void Client::dial(const client::Dial& dial) {
  for (ServerNumber server = 0; server < servers_.size(); ++server) {
    if (endpoint_of_server(server) != dial.endpoint) continue;
    const LinkNumber link = scene_.links.dial(*this, *servers_.at(server), encoding_);
    links_[dial.dial] = link;
    dials_[link] = dial.dial;
    return;
  }
  scene_.invariants.complain("clients dial servers, but one dials " + dial.endpoint);
}

void Client::close(const client::Close& close) {
  const auto link = links_.find(close.dial);
  if (link == links_.end()) return;
  scene_.links.close(link->second, Side::client);
  dials_.erase(link->second);
  links_.erase(link);
}

void Client::link_opened(LinkNumber link, wire::Encoding /*encoding*/) {
  when_awake(scene_.now(), [this, link] {
    if (const auto dial = dials_.find(link); dial != dials_.end()) {
      step(client::Dialed{dial->second});
    }
  });
}

void Client::link_frame(LinkNumber link, Bytes frame) {
  when_awake(scene_.now(), [this, link, frame] {
    const auto dial = dials_.find(link);
    if (dial == dials_.end()) return;
    Result<wire::ServerMessage> message = wire::decode_server(frame, encoding_);
    if (!message) {
      return scene_.invariants.complain("a server's frame is readable: " +
                                        message.error().message());
    }
    step(client::Arrived{dial->second, *std::move(message)});
  });
}

void Client::link_broken(LinkNumber link) {
  when_awake(scene_.now(), [this, link] {
    const auto dial = dials_.find(link);
    if (dial == dials_.end()) return;
    const client::DialId number = dial->second;
    links_.erase(number);
    dials_.erase(dial);
    step(client::Broken{number, "torn"});
  });
}

void Client::link_drained(LinkNumber /*link*/) {}

// What its program does.

void Client::propose(ProposalNumber proposal, Duration patience, client::ProposeCall call) {
  call.room = scene_.oracle.room_of(proposal);
  call.command = scene_.oracle.command_of(proposal);
  call.deadline = local_now() + patience;
  scene_.note("c{} proposes {}, of digest {}",
              {number_, proposal, wire::command_digest(call.room, call.command)});
  calls_[call.call] = {proposal, call.session.has_value()};
  step(std::move(call));
}

void Client::resolved(const client::Resolved& resolved) {
  const auto found = calls_.find(resolved.call);
  if (found == calls_.end()) return scene_.invariants.complain("a call ends once");
  const Call call = found->second;
  calls_.erase(found);
  scene_.note("c{} hears of proposal {}: {}",
              {number_, call.proposal, resolved.result ? resolved.result->at.index.value() : 0});
  if (resolved.result && scene_.plan.machine.applies) {
    scene_.coverage.count(resolved.result->result ? "results" : "results no longer kept");
  }
  if (!call.is_durable) {
    scene_.invariants.complain(scene_.oracle.resolved(call.proposal, resolved.result));
    if (resolved.result) hold_receipt(call.proposal);
  }
  program_->resolved(resolved);
}

void Client::read(client::CallId call, Duration patience) {
  reads_[call] = scene_.oracle.last().index;
  step(client::BarrierCall{call, local_now() + patience});
}

void Client::read_resolved(const client::BarrierResolved& resolved) {
  const auto floor = reads_.extract(resolved.call);
  if (floor.empty()) return scene_.invariants.complain("a read ends once");
  scene_.coverage.count(resolved.result ? "reads of clients" : "reads of clients refused");
  if (resolved.result) {
    scene_.invariants.complain(scene_.oracle.read(floor.mapped(), *resolved.result));
  } else if (resolved.result.error().effect() != Effect::none) {
    scene_.invariants.complain("a read has no effect");
  }
  program_->read_resolved(resolved);
}

void Client::hold_receipt(ProposalNumber proposal) {
  for (const auto& [room, observer] : observed_) {
    scene_.invariants.complain(scene_.oracle.owes(observer, proposal));
  }
}

void Client::observe(const RoomName& room, const wire::ObserveFrom& from,
                     std::optional<Position> after) {
  observed_[room] = scene_.oracle.observe(room, after);
  step(client::ObserveCall{room, from});
}

void Client::unobserve(const RoomName& room) {
  if (observed_.erase(room) > 0) step(client::UnobserveCall{room});
}

void Client::delivered(const client::Delivered& delivered) {
  const auto observer = observed_.find(delivered.room);
  if (observer == observed_.end()) return;
  scene_.invariants.complain(scene_.oracle.delivered(observer->second, delivered.entry));
  program_->delivered(delivered);
}

void Client::advanced(const client::Advanced& advanced) {
  const auto observer = observed_.find(advanced.room);
  if (observer == observed_.end()) return;
  scene_.invariants.complain(
      scene_.oracle.advanced(observer->second, advanced.through, advanced.digest));
  program_->advanced(advanced);
}

void Client::observe_ended(const client::ObserveEnded& ended) {
  observed_.erase(ended.room);
  program_->observe_ended(ended);
}

void Client::told(const client::Event& event) {
  last_event_ = event.text;
  scene_.note("c{} link event {} at {}",
              {number_, static_cast<std::uint64_t>(event.kind), event.at.index.value()});
}

bool Client::observes_the_end() const {
  return std::ranges::all_of(
      observed_, [&](const auto& observed) { return scene_.oracle.at_the_end(observed.second); });
}

std::string Client::state() const {
  std::string text = "client " + std::to_string(number_) + ": " + std::to_string(calls_.size()) +
                     " calls, " + std::to_string(reads_.size()) + " reads, " +
                     std::to_string(links_.size()) + " links, " + program_->state();
  for (const auto& [room, observer] : observed_) {
    text += ", room '" + room + "' through " +
            std::to_string(scene_.oracle.through(observer).index.value());
  }
  return text + guest_.state();
}

void Client::settle_counters() {
  if (!core_) return;
  count(scene_.coverage, core_->counters());
}

}  // namespace kuilt::sim
