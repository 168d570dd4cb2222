// sessions_snapshot.cpp: the session table as records of a snapshot, and back.
#include "cluster/sessions.hpp"
#include "kuilt/detail/check.hpp"

namespace kuilt::cluster {

void ClientSessionTable::append_records(std::string& out) const {
  for (const auto& [id, session] : sessions_) {
    wire::append_record(out, wire::SnapshotSession{id, session.birth, session.author, session.floor,
                                                   session.last_use});
    for (const auto& [request_id, request] : session.requests) {
      wire::append_record(out, wire::SnapshotRequest{request_id, request.at, request.digest});
    }
  }
}

void ClientSessionTable::begin(Index at, LogTime log_time, Index forgotten_through) {
  KUILT_CHECK(sessions_.empty() && released_ == Index());
  released_ = at;
  log_time_ = log_time;
  forgotten_through_ = forgotten_through;
}

std::optional<std::string> ClientSessionTable::take(const wire::SnapshotSession& record) {
  const SessionId before = sessions_.empty() ? SessionId() : sessions_.rbegin()->first;
  if (record.id <= before) return "sessions out of order, or one without an id";
  if (record.birth > released_) return "a session that was born after the cut";
  if (record.last_use > log_time_) return "a session used after the last stamp";
  Session session{record.birth, record.author, record.floor, record.last_use, {}};
  index(record.id, session);
  sessions_.emplace_hint(sessions_.end(), record.id, std::move(session));
  return std::nullopt;
}

std::optional<std::string> ClientSessionTable::take(const wire::SnapshotRequest& record) {
  if (sessions_.empty()) return "a request without a session";
  Session& session = sessions_.rbegin()->second;
  const RequestId before =
      session.requests.empty() ? session.floor : session.requests.rbegin()->first;
  if (record.id <= before) return "requests out of order, or one that is not above its floor";
  if (record.at.index > released_) return "a request beyond the cut";
  session.requests.emplace_hint(session.requests.end(), record.id,
                                Request{record.at, record.digest});
  return std::nullopt;
}

}  // namespace kuilt::cluster
