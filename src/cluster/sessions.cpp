// sessions.cpp: verdicts on proposals, and the table as a function of the log.
#include "cluster/sessions.hpp"

#include <algorithm>
#include <string_view>

#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

namespace {

using Refuse = ClientSessionTable::Refuse;

std::string text(std::uint64_t value) { return std::to_string(value); }

// Folds values into one number; order matters. Two such numbers are compared, never stored.
class Fold {
 public:
  void add(std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15U;
    state_ ^= state_ >> 32;
  }
  void add(std::string_view bytes) {
    add(bytes.size());
    for (const char c : bytes) add(static_cast<unsigned char>(c));
  }
  [[nodiscard]] std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325U;
};

}  // namespace

std::optional<Refuse> ClientSessionTable::complaint_about(const wire::Proposal& proposal) const {
  const auto malformed = [](std::string message) {
    return Refuse{ErrorCode::invalid_argument, std::move(message)};
  };
  if (proposal.session.is_none()) return malformed("the proposal names no session");
  if (proposal.request_id == RequestId(0)) return malformed("request id 0: the first is 1");
  if (proposal.floor >= proposal.request_id) {
    return malformed("floor " + text(proposal.floor.value()) + " is not below request id " +
                     text(proposal.request_id.value()));
  }
  if (proposal.room.size() > wire::room_bytes_max) {
    return malformed("room name of " + text(proposal.room.size()) + " bytes; at most " +
                     text(wire::room_bytes_max));
  }
  if (proposal.author.size() > wire::principal_bytes_max) {
    return malformed("author of " + text(proposal.author.size()) + " bytes; at most " +
                     text(wire::principal_bytes_max));
  }
  if (proposal.command.size() > parameters_.command_bytes_max) {
    return Refuse{ErrorCode::command_too_large, "command of " + text(proposal.command.size()) +
                                                    " bytes; command_bytes_max is " +
                                                    text(parameters_.command_bytes_max)};
  }
  return std::nullopt;
}

ClientSessionTable::Verdict ClientSessionTable::judge(const wire::Proposal& proposal, Index last,
                                                      LogTime stamp) const {
  if (auto complaint = complaint_about(proposal)) return *std::move(complaint);
  const auto known = sessions_.find(proposal.session);
  return known == sessions_.end() ? judge_unknown(proposal, last, stamp)
                                  : judge_known(known->second, proposal);
}

ClientSessionTable::Verdict ClientSessionTable::judge_known(const Session& session,
                                                            const wire::Proposal& proposal) const {
  // Another birth under the same random id is another session, and that one is not in the table.
  if (session.birth != proposal.birth) {
    return Refuse{ErrorCode::session_expired, "the session was opened with birth " +
                                                  text(session.birth.value()) + ", not " +
                                                  text(proposal.birth.value())};
  }
  if (session.author != proposal.author) {
    return Refuse{ErrorCode::not_allowed,
                  "the session belongs to another principal than \"" + proposal.author + "\""};
  }
  if (proposal.request_id <= session.floor) {
    return Refuse{ErrorCode::below_floor, "request id " + text(proposal.request_id.value()) +
                                              " is not above the session's floor " +
                                              text(session.floor.value())};
  }
  const auto request = session.requests.find(proposal.request_id);
  if (request != session.requests.end()) {
    if (request->second.digest == wire::command_digest(proposal.room, proposal.command)) {
      return Repeat{request->second.at};
    }
    return Refuse{ErrorCode::request_id_reused, "request id " + text(proposal.request_id.value()) +
                                                    " carried another command before"};
  }
  if (auto refuse = beyond_window(proposal, std::max(session.floor, proposal.floor))) {
    return *std::move(refuse);
  }
  return Append{};
}

ClientSessionTable::Verdict ClientSessionTable::judge_unknown(const wire::Proposal& proposal,
                                                              Index last, LogTime stamp) const {
  if (proposal.birth <= forgotten_through_ || proposal.birth > last) {
    return Refuse{ErrorCode::session_expired,
                  "no session with birth " + text(proposal.birth.value()) +
                      ", and a new one must be born in (" + text(forgotten_through_.value()) +
                      ", " + text(last.value()) + "]"};
  }
  if (full(uses_, parameters_.sessions_max, stamp)) {
    return Refuse{ErrorCode::too_many_sessions,
                  "the cluster keeps " + text(parameters_.sessions_max) + " sessions at most"};
  }
  const auto own = uses_by_author_.find(proposal.author);
  const Uses none;
  if (full(own == uses_by_author_.end() ? none : own->second,
           parameters_.sessions_per_principal_max, stamp)) {
    return Refuse{ErrorCode::too_many_sessions, "the cluster keeps " +
                                                    text(parameters_.sessions_per_principal_max) +
                                                    " sessions of one principal at most"};
  }
  if (auto refuse = beyond_window(proposal, proposal.floor)) return *std::move(refuse);
  return Append{};
}

std::optional<Refuse> ClientSessionTable::beyond_window(const wire::Proposal& proposal,
                                                        RequestId floor) const {
  if (proposal.request_id.value() - floor.value() <= parameters_.session_window) {
    return std::nullopt;
  }
  return Refuse{ErrorCode::window_full, "request id " + text(proposal.request_id.value()) +
                                            " is more than " + text(parameters_.session_window) +
                                            " above the floor " + text(floor.value())};
}

