#include "server/client_link.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "server/member_id.hpp"

namespace kuilt::server {
namespace {

// Read barriers without an answer; a client that needs more is answered by the last one it asked.
constexpr std::size_t barriers_max = 1024;
constexpr std::size_t pending_overhead = 128;  // What a waiting proposal costs besides its bytes.

// RFC 6455, 7.4.1.
constexpr std::uint16_t close_going_away = 1001;
constexpr std::uint16_t close_policy = 1008;
constexpr std::uint16_t close_try_later = 1013;

std::uint16_t close_code_for(ErrorCode code) {
  if (code == ErrorCode::draining || code == ErrorCode::stopped) return close_going_away;
  if (code == ErrorCode::busy || code == ErrorCode::too_many_clients) return close_try_later;
  return close_policy;
}

// Results that a client has not read yet. Beyond it an answer leaves without: it is no less true,
// and a link that was closed instead would be asked for the same again. A quarter of what one
// may pin, as JSON makes it longer.
constexpr std::size_t results_bytes_max = std::size_t{1} << 20;

void fit_result(wire::Outcome& outcome, std::size_t& room) {
  auto* committed = std::get_if<wire::CommittedOutcome>(&outcome);
  if (committed == nullptr || !committed->result) return;
  if (committed->result->size() > room) return committed->result.reset();
  room -= committed->result->size();
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) out += (c >= 0x20 && c != 0x7f) || c < 0 ? c : '?';
  return out;
}

}  // namespace

SessionId random_session() {
  std::random_device device;
  const auto half = [&device] { return (std::uint64_t{device()} << 32) | device(); };
  const std::uint64_t high = half();
  return {high, half() | 1U};  // Never all zero, which would mean none.
}

ClientLink::ClientLink(cluster::LinkId id, std::shared_ptr<transport::Seam> seam,
                       const Facts& facts, ClientLinkOwner& owner)
    : id_(id),
      seam_(std::move(seam)),
      facts_(facts),
      owner_(owner),
      encoding_(wire::encoding_of(seam_->subprotocol()).value_or(wire::Encoding::protobuf)) {}

void ClientLink::start() {
  seam_->start({
      .on_frame = [this](const Bytes& frame) { on_frame(frame); },
      .on_drained = [this] { owner_.drained(id_); },
      .on_closed = [this](const Error& reason) { owner_.closed(id_, reason); },
  });
}

void ClientLink::on_frame(const Bytes& frame) {
  if (closing_) return;
  auto message = wire::decode_client(frame, encoding_);
  if (!message) return close_with(message.error());
  const bool is_hello = std::holds_alternative<wire::Hello>(*message);
  if (!admitted_ && !is_hello) {
    return close_with(Error(ErrorCode::hello_expected,
                            "the first message on a link must be a hello; see docs/protocol.md"));
  }
  const auto on_message = Overloaded{
      [&](const wire::Hello& hello) { on_hello(hello); },
      [&](wire::Propose& propose) { on_propose(std::move(propose)); },
      [&](const wire::ReadBarrier& barrier) { on_read_barrier(barrier); },
      [&](wire::Observe& wanted) { owner_.observe(id_, encoding_, std::move(wanted)); },
      [&](const wire::Credit& credit) { owner_.credit(id_, credit); },
      [&](const wire::Unobserve& unobserve) { owner_.unobserve(id_, unobserve.room); },
      [&](wire::Join& join) { on_join(std::move(join)); },
      [&](wire::LeaveRoom& leave) {
        owner_.to_rooms(id_, cluster::RoomLeave{id_, std::move(leave.room)});
      },
      [&](wire::RoomMessage& said) {
        owner_.to_rooms(id_, cluster::RoomSay{id_, encoding_, std::move(said)});
      },
  };
  std::visit(on_message, *message);
}

void ClientLink::on_hello(const wire::Hello& hello) {
  if (admitted_) {
    return close_with(Error(ErrorCode::bad_frame, "a second hello on the same link"));
  }
  if (auto complaint = complaint_about(hello)) return close_with(*complaint);
  admitted_ = true;
  client_ = hello.client;
  number_ = hello.link;
  author_ = hello.name.empty() ? "anonymous" : printable(hello.name);
  member_ = member_id(facts_.cluster, author_, hello.secret);
  seam_->admit();
  owner_.admitted(id_, hello);
  send(welcome());
}

void ClientLink::on_join(wire::Join join) {
  uses_rooms_ = true;
  owner_.to_rooms(id_,
                  cluster::RoomJoin{id_, encoding_, RoomMember{member_, author_}, std::move(join)});
}

std::optional<Error> ClientLink::complaint_about(const wire::Hello& hello) const {
  if (hello.version_min > wire::client_version_max ||
      hello.version_max < wire::client_version_min) {
    return Error(ErrorCode::version_unsupported,
                 "the client speaks versions " + std::to_string(hello.version_min) + " to " +
                     std::to_string(hello.version_max) + ", this server " +
                     std::to_string(wire::client_version_min) + " to " +
                     std::to_string(wire::client_version_max));
  }
  const ClusterId ours = facts_.cluster;
  if (!hello.cluster.is_none() && hello.cluster != ours) {
    return Error(ErrorCode::wrong_cluster, "the client wants cluster " + hello.cluster.text() +
                                               ", this is a server of " + ours.text());
  }
  if (hello.name.size() > wire::principal_bytes_max) {
    return Error(ErrorCode::invalid_argument, "the name has " + std::to_string(hello.name.size()) +
                                                  " bytes, the limit is " +
                                                  std::to_string(wire::principal_bytes_max));
  }
  return std::nullopt;
}

