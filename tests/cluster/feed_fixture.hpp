// feed_fixture.hpp: a committed log to feed from, and an observer who checks what it is sent.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cluster/feed.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::testing {

inline const ClusterId cluster_id = ClusterId::named("cluster");
inline const HistoryId history_id = HistoryId::named("history");
inline constexpr Instant t0{std::chrono::seconds(100)};

/// A log that only grows. What was appended since the last `commit` is one batch.
class TestLog {
 public:
  explicit TestLog(Position base = {}) : base_(base), committed_(base), term_(base.term) {
    if (term_ == Term()) term_ = Term(1);
    digests_.begin(base, {});
  }

  void command(std::string_view text, std::string_view room = "") {
    wire::Command command;
    command.at = next();
    command.room = room;
    command.author = "ann";
    command.request_id = RequestId(command.at.index.value());
    command.body = text;
    command.session = SessionId(1, 2);
    command.digest = wire::command_digest(room, text);
    entries_.push_back(wire::encode_command(command));
  }
  void no_op() { entries_.push_back(wire::no_op(next())); }
  void new_term() {
    term_ = term_.next();
    no_op();
  }

  std::shared_ptr<const CommittedBatch> commit() {
    auto batch = std::make_shared<CommittedBatch>();
    batch->prev = committed_;
    for (Index i = committed_.index.next(); i <= last().index; i = i.next()) {
      batch->entries.push_back(at(i));
      digests_.extend(at(i));
      if (terms_.empty() || terms_.back().term != at(i).at.term) {
        terms_.push_back({i, at(i).at.term});
      }
    }
    committed_ = batch->through = last();
    return batch;
  }

  [[nodiscard]] FeedBoot boot(std::uint64_t checkpoint_interval) const {
    RoomDigests digests(checkpoint_interval);
    digests.begin(base_, {});
    for (const raft::Entry& entry : entries_) {
      if (entry.at.index <= committed_.index) digests.extend(entry);
    }
    return {cluster_id, history_id, base_, terms_, digests};
  }

  /// What a reader of the file would answer.
  [[nodiscard]] std::vector<raft::Entry> read(const FeedLoad& load) const {
    std::vector<raft::Entry> read;
    std::size_t bytes = 0;
    for (Index i = load.first; i <= load.last; i = i.next()) {
      bytes += at(i).stored.size();
      if (bytes > load.bytes_max && !read.empty()) break;
      read.push_back(at(i));
    }
    return read;
  }

  [[nodiscard]] const raft::Entry& at(Index index) const {
    return entries_.at(index.value() - base_.index.value() - 1);
  }
  [[nodiscard]] Position position(std::uint64_t index) const {
    return Index(index) == base_.index ? base_ : at(Index(index)).at;
  }
  [[nodiscard]] Position last() const { return entries_.empty() ? base_ : entries_.back().at; }
  [[nodiscard]] Position base() const { return base_; }
  [[nodiscard]] Position committed() const { return committed_; }
  /// Public parts of a room in (after, through].
  [[nodiscard]] std::vector<Bytes> parts(std::string_view room, Index after, Index through) const {
    std::vector<Bytes> parts;
    for (Index i = after.next(); i <= through; i = i.next()) {
      const raft::Entry& entry = at(i);
      if (entry.kind != raft::EntryKind::command) continue;
      if (wire::decode_command(entry)->room == room) parts.push_back(wire::public_part(entry));
    }
    return parts;
  }
  /// By walking the whole log: what checkpoints and the ring must agree with.
  [[nodiscard]] std::uint64_t digest(std::string_view room, Index through) const {
    std::uint64_t digest = 0;
    for (const Bytes& part : parts(room, base_.index, through)) digest = wire::chain(digest, part);
    return digest;
  }
  [[nodiscard]] wire::ResumePoint point(std::string_view room, std::uint64_t index) const {
    return {cluster_id, history_id, position(index), digest(room, Index(index))};
  }

 private:
  [[nodiscard]] Position next() const { return {last().index.next(), term_}; }

  Position base_;
  Position committed_;
  Term term_;
  std::vector<raft::Entry> entries_;
  std::vector<raft::TermRange> terms_;
  RoomDigests digests_{16};
};

inline wire::ServerMessage decoded(const FeedSend& send,
                                   wire::Encoding encoding = wire::Encoding::protobuf) {
  return wire::decode_server(send.frame, encoding).or_throw();
}
/// The messages of one kind among what was sent.
template <class Message>
std::vector<Message> all_of(const FeedOutput& out,
                            wire::Encoding encoding = wire::Encoding::protobuf) {
  std::vector<Message> found;
  for (const FeedSend& send : out.send) {
    const wire::ServerMessage message = decoded(send, encoding);
    if (const auto* wanted = std::get_if<Message>(&message)) found.push_back(*wanted);
  }
  return found;
}
inline std::vector<std::string> texts(const wire::Feed& feed) {
  std::vector<std::string> texts;
  for (const Bytes& part : feed.entries) {
    texts.emplace_back(wire::decode_feed_entry(part).or_throw().command.text());
  }
  return texts;
}
inline wire::Observe from_start(std::string room = "", std::uint64_t credit = 0) {
  return {std::move(room), wire::FromStart{}, credit};
}

/// What a client knows of one room: it accepts only what continues it.
struct Observer {
  RoomName room;
  wire::Encoding encoding = wire::Encoding::protobuf;
  bool is_placed = false;
  Position at{};
  std::uint64_t digest = 0;
  std::vector<Bytes> seen{};  ///< Since the last placement.
  Position placed_at{};
  std::string complaint{};

  void take(const wire::ObserveReply& reply) {
    is_placed = reply.verdict == wire::ObserveVerdict::resumed ||
                reply.verdict == wire::ObserveVerdict::begins_at;
    if (!is_placed) return;
    at = placed_at = reply.at;
    digest = reply.digest;
    seen.clear();
  }
  void take(const wire::Feed& feed) {
    if (!is_placed) complaint = "a frame without a reply before it";
    if (feed.prev != at) complaint = "a gap or a repeat before " + std::to_string(at.index.value());
    if (feed.through <= feed.prev) complaint = "a frame that goes nowhere";
    for (const Bytes& part : feed.entries) {
      digest = wire::chain(digest, part);
      seen.push_back(part);
    }
    if (feed.digest != digest) complaint = "a wrong digest";
    at = feed.through;
  }
};

}  // namespace kuilt::cluster::testing
