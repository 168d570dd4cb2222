#include "client/learner_log.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "client/client_core_feed.hpp"
#include "client/learner_cursor.hpp"
#include "wire/entry.hpp"

namespace kuilt::detail {
namespace {

constexpr std::size_t read_bytes_max = std::size_t{256} << 10;

/// The bytes that were in the feed: what digests are made of.
Bytes public_part(const LogEntry& entry) {
  return wire::encode_feed_entry({{entry.index, entry.term},
                                  entry.log_time,
                                  entry.room,
                                  entry.author,
                                  entry.request_id,
                                  entry.command});
}

Error corrupt(const std::string& what) {
  return Error(ErrorCode::corrupt, "the learner's storage: " + what);
}

/// A stored chunk as the frame in which it could have come.
wire::Feed frame_of(const std::vector<LogEntry>& entries, const RoomName& room, Position before,
                    std::uint64_t digest) {
  wire::Feed frame{room, before, {entries.back().index, entries.back().term}, digest, {}};
  for (const LogEntry& entry : entries) {
    frame.entries.push_back(public_part(entry));
    frame.digest = wire::chain(frame.digest, frame.entries.back());
  }
  return frame;
}

}  // namespace

Result<std::shared_ptr<LearnerLog>> LearnerLog::open(RaftStorage& storage, RoomName room) {
  std::shared_ptr<LearnerLog> log(new LearnerLog(storage, std::move(room)));
  if (Status sound = log->check_stored(); !sound) return std::move(sound).error();
  return log;
}

Status LearnerLog::check_stored() {
  auto through = storage_->load();
  if (!through) return std::move(through).error().within("load the learner's storage");
  Position at;
  std::uint64_t digest = 0;
  for (;;) {
    auto entries = storage_->read(at.index, read_bytes_max);
    if (!entries) return std::move(entries).error().within("read the learner's storage");
    if (entries->empty()) break;
    const wire::Feed frame = frame_of(*entries, room_, at, digest);
    std::vector<wire::FeedEntry> decoded;
    if (auto wrong = client::check_feed(frame, at, digest, decoded)) return corrupt(wrong->text);
    at = frame.through;
    digest = frame.digest;
  }
  if (!*through) {
    if (at == Position{}) return Done{};
    return corrupt("entries through " + std::to_string(at.index.value()) + ", and no place");
  }
  const Position end = (*through)->position;
  const bool same = at.index == end.index && at.term == end.term;
  if (!same && (at.index >= end.index || at.term > end.term)) {
    return corrupt("entries through " + std::to_string(at.index.value()) +
                   ", beyond its place at " + std::to_string(end.index.value()));
  }
  if (digest != (*through)->digest) {
    return corrupt("wrong_digest: its entries are not those of its place at " +
                   std::to_string(end.index.value()));
  }
  through_ = *through;
  last_entry_ = at.index;
  return Done{};
}

std::optional<ResumeToken> LearnerLog::through() const {
  const std::lock_guard lock(mutex_);
  return through_;
}

std::optional<Error> LearnerLog::ended() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

Status LearnerLog::append(std::span<const LogEntry> entries, const ResumeToken& through) {
  {
    const std::lock_guard lock(mutex_);
    if (end_) return *end_;
    if (Status stored = storage_->append(entries, through); !stored) {
      return std::move(stored).error().within("append to the learner's storage");
    }
    through_ = through;
    if (!entries.empty()) last_entry_ = entries.back().index;
    changed_.notify_all();
  }
  tell_listeners();
  return Done{};
}

void LearnerLog::end(const Error& error) {
  {
    const std::lock_guard lock(mutex_);
    if (!end_) end_.emplace(error);
    changed_.notify_all();
  }
  tell_listeners();
}

void LearnerLog::close() {
  end(Error(ErrorCode::stopped, Effect::none, "the node was stopped"));
  const std::lock_guard lock(mutex_);
  storage_ = nullptr;
}

void LearnerLog::wake() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void LearnerLog::add_listener(const std::weak_ptr<LearnerCursor>& listener) {
  const std::lock_guard lock(mutex_);
  std::erase_if(listeners_, [](const auto& one) { return one.expired(); });
  listeners_.push_back(listener);
}

void LearnerLog::tell_listeners() {
  std::vector<std::weak_ptr<LearnerCursor>> listeners;
  {
    const std::lock_guard lock(mutex_);
    listeners = listeners_;
  }
  for (const auto& one : listeners) {
    if (const auto listener = one.lock()) listener->more();
  }
}

Result<std::uint64_t> LearnerLog::digest_through(Index last) {
  std::uint64_t digest = 0;
  for (Index after; after < last;) {
    auto entries = storage_->read(after, read_bytes_max);
    if (!entries) return std::move(entries).error();
    if (entries->empty()) break;
    for (const LogEntry& entry : *entries) {
      after = entry.index;
      if (after > last) return digest;
      digest = wire::chain(digest, public_part(entry));
    }
  }
  return digest;
}

Result<LearnerPlace> LearnerLog::place_of(const From& from) {
  const std::lock_guard lock(mutex_);
  if (storage_ == nullptr) return *end_;
  const Index stored = through_ ? through_->position.index : Index();
  if (std::holds_alternative<FromStart>(from)) return LearnerPlace{};
  if (std::holds_alternative<FromNow>(from)) return LearnerPlace{stored, stored};
  if (const auto* wanted = std::get_if<FromIndex>(&from)) {
    const Index before(wanted->index.value() - (wanted->index > Index() ? 1 : 0));
    return LearnerPlace{before, before};
  }
  const auto& token = std::get<ResumeToken>(from);
  const Index at = token.position.index;
  if (at > stored) {
    return Error(ErrorCode::behind, "the token is at " + std::to_string(at.value()) +
                                        ", the learner has stored through " +
                                        std::to_string(stored.value()));
  }
  if (!through_ || token.cluster != through_->cluster) {
    return Error(ErrorCode::wrong_cluster, "the token is of cluster " + token.cluster.text());
  }
  const auto digest = digest_through(at);
  if (!digest) return digest.error();
  if (token.history != through_->history || *digest != token.digest) {
    return Error(ErrorCode::history_differs, "the learner's history through " +
                                                 std::to_string(at.value()) +
                                                 " is not that of the token");
  }
  return LearnerPlace{at, at};
}

bool LearnerLog::has_more(const LearnerPlace& place) const {
  return through_ && (place.read < last_entry_ || place.told < through_->position.index);
}

bool LearnerLog::has_after(const LearnerPlace& place) const {
  const std::lock_guard lock(mutex_);
  return has_more(place) || end_;
}

LearnerLog::Batch LearnerLog::wait_after(
    const LearnerPlace& place, std::optional<std::chrono::steady_clock::time_point> deadline,
    const std::atomic<bool>& left) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return left || end_ || has_more(place); };
  if (deadline) {
    changed_.wait_until(lock, *deadline, ready);
  } else {
    changed_.wait(lock, ready);
  }
  if (left) return {};
  if (has_more(place) && storage_ != nullptr) return read(place);
  return {{}, std::nullopt, end_};
}

LearnerLog::Batch LearnerLog::read(const LearnerPlace& place) {
  if (place.read >= last_entry_) return {{}, through_, std::nullopt};
  auto entries = storage_->read(place.read, read_bytes_max);
  if (!entries) {
    return {{}, std::nullopt, std::move(entries).error().within("read the learner's storage")};
  }
  if (entries->empty() || entries->front().index <= place.read) {
    return {{},
            std::nullopt,
            corrupt("it has lost what came after " + std::to_string(place.read.value()))};
  }
  return {*std::move(entries), std::nullopt, std::nullopt};
}

}  // namespace kuilt::detail
