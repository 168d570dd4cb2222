#include "explore/words.hpp"

#include "kuilt/detail/check.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::explore {
namespace {

std::string number(std::uint64_t value) { return std::to_string(value); }

std::string text_of_term(Term term) { return ", term " + number(term.value()); }

std::string text_of_boot(BootId boot) { return ", start " + number(boot.low()); }

std::string text_of_reply(const raft::VoteReply& reply) {
  const std::string what = reply.pre ? "pre-vote" : "vote";
  const std::string why =
      reply.committed ? ", " + text_of(*reply.committed) + " is committed" : std::string();
  return what + (reply.granted ? " granted" : " refused") + text_of_term(reply.term) + why;
}

std::string text_of_append(const raft::AppendRequest& append) {
  const std::string entries = append.entries.empty() ? "nothing" : text_of(append.entries);
  return "append [" + entries + "] after " + text_of(append.prev) + ", commit " +
         number(append.commit.value()) + text_of_term(append.term);
}

std::string text_of_ack(const raft::AppendReply& reply) {
  const std::string end = text_of_term(reply.term) + text_of_boot(reply.boot);
  if (reply.accepted) return "has durably through " + number(reply.durable.value()) + end;
  if (reply.rejected_prev == Index()) return "is in a later term" + end;
  return "rejects append after " + number(reply.rejected_prev.value()) + ", may agree at " +
         text_of(reply.conflict) + end;
}

std::string text_of_read_reply(const raft::ReadReply& reply) {
  const std::string at = reply.confirmed ? " at " + number(reply.index.value()) : " refused";
  return "read " + number(reply.number) + at + text_of_term(reply.term) + text_of_boot(reply.boot);
}

}  // namespace

char letter(Slot slot) { return static_cast<char>('a' + slot); }

NodeId node_id(Slot slot) { return NodeId(0, slot + 1); }

Slot slot_of(NodeId id, std::size_t count) {
  KUILT_CHECK(id.high() == 0 && id.low() >= 1 && id.low() <= count);
  return static_cast<Slot>(id.low() - 1);
}

std::string text_of(Position at) {
  return number(at.index.value()) + "/t" + number(at.term.value());
}

std::string text_of(const raft::Entry& entry) {
  const bool no_op = entry.kind == raft::EntryKind::no_op;
  return text_of(entry.at) + " " + (no_op ? "-" : std::string(entry.stored.text()));
}

std::string text_of(const std::vector<raft::Entry>& entries) {
  std::string text;
  for (const raft::Entry& entry : entries) text += (text.empty() ? "" : ", ") + text_of(entry);
  return text;
}

std::string text_of(const raft::Message& message) {
  const auto in_words = Overloaded{
      [](const raft::VoteRequest& m) {
        return std::string(m.pre ? "pre-vote" : "vote") + " asked for, log ends at " +
               text_of(m.last) + text_of_term(m.term) + (m.transfer ? ", for the leader" : "");
      },
      [](const raft::VoteReply& m) { return text_of_reply(m); },
      [](const raft::AppendRequest& m) { return text_of_append(m); },
      [](const raft::AppendReply& m) { return text_of_ack(m); },
      [](const raft::Heartbeat& m) {
        return "heartbeat " + number(m.round) + ", commit " + text_of(m.commit) +
               text_of_term(m.term);
      },
      [](const raft::HeartbeatReply& m) {
        return "answers heartbeat " + number(m.round) + ", log ends at " + number(m.last.value()) +
               text_of_term(m.term) + text_of_boot(m.boot);
      },
      [](const raft::ReadRequest& m) {
        return "read " + number(m.number) + text_of_term(m.term) + text_of_boot(m.boot);
      },
      [](const raft::ReadReply& m) { return text_of_read_reply(m); },
      [](const raft::TimeoutNow& m) {
        return "stand for election, log ends at " + text_of(m.last) + text_of_term(m.term);
      },
  };
  return std::visit(in_words, message);
}

}  // namespace kuilt::explore