wire::Welcome ClientLink::welcome() const {
  const LeaderView leader = owner_.leader();
  return {
      .version = wire::client_version_max,
      .features = wire::feature_rooms | wire::feature_reads,
      .server = facts_.node,
      .server_name = facts_.name,
      .cluster = facts_.cluster,
      .history = facts_.history,
      .log_id = 0,
      .commit = owner_.commit(),
      .leader = leader.name,
      .leader_url = leader.url,
      .endpoints = facts_.members->endpoints(),
      .heartbeat_interval = facts_.client_heartbeat_interval,
      .limits = facts_.limits,
      .principal = author_,
      .member = member_,
  };
}

void ClientLink::on_propose(wire::Propose propose) {
  std::vector<wire::Proposal> taken;
  std::vector<wire::Answer> refused;
  for (wire::Proposal& proposal : propose.proposals) {
    const std::size_t bytes = proposal.command.size() + proposal.room.size() + pending_overhead;
    if (pending_bytes_ + bytes > facts_.limits.window_bytes_max && !pending_.empty()) {
      refused.push_back({proposal.number,
                         wire::RefusedOutcome{ErrorCode::busy,
                                              "this link has " + std::to_string(pending_bytes_) +
                                                  " bytes of unanswered proposals, the limit is " +
                                                  std::to_string(facts_.limits.window_bytes_max),
                                              true, std::chrono::milliseconds(100)}});
      continue;
    }
    if (proposal.room.size() > wire::room_bytes_max) {
      refused.push_back(
          {proposal.number,
           wire::RefusedOutcome{ErrorCode::invalid_argument,
                                "the room's name has " + std::to_string(proposal.room.size()) +
                                    " bytes, the limit is " + std::to_string(wire::room_bytes_max),
                                true, Duration{}}});
      continue;
    }
    Pending pending{.number = proposal.number, .bytes = bytes};
    if (proposal.session.is_none()) enter_own_session(proposal, pending);
    proposal.author = author_;
    proposal.number = ++proposals_;
    pending_.emplace(proposal.number, pending);
    pending_bytes_ += bytes;
    taken.push_back(std::move(proposal));
  }
  if (!refused.empty()) send(wire::Answers{std::move(refused)});
  if (!taken.empty()) owner_.submit(id_, std::move(taken));
}

void ClientLink::enter_own_session(wire::Proposal& proposal, Pending& pending) {
  if (!own_session_) own_session_ = OwnSession{random_session(), owner_.commit().index, {}, {}};
  OwnSession& session = *own_session_;
  session.last = session.last.next();
  session.waiting.insert(session.last);
  proposal.session = session.id;
  proposal.birth = session.birth;
  proposal.request_id = session.last;
  proposal.floor = RequestId(session.waiting.begin()->value() - 1);
  pending.link_request = session.last;
  pending.link_session = session.id;
}

void ClientLink::answer(const std::vector<wire::Answer>& answers) {
  wire::Answers out;
  std::size_t room = results_bytes_max - std::min(results_bytes_max, seam_->queued());
  for (const wire::Answer& answer : answers) {
    const auto found = pending_.find(answer.number);
    if (found == pending_.end()) continue;  // Answered before.
    const Pending pending = found->second;
    pending_.erase(found);
    pending_bytes_ -= pending.bytes;
    settle(pending, answer.outcome);
    out.answers.push_back({pending.number, answer.outcome});
    fit_result(out.answers.back().outcome, room);
  }
  if (!out.answers.empty()) send(out);
}

void ClientLink::on_read_barrier(const wire::ReadBarrier& barrier) {
  if (barriers_ < barriers_max) {
    ++barriers_;
    return owner_.read_barrier(id_, barrier.number);
  }
  send(wire::BarrierAnswer{barrier.number,
                           wire::RefusedOutcome{ErrorCode::busy,
                                                "this link has " + std::to_string(barriers_) +
                                                    " unanswered read barriers, the limit is " +
                                                    std::to_string(barriers_max),
                                                true, std::chrono::milliseconds(100)}});
}

void ClientLink::answer(const wire::BarrierAnswer& answer) {
  --barriers_;
  send(answer);
}

void ClientLink::settle(const Pending& pending, const wire::Outcome& outcome) {
  if (!own_session_ || pending.link_session != own_session_->id) return;
  own_session_->waiting.erase(pending.link_request);
  const auto* refused = std::get_if<wire::RefusedOutcome>(&outcome);
  if (refused != nullptr && refused->code == ErrorCode::session_expired) own_session_.reset();
}

bool ClientLink::send_shared(const Bytes& frame) {
  if (closing_) return false;
  shared_frame_ = frame;
  if (seam_->send({frame})) return true;
  closing_ = true;
  seam_->abort();  // It reads nothing, so a farewell would never arrive either.
  return false;
}

void ClientLink::send(const wire::ServerMessage& message) {
  const BytesView shared = shared_frame_;
  send_shared(wire::encode(message, encoding_));
  shared_frame_ = shared;  // A message of its own is not shared with anybody.
}

void ClientLink::dismiss(wire::Goodbye goodbye) {
  if (closing_) return;
  const std::uint16_t code = close_code_for(goodbye.code);
  const std::string reason(name_of(goodbye.code));
  send(wire::ServerMessage(std::move(goodbye)));
  if (closing_) return;
  closing_ = true;
  seam_->close(code, reason);
}

void ClientLink::close_after_goodbye() {
  if (closing_) return;
  closing_ = true;
  seam_->close(close_try_later, "goodbye");
}

void ClientLink::close_with(const Error& error) {
  dismiss({.code = error.code(), .message = error.message(), .retry_after = {}, .endpoints = {}});
}

}  // namespace kuilt::server
