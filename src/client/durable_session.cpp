#include "client/durable_session.hpp"

#include <algorithm>
#include <utility>

namespace kuilt {
namespace detail {
namespace {

using client::CommandAcknowledged;
using client::CommandRecorded;
using client::CommandSubmitted;
using client::DurableSessionState;
using client::SessionBegins;
using client::SessionKey;

/// A file is written anew when it is twice as large as then, so that it stays in proportion to what
/// is unfinished and each record pays for less than one more.
constexpr std::size_t small_file_bytes = std::size_t{64} << 10;

/// Whatever befell the store, nothing has been sent.
Error unsent(const Error& error) { return Error(error.code(), Effect::none, error.message()); }

Status check_owner(const SessionBegins& ours, const ClusterPlace& place) {
  if (ours.cluster != place.cluster) {
    return Error(ErrorCode::wrong_cluster, "the session belongs to cluster " + ours.cluster.text() +
                                               ", not " + place.cluster.text());
  }
  return Done{};
}

Result<DurableSessionState> state_of(const std::optional<Bytes>& content,
                                     const ClusterPlace& place) {
  if (!content) {
    return DurableSessionState(SessionBegins{SessionKey{random_session(), place.commit},
                                             place.cluster, place.history, RequestId(0)});
  }
  auto file = client::read_session_file(*content);
  if (!file) return std::move(file).error();
  if (auto ours = check_owner(file->state.begins(), place); !ours) return std::move(ours).error();
  return std::move(file->state);
}

}  // namespace

Submits::Token Submits::begin(RequestId id, bool sent_before) {
  const std::lock_guard lock(mutex_);
  Tally& tally = tallies_[id];
  if (sent_before && tally.all_refused()) tally.lost = true;
  tally.under_way.insert(++last_);
  refused_.erase(id);
  return last_;
}

bool Submits::end(RequestId id, Token token, bool refused) {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(id);
  if (found == tallies_.end()) return false;
  Tally& tally = found->second;
  tally.under_way.erase(token);
  tally.held.erase(token);
  if (!refused) tally.lost = true;
  if (!tally.all_refused()) return false;
  refused_.insert(id);
  return true;
}

void Submits::hold(RequestId id, Token token) {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(id);
  if (found != tallies_.end() && found->second.under_way.erase(token) > 0) {
    found->second.held.insert(token);
  }
}

void Submits::release(RequestId id, Token token) {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(id);
  if (found != tallies_.end() && found->second.held.erase(token) > 0) {
    found->second.under_way.insert(token);
  }
}

void Submits::forget(RequestId id) {
  const std::lock_guard lock(mutex_);
  tallies_.erase(id);
  refused_.erase(id);
}

bool Submits::all_refused(RequestId id) const {
  const std::lock_guard lock(mutex_);
  return refused_.contains(id);
}

std::vector<RequestId> Submits::refused() const {
  const std::lock_guard lock(mutex_);
  return {refused_.begin(), refused_.end()};
}

Submits::Doubt Submits::doubt(RequestId id) const {
  const std::lock_guard lock(mutex_);
  const auto found = tallies_.find(id);
  if (found == tallies_.end() || found->second.lost) return Doubt::for_good;
  return found->second.under_way.empty() ? Doubt::none : Doubt::while_under_way;
}

Result<std::unique_ptr<DurableSessionFile>> DurableSessionFile::open(
    std::shared_ptr<ClientShell> client, std::unique_ptr<SessionStore> store, Duration deadline) {
  const auto content = store->load();
  if (!content) return content.error();
  const auto place = client->await_cluster(deadline);
  if (!place) return place.error();
  auto state = state_of(*content, *place);
  if (!state) return std::move(state).error();
  std::unique_ptr<DurableSessionFile> session(
      new DurableSessionFile(std::move(client), std::move(store), *state));
  // Written anew: what a crash left half written goes, and what it left unsynced becomes durable.
  if (auto written = session->rewrite(*std::move(state)); !written) {
    return std::move(written).error();
  }
  return session;
}

// What is known for certain is kept for a later process, if the disk lets it: that one is only less
// sure otherwise.
DurableSessionFile::~DurableSessionFile() {
  renewals_->stop();
  const std::lock_guard lock(mutex_);
  if (settled_) static_cast<void>(withdraw_refused(RequestId()));
}

Result<RequestId> DurableSessionFile::record(BytesView command, RoomName room) {
  const std::lock_guard lock(mutex_);
  if (auto may = ready(); !may) return std::move(may).error();
  const RequestId id = state_.last().next();
  if (auto may = state_.may_record(id, room, command); !may) return std::move(may).error();
  const CommandRecorded recorded{id, std::move(room), Bytes::copy_of(command), false};
  if (auto kept = keep(recorded); !kept) return std::move(kept).error();
  return id;
}

std::shared_ptr<PendingState<Receipt>> DurableSessionFile::submit(RequestId id, Duration deadline) {
  const std::lock_guard lock(mutex_);
  if (auto may = ready(id); !may) return client_->failed(std::move(may).error());
  return submit_locked(id, deadline);
}

std::shared_ptr<PendingState<Receipt>> DurableSessionFile::submit_locked(RequestId id,
                                                                         Duration deadline) {
  if (auto may = state_.may_submit(id); !may) return client_->failed(std::move(may).error());
  if (!state_.unfinished().at(id).submitted) {
    if (auto kept = keep(CommandSubmitted{id}); !kept) {
      return client_->failed(std::move(kept).error());
    }
    return propose_call(id, false, deadline);
  }
  return propose_call(id, !submits_->all_refused(id), deadline);
}

std::shared_ptr<PendingState<Receipt>> DurableSessionFile::propose(BytesView command, RequestId id,
                                                                   ProposeOptions options) {
  const std::lock_guard lock(mutex_);
  if (auto may = ready(id); !may) return client_->failed(std::move(may).error());
  const auto known = state_.unfinished().find(id);
  const bool again = known != state_.unfinished().end() && known->second.room == options.room &&
                     known->second.command == command;
  if (again) return submit_locked(id, options.deadline);
  if (auto may = state_.may_record(id, options.room, command); !may) {
    return client_->failed(std::move(may).error());
  }
  const CommandRecorded recorded{id, std::move(options.room), Bytes::copy_of(command), true};
  if (auto kept = keep(recorded); !kept) return client_->failed(std::move(kept).error());
  return propose_call(id, false, options.deadline);
}

std::shared_ptr<PendingState<Receipt>> DurableSessionFile::propose_call(RequestId id,
                                                                        bool sent_before,
                                                                        Duration deadline) {
  const DurableSessionState::Unfinished& command = state_.unfinished().at(id);
  client::ProposeCall asked;
  asked.room = command.room;
  asked.command = command.command;
  asked.session = state_.begins().key;
  asked.request_id = id;
  asked.floor = state_.floor();
  asked.history = state_.begins().history;
  asked.sent_before = sent_before;
  const Held call{id, submits_->begin(id, sent_before), asked.session->session};
  const auto on_end = [submits = submits_, held = store_, call](bool refused) {
    return submits->end(call.id, call.token, refused);
  };
  const auto on_need_key = [submits = submits_, renewals = renewals_,
                            client = std::weak_ptr(client_), call,
                            this](const client::NeedKey& need) {
    submits->hold(call.id, call.token);
    // This session is there as long as its queue runs anything.
    if (renewals->run("renewal of a session", [=, this] { renew_for(call, need); })) return;
    if (const auto shell = client.lock()) shell->answer_key({need.call, std::nullopt});
  };
  return client_->propose(std::move(asked), deadline, on_end, on_need_key);
}

void DurableSessionFile::renew_for(const Held& submit, const client::NeedKey& need) {
  std::optional<SessionKey> key;
  {
    const std::lock_guard lock(mutex_);
    key = key_for(submit, need.birth);
    if (key && key->session != submit.session) submits_->release(submit.id, submit.token);
  }
  client_->answer_key({need.call, key});
}

// As `renew`, and for the same reason safe: what was submitted is surely not in the log, nor can it
// still get there. While something is under way the old session stays.
std::optional<SessionKey> DurableSessionFile::key_for(const Held& submit, Index birth) {
  SessionBegins begins = state_.begins();
  if (!state_.may_submit(submit.id)) return std::nullopt;       // It was acknowledged meanwhile.
  if (submit.session != begins.key.session) return begins.key;  // Another submit has found it.
  if (!settle()) return std::nullopt;
  const Submits::Doubt in_doubt = doubt();
  if (in_doubt == Submits::Doubt::for_good) return std::nullopt;
  if (in_doubt == Submits::Doubt::while_under_way) return begins.key;
  begins.key = {random_session(), birth};
  if (!rewrite(under(begins))) return std::nullopt;
  return begins.key;
}

/// The same commands in another session, submitted if they are to be sent at once.
DurableSessionState DurableSessionFile::under(const SessionBegins& begins) const {
  DurableSessionState next(begins);
  for (const auto& [id, command] : state_.unfinished()) {
    const bool submitted = command.submitted && !submits_->all_refused(id);
    KUILT_CHECK(next.take(CommandRecorded{id, command.room, command.command, submitted}));
  }
  return next;
}

Submits::Doubt DurableSessionFile::doubt() const {
  Submits::Doubt worst = Submits::Doubt::none;
  for (const auto& [id, command] : state_.unfinished()) {
    if (command.submitted) worst = std::max(worst, submits_->doubt(id));
  }
  return worst;
}

Status DurableSessionFile::acknowledge(RequestId id) {
  const std::lock_guard lock(mutex_);
  if (auto may = ready(id); !may) return may;
  const bool done_before =
      id != RequestId(0) && id <= state_.last() && !state_.unfinished().contains(id);
  if (done_before) return Done{};
  if (auto known = state_.may_submit(id); !known) return known;
  if (auto kept = keep(CommandAcknowledged{id}); !kept) return kept;
  submits_->forget(id);
  return Done{};
}

std::vector<DurableSession::Unfinished> DurableSessionFile::unfinished() const {
  const std::lock_guard lock(mutex_);
  std::vector<DurableSession::Unfinished> all;
  for (const auto& [id, command] : state_.unfinished()) {
    all.push_back({id, command.room, command.command, maybe_sent(id)});
  }
  return all;
}

Status DurableSessionFile::renew(Duration deadline) {
  const auto place = client_->await_cluster(deadline);
  if (!place) return place.error();
  const std::lock_guard lock(mutex_);
  if (auto settled = settle(); !settled) return settled;
  if (auto ours = check_owner(state_.begins(), *place); !ours) return ours;
  for (const auto& [id, command] : state_.unfinished()) {
    if (!maybe_sent(id)) continue;
    return Error(ErrorCode::invalid_argument,
                 "request id " + std::to_string(id.value()) + " may be in the log under the " +
                     "session that is to be left: find out, and acknowledge it first");
  }
  return rewrite(under(SessionBegins{SessionKey{random_session(), place->commit}, place->cluster,
                                     place->history, state_.last()}));
}

bool DurableSessionFile::maybe_sent(RequestId id) const {
  return state_.unfinished().at(id).submitted && !submits_->all_refused(id);
}

// Also what failed to be appended must not stay: the file is written anew, never continued
// (docs/ARCHITECTURE.md, rule 12).
Status DurableSessionFile::settle() {
  if (settled_) return Done{};
  return rewrite(state_);
}

Status DurableSessionFile::ready(RequestId about) {
  if (auto settled = settle(); !settled) return settled;
  return withdraw_refused(about);
}

// The next process knows nothing of what this one was told, and would have to call it unknown
// (docs/session-format.md, "withdrawn"). Not `but`, of which more will be written anyway.
Status DurableSessionFile::withdraw_refused(RequestId but) {
  std::vector<RequestId> all;
  for (const RequestId id : submits_->refused()) {
    if (id != but && state_.unfinished().at(id).submitted) all.push_back(id);
  }
  if (all.empty()) return Done{};
  if (all.size() == 1) return keep(client::CommandWithdrawn{all.front()});
  return rewrite(under(state_.begins()));
}

Status DurableSessionFile::keep(const client::SessionRecord& record) {
  if (file_bytes_ >= file_bytes_max_) {
    DurableSessionState next = state_;
    KUILT_CHECK(next.take(record));
    return rewrite(std::move(next));
  }
  const std::string bytes =
      client::session_record(state_.begins().key.session, file_bytes_, record);
  settled_ = false;
  if (auto appended = store_->append(bytes); !appended) return unsent(appended.error());
  settled_ = true;
  file_bytes_ += bytes.size();
  KUILT_CHECK(state_.take(record));
  return Done{};
}

Status DurableSessionFile::rewrite(DurableSessionState next) {
  const std::string bytes = client::session_file(next);
  settled_ = false;
  if (auto replaced = store_->replace(bytes); !replaced) return unsent(replaced.error());
  settled_ = true;
  file_bytes_ = bytes.size();
  file_bytes_max_ = 2 * std::max(bytes.size(), small_file_bytes);
  state_ = std::move(next);
  return Done{};
}

}  // namespace detail

DurableSession::DurableSession(std::unique_ptr<detail::DurableSessionFile> file)
    : file_(std::move(file)) {}
DurableSession::DurableSession(DurableSession&&) noexcept = default;
DurableSession& DurableSession::operator=(DurableSession&&) noexcept = default;
DurableSession::~DurableSession() = default;

Result<RequestId> DurableSession::record(BytesView command, RoomName room) {
  auto id = file_->record(command, std::move(room));
  if (!id) return std::move(id).error().within("record");
  return id;
}
Pending<Receipt> DurableSession::submit(RequestId id, std::chrono::nanoseconds deadline) {
  return Pending<Receipt>(file_->submit(id, deadline));
}
Pending<Receipt> DurableSession::propose(BytesView command, RequestId id) {
  return propose(command, id, {});
}
Pending<Receipt> DurableSession::propose(BytesView command, RequestId id, ProposeOptions options) {
  return Pending<Receipt>(file_->propose(command, id, std::move(options)));
}
Status DurableSession::acknowledge(RequestId id) {
  auto kept = file_->acknowledge(id);
  if (!kept) return std::move(kept).error().within("acknowledge");
  return kept;
}
std::vector<DurableSession::Unfinished> DurableSession::unfinished() const {
  return file_->unfinished();
}
Status DurableSession::renew(std::chrono::nanoseconds deadline) {
  auto renewed = file_->renew(deadline);
  if (!renewed) return std::move(renewed).error().within("renew");
  return renewed;
}

}  // namespace kuilt