bool ClientSessionTable::full(const Uses& uses, std::uint64_t limit, LogTime stamp) const {
  return uses.size() >= limit && (uses.empty() || !expired_at(uses.begin()->first, stamp));
}

bool ClientSessionTable::expired_at(LogTime last_use, LogTime stamp) const {
  const auto expiry = static_cast<std::uint64_t>(parameters_.session_expiry.count());
  return stamp >= last_use && stamp.value() - last_use.value() >= expiry;
}

void ClientSessionTable::append(const wire::Command& command) {
  KUILT_CHECK(command.at.index > released_);
  Undo undo{.index = command.at.index,
            .log_time = log_time_,
            .forgotten_through = forgotten_through_,
            .session = command.session,
            .floor = {},
            .last_use = {},
            .added = {},
            .dropped = {},
            .forgotten = {}};
  log_time_ = std::max(log_time_, command.log_time);
  Session& session = use(command, log_time_, undo);
  // A log of ours never holds a request twice. Of one that does, the first place is the true one.
  if (command.request_id > session.floor &&
      session.requests.try_emplace(command.request_id, Request{command.at, command.digest})
          .second) {
    undo.added = command.request_id;
  }
  forget_expired(log_time_, undo);
  journal_.push_back(std::move(undo));
}

ClientSessionTable::Session& ClientSessionTable::use(const wire::Command& command, LogTime stamp,
                                                     Undo& undo) {
  const auto [place, opened] = sessions_.try_emplace(command.session);
  Session& session = place->second;
  undo.opened = opened;
  if (opened) {
    session.birth = command.birth;
    session.author = command.author;
  } else {
    undo.floor = session.floor;
    undo.last_use = session.last_use;
    unindex(command.session, session);
  }
  session.last_use = stamp;
  index(command.session, session);

  session.floor = std::max(session.floor, command.floor);
  const auto kept = session.requests.upper_bound(session.floor);
  while (session.requests.begin() != kept) {
    undo.dropped.insert(session.requests.extract(session.requests.begin()));
  }
  return session;
}

void ClientSessionTable::forget_expired(LogTime stamp, Undo& undo) {
  while (!uses_.empty() && expired_at(uses_.begin()->first, stamp)) {
    const auto expired = sessions_.find(uses_.begin()->second);
    // Only an expiry of zero could reach the session in use, and even then it stays for this entry.
    if (expired->first == undo.session) return;
    unindex(expired->first, expired->second);
    forgotten_through_ = std::max(forgotten_through_, expired->second.birth);
    undo.forgotten.emplace_back(expired->first, std::move(expired->second));
    sessions_.erase(expired);
    ++expired_;
  }
}

void ClientSessionTable::truncate_after(Index last) {
  KUILT_CHECK(last >= released_);
  while (!journal_.empty() && journal_.back().index > last) {
    undo(journal_.back());
    journal_.pop_back();
  }
}

void ClientSessionTable::undo(Undo& undo) {
  for (auto& [id, session] : undo.forgotten) {
    index(id, session);
    sessions_.emplace(id, std::move(session));
  }
  log_time_ = undo.log_time;
  forgotten_through_ = undo.forgotten_through;

  const auto used = sessions_.find(undo.session);
  Session& session = used->second;
  unindex(used->first, session);
  if (undo.opened) {
    sessions_.erase(used);
    return;
  }
  if (undo.added) session.requests.erase(*undo.added);
  session.requests.merge(undo.dropped);
  session.floor = undo.floor;
  session.last_use = undo.last_use;
  index(used->first, session);
}

void ClientSessionTable::release(Index commit) {
  released_ = std::max(released_, commit);
  while (!journal_.empty() && journal_.front().index <= commit) journal_.pop_front();
}

void ClientSessionTable::index(SessionId id, const Session& session) {
  uses_.emplace(session.last_use, id);
  uses_by_author_[session.author].emplace(session.last_use, id);
}

void ClientSessionTable::unindex(SessionId id, const Session& session) {
  uses_.erase({session.last_use, id});
  const auto own = uses_by_author_.find(session.author);
  own->second.erase({session.last_use, id});
  if (own->second.empty()) uses_by_author_.erase(own);
}

std::optional<Position> ClientSessionTable::find(SessionId session, RequestId request) const {
  const auto known = sessions_.find(session);
  if (known == sessions_.end()) return std::nullopt;
  const auto place = known->second.requests.find(request);
  if (place == known->second.requests.end()) return std::nullopt;
  return place->second.at;
}

std::size_t ClientSessionTable::size() const { return sessions_.size(); }
Index ClientSessionTable::forgotten_through() const { return forgotten_through_; }
LogTime ClientSessionTable::log_time() const { return log_time_; }
std::uint64_t ClientSessionTable::expired() const { return expired_; }

std::uint64_t ClientSessionTable::digest() const {
  Fold fold;
  fold.add(log_time_.value());
  fold.add(forgotten_through_.value());
  fold.add(sessions_.size());
  for (const auto& [id, session] : sessions_) {
    fold.add(id.high());
    fold.add(id.low());
    fold.add(session.birth.value());
    fold.add(session.author);
    fold.add(session.floor.value());
    fold.add(session.last_use.value());
    fold.add(session.requests.size());
    for (const auto& [request_id, request] : session.requests) {
      fold.add(request_id.value());
      fold.add(request.at.index.value());
      fold.add(request.at.term.value());
      fold.add(request.digest);
    }
  }
  return fold.value();
}

}  // namespace kuilt::cluster
