#include "bench/proposers.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "kuilt/detail/rng.hpp"
#include "wire/entry.hpp"

namespace kuilt::bench {

double ProposalFigures::per_second() const {
  return static_cast<double>(committed) / std::chrono::duration<double>(measured).count();
}

ProposalSizes sizes_of(std::size_t command_bytes) {
  constexpr std::size_t client_header_bytes = 8;  // RFC 6455 5.2, with mask and 16-bit length.
  constexpr std::size_t server_header_bytes = 2;
  const Position at{Index(1'000'000), Term(1)};
  const std::string body(command_bytes, 'x');
  const SessionId session = SessionId::named("bench");
  wire::Proposal proposal;
  proposal.number = 1000;
  proposal.session = session;
  proposal.birth = at.index;
  proposal.request_id = RequestId(1000);
  proposal.floor = RequestId(999);
  proposal.command = Bytes(body);
  wire::Command command;
  command.at = at;
  command.author = "bench";
  command.request_id = RequestId(1000);
  command.floor = RequestId(999);
  command.body = BytesView(body);
  command.session = session;
  command.birth = at.index;
  command.digest = wire::command_digest("", command.body);
  const wire::ClientMessage request = wire::Propose{{proposal}};
  const wire::ServerMessage answer = wire::Answers{{{1000, wire::CommittedOutcome{at, false}}}};
  return {.request = client_header_bytes + encode(request, wire::Encoding::protobuf).size(),
          .answer = server_header_bytes + encode(answer, wire::Encoding::protobuf).size(),
          .entry = wire::encode_command(command).stored.size()};
}

Proposers::Proposers(Loop& loop, std::size_t command_bytes)
    : loop_(loop), command_(std::string(command_bytes, 'x')) {}

Result<std::unique_ptr<Proposers>> Proposers::open(Loop& loop, const ProposerOptions& options) {
  std::unique_ptr<Proposers> load(new Proposers(loop, options.command_bytes));
  Rng rng(std::random_device{}());
  for (std::size_t i = 0; i < options.clients; ++i) {
    const std::string& address = options.addresses.at(i % options.addresses.size());
    auto link = Link::open(loop, *load, address, "bench", i);
    if (!link) {
      return std::move(link).error().within("open proposing client " + std::to_string(i));
    }
    load->clients_.push_back({.link = *std::move(link),
                              .session = SessionId(rng.next(), rng.next()),
                              .last = {},
                              .waiting = {}});
    loop.turn(now());  // The others are pinged meanwhile, and answer.
  }
  return load;
}

void Proposers::propose(std::size_t count, Instant intended) {
  propose_by(clients_[turn_++ % clients_.size()], count, intended);
}

void Proposers::propose_by(Client& client, std::size_t count, Instant intended) {
  const std::uint64_t floor =
      client.waiting.empty() ? client.last.value() : client.waiting.begin()->first - 1;
  wire::Propose message;
  for (std::size_t i = 0; i < count; ++i) {
    client.last = client.last.next();
    client.waiting.emplace(client.last.value(), intended);
    wire::Proposal proposal;
    proposal.number = client.last.value();
    proposal.session = client.session;
    proposal.birth = client.link->welcome().commit.index;
    proposal.request_id = client.last;
    proposal.floor = RequestId(floor);
    proposal.command = command_;
    message.proposals.push_back(std::move(proposal));
  }
  in_flight_ += count;
  client.link->send(message);
}

void Proposers::on_message(Link& link, BytesView message) {
  const Instant at = now();
  auto decoded = wire::decode_server(Bytes::copy_of(message), wire::Encoding::protobuf);
  if (!decoded) return on_broken(link, decoded.error().message());
  Client& client = clients_.at(link.number());
  const auto on_kind = Overloaded{
      [&](const wire::Answers& answers) {
        for (const wire::Answer& answer : answers.answers) on_answer(client, answer, at);
      },
      [&](const wire::Goodbye& goodbye) { on_broken(link, goodbye.message); },
      [](const wire::Welcome&) {},
      [](const wire::ObserveReply&) {},
      [](const wire::Feed&) {},
      [](const wire::ServerHeartbeat&) {},
      [](const wire::Roster&) {},
      [](const wire::Delivery&) {},
      [](const wire::RoomRefusal&) {},
      [](const wire::BarrierAnswer&) {},
  };
  std::visit(on_kind, *decoded);
}

void Proposers::on_answer(Client& client, const wire::Answer& answer, Instant at) {
  const auto found = client.waiting.find(answer.number);
  if (found == client.waiting.end()) return;
  const Instant intended = found->second;
  client.waiting.erase(found);
  in_flight_ -= 1;
  if (const auto* committed = std::get_if<wire::CommittedOutcome>(&answer.outcome)) {
    if (at >= measure_from_ && at < measure_until_) figures_.committed += 1;
    if (intended >= measure_from_ && intended < measure_until_) latencies_.add(at - intended);
    if (hear_) hear_(committed->at, intended, at);
  } else {
    figures_.refused += 1;
  }
  if (refill_ && at < measure_until_) propose_by(client, 1, at);
}

void Proposers::on_broken(Link& link, const std::string& why) {
  if (broken_) return;
  broken_ = Error(ErrorCode::io, Effect::unknown,
                  "proposing client " + std::to_string(link.number()) + ": " + why);
}

void Proposers::begin(Duration warm_up, Duration measured) {
  measure_from_ = now() + warm_up;
  measure_until_ = measure_from_ + measured;
  figures_ = {};
  figures_.measured = measured;
  latencies_ = {};
}

Result<ProposalFigures> Proposers::run_closed(std::size_t in_flight, Duration warm_up,
                                              Duration measured) {
  begin(warm_up, measured);
  refill_ = true;
  for (Client& client : clients_) {
    for (std::size_t i = 0; i < in_flight; ++i) propose_by(client, 1, now());
  }
  while (now() < measure_until_ && !broken_) loop_.turn(measure_until_);
  refill_ = false;
  return end();
}

Result<ProposalFigures> Proposers::run_open(double per_second, Duration warm_up,
                                            Duration measured) {
  begin(warm_up, measured);
  const auto between = Duration(static_cast<Duration::rep>(1e9 / per_second));
  Instant next = now();
  while (next < measure_until_ && !broken_) {
    for (; next <= now() && next < measure_until_; next += between) propose(1, next);
    loop_.turn(std::min(next, measure_until_));
  }
  return end();
}

Result<ProposalFigures> Proposers::end() {
  if (Status status = await_answers(); !status) return std::move(status).error();
  figures_.latency = latencies_.spread();
  return figures_;
}

Status Proposers::await_answers() {
  const Instant deadline = now() + std::chrono::seconds(20);
  while (in_flight_ > 0 && !broken_) {
    if (now() > deadline) {
      return Error(ErrorCode::timed_out, Effect::unknown,
                   std::to_string(in_flight_) + " proposals were not answered within 20 s");
    }
    loop_.turn(deadline);
  }
  if (broken_) return *broken_;
  return Done{};
}

}  // namespace kuilt::bench
