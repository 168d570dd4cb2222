// core_bench.hpp: a ClientCore on the bench: virtual time, and servers played by the test.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "client/client_core.hpp"
#include "wire/entry.hpp"

namespace kuilt::client {

using namespace std::chrono_literals;

inline Position at(std::uint64_t index, std::uint64_t term = 1) {
  return Position{Index(index), Term(term)};
}

/// A feed as an honest server would send it, frame by frame.
class FakeHistory {
 public:
  explicit FakeHistory(RoomName room = {}) : room_(std::move(room)) {}

  /// One frame with a command at each index after the last, through `last`.
  wire::Feed frame(std::uint64_t last, std::uint64_t term = 1) {
    return frame_with(last, term, true);
  }
  /// A frame in which nothing is visible in this room.
  wire::Feed empty_frame(std::uint64_t last, std::uint64_t term = 1) {
    return frame_with(last, term, false);
  }
  [[nodiscard]] Position position() const { return at_; }
  [[nodiscard]] std::uint64_t digest() const { return digest_; }

  [[nodiscard]] Bytes entry(Position place) const {
    wire::Command command;
    command.at = place;
    command.room = room_;
    command.author = "ann";
    command.request_id = RequestId(place.index.value());
    const std::string body = "move " + std::to_string(place.index.value());
    command.body = body;
    command.session = SessionId::named("ann's");
    command.digest = wire::command_digest(room_, command.body);
    return wire::public_part(wire::encode_command(command));
  }

 private:
  wire::Feed frame_with(std::uint64_t last, std::uint64_t term, bool visible) {
    wire::Feed feed{room_, at_, at(last, term), 0, {}};
    for (std::uint64_t i = at_.index.value() + 1; visible && i <= last; ++i) {
      feed.entries.push_back(entry(at(i, term)));
      digest_ = wire::chain(digest_, feed.entries.back());
    }
    at_ = feed.through;
    feed.digest = digest_;
    return feed;
  }

  RoomName room_;
  Position at_;
  std::uint64_t digest_ = 0;
};

class Bench {
 public:
  explicit Bench(ClientOptions options = {}, std::uint64_t seed = 1)
      : options_(with_endpoints(std::move(options))),
        core(options_, seed, SessionId::named("own"), now) {
    step(Tick{});
  }

  // What happens to the client.

  void step(Input input) {
    std::vector<Input> inputs;
    inputs.push_back(std::move(input));
    step_all(std::move(inputs));
  }
  void step_all(std::vector<Input> inputs) {
    Output out = core.step(now, std::move(inputs));
    wake_at = out.wake_at;
    for (Duty& duty : out.duties) note(std::move(duty));
  }
  /// Lets time pass, waking the client whenever it asked for it.
  void pass(Duration time) {
    const Instant end = now + time;
    for (int wakes = 0; wake_at <= end; ++wakes) {
      ASSERT_LT(wakes, 100'000) << "the client asks to be woken without end";
      now = std::max(now, wake_at);
      step(Tick{});
    }
    now = end;
    step(Tick{});
  }
  /// As `pass`, with heartbeats on every admitted link so that none is silent.
  void pass_alive(Duration time, const std::string& leader = "a") {
    for (const Instant end = now + time; now < end;) {
      pass(std::min<Duration>(500ms, end - now));
      const auto admitted = admitted_;
      for (const DialId dial : admitted) {
        if (open.contains(dial)) hear(dial, wire::ServerHeartbeat{commit, leader});
      }
    }
  }
  void hear(DialId dial, wire::ServerMessage message) { step(Arrived{dial, std::move(message)}); }

  // What a server does.

  /// Of the server at "ws://a", unless told otherwise.
  [[nodiscard]] wire::Welcome a_welcome(const std::string& endpoint = "ws://a") const {
    wire::Welcome welcome;
    welcome.server = NodeId::named(endpoint);
    welcome.server_name = "a";
    welcome.features = features;
    welcome.member = PeerId::named("ann");
    welcome.cluster = ClusterId::named("cluster");
    welcome.history = HistoryId::named("history");
    welcome.commit = commit;
    welcome.leader = "a";
    welcome.heartbeat_interval = 1s;
    welcome.limits = limits;
    return welcome;
  }
  /// The last dial succeeds and is admitted.
  DialId admit_last() { return admit(dials.back().first); }
  DialId admit(DialId dial) {
    step(Dialed{dial});
    admitted_.push_back(dial);
    hear(dial, a_welcome(endpoint(dial)));
    return dial;
  }
  /// Waits for the next dial, at most a few seconds, and admits it.
  DialId admit_next() {
    const std::size_t before = dials.size();
    for (int i = 0; i < 100 && dials.size() == before; ++i) pass(50ms);
    EXPECT_GT(dials.size(), before) << "the client does not dial";
    return admit_last();
  }
  void answer(DialId dial, std::uint64_t number, wire::Outcome outcome) {
    hear(dial, wire::Answers{{wire::Answer{number, std::move(outcome)}}});
  }
  void refuse(DialId dial, std::uint64_t number, ErrorCode code, bool certain = true,
              Duration retry_after = {}) {
    answer(dial, number, wire::RefusedOutcome{code, "no", certain, retry_after});
  }
  void resume(DialId dial, Position place, std::uint64_t digest = 0, const RoomName& room = {}) {
    hear(dial, wire::ObserveReply{room, wire::ObserveVerdict::resumed, place, digest, "", {}});
  }

  // What the application does.

  CallId propose(std::string text, Duration within = 15s) {
    const CallId call(++last_call_);
    ProposeCall asked;
    asked.call = call;
    asked.command = Bytes(std::move(text));
    asked.deadline = now + within;
    step(std::move(asked));
    return call;
  }

  CallId read(Duration within = 5s) {
    const CallId call(++last_call_);
    step(BarrierCall{call, now + within});
    return call;
  }

  // What was seen of it.

  [[nodiscard]] const std::string& endpoint(DialId dial) const { return endpoints_.at(dial); }
  [[nodiscard]] const wire::Proposal& last_proposal() const { return proposals.back().second; }
  [[nodiscard]] const Resolved* outcome(CallId call) const {
    const auto found = outcomes.find(call);
    return found == outcomes.end() ? nullptr : &found->second;
  }
  [[nodiscard]] bool committed(CallId call) const {
    return outcome(call) != nullptr && outcome(call)->result.has_value();
  }
  /// "busy/none", or "pending", or "committed".
  [[nodiscard]] std::string verdict(CallId call) const {
    const Resolved* end = outcome(call);
    if (end == nullptr) return "pending";
    if (end->result) return "committed";
    const Error& error = end->result.error();
    return std::string(name_of(error.code())) +
           (error.effect() == Effect::none ? "/none" : "/unknown");
  }
  /// "index 7", or "pending", or "busy/none".
  [[nodiscard]] std::string read_verdict(CallId call) const {
    const auto end = reads.find(call);
    if (end == reads.end()) return "pending";
    const Result<Index>& result = end->second.result;
    if (result) return "index " + std::to_string(result->value());
    return std::string(name_of(result.error().code())) +
           (result.error().effect() == Effect::none ? "/none" : "/unknown");
  }
  template <class Message>
  [[nodiscard]] std::vector<Message> sent(DialId dial) const {
    std::vector<Message> found;
    for (const auto& [to, message] : messages) {
      const auto* one = std::get_if<Message>(&message);
      if (to == dial && one != nullptr) found.push_back(*one);
    }
    return found;
  }
  [[nodiscard]] int count(EventKind kind) const {
    int times = 0;
    for (const Event& event : events) times += event.kind == kind ? 1 : 0;
    return times;
  }
  [[nodiscard]] const Event* last_event(EventKind kind) const {
    const Event* last = nullptr;
    for (const Event& event : events) last = event.kind == kind ? &event : last;
    return last;
  }
  [[nodiscard]] std::vector<std::uint64_t> delivered_indexes() const {
    std::vector<std::uint64_t> indexes;
    for (const Delivered& one : delivered) indexes.push_back(one.entry.at.index.value());
    return indexes;
  }

  Instant now{1h};
  Instant wake_at;
  Position commit = at(100);
  std::uint64_t features = wire::feature_rooms | wire::feature_reads;
  wire::Limits limits{.command_bytes_max = 1 << 20,
                      .frame_bytes_max = 4 << 20,
                      .window_bytes_max = 0,
                      .session_window = 1024};
  std::vector<std::pair<DialId, std::string>> dials;
  std::map<DialId, bool> open;
  std::vector<std::pair<DialId, wire::ClientMessage>> messages;
  std::vector<std::pair<DialId, wire::Proposal>> proposals;  ///< Every attempt, in order.
  std::map<CallId, Resolved> outcomes;
  std::map<CallId, BarrierResolved> reads;
  std::vector<Delivered> delivered;
  std::vector<Advanced> advanced;
  std::vector<ObserveEnded> ended;
  std::vector<RoomTold> rosters;
  std::vector<RoomDelivered> heard;
  std::vector<RoomRefused> rooms_refused;
  std::vector<RoomEnded> rooms_ended;
  std::vector<Event> events;
  int sessions_asked = 0;
  std::vector<NeedKey> keys_asked;
  bool gives_sessions = true;  ///< At once, when asked.

 private:
  static ClientOptions with_endpoints(ClientOptions options) {
    if (options.endpoints.empty()) options.endpoints = {"ws://a", "ws://b", "ws://c"};
    options.name = "ann";
    return options;
  }
  void note(Duty duty) {
    if (auto* dial = std::get_if<Dial>(&duty)) {
      dials.emplace_back(dial->dial, dial->endpoint);
      endpoints_[dial->dial] = dial->endpoint;
      open[dial->dial] = true;
    } else if (auto* send = std::get_if<Send>(&duty)) {
      EXPECT_TRUE(open.contains(send->dial)) << "sends on a closed link";
      if (const auto* frame = std::get_if<wire::Propose>(&send->message)) {
        for (const auto& one : frame->proposals) proposals.emplace_back(send->dial, one);
      }
      messages.emplace_back(send->dial, std::move(send->message));
    } else if (auto* close = std::get_if<Close>(&duty)) {
      open.erase(close->dial);
    } else if (auto* resolved = std::get_if<Resolved>(&duty)) {
      const CallId call = resolved->call;
      EXPECT_TRUE(outcomes.emplace(call, std::move(*resolved)).second) << "two outcomes";
    } else if (auto* read = std::get_if<BarrierResolved>(&duty)) {
      const CallId call = read->call;
      EXPECT_TRUE(reads.emplace(call, std::move(*read)).second) << "two ends of a read";
    } else if (auto* one = std::get_if<Delivered>(&duty)) {
      delivered.push_back(std::move(*one));
    } else if (auto* advance = std::get_if<Advanced>(&duty)) {
      advanced.push_back(std::move(*advance));
    } else if (auto* end = std::get_if<ObserveEnded>(&duty)) {
      ended.push_back(std::move(*end));
    } else if (auto* told = std::get_if<RoomTold>(&duty)) {
      rosters.push_back(std::move(*told));
    } else if (auto* said = std::get_if<RoomDelivered>(&duty)) {
      heard.push_back(std::move(*said));
    } else if (auto* refused = std::get_if<RoomRefused>(&duty)) {
      rooms_refused.push_back(std::move(*refused));
    } else if (auto* over = std::get_if<RoomEnded>(&duty)) {
      rooms_ended.push_back(std::move(*over));
    } else if (std::holds_alternative<NeedSession>(duty)) {
      ++sessions_asked;
      if (gives_sessions) step(FreshSession{SessionId(++last_session_, 1)});
    } else if (auto* need = std::get_if<NeedKey>(&duty)) {
      keys_asked.push_back(*need);
    } else if (auto* event = std::get_if<Event>(&duty)) {
      events.push_back(std::move(*event));
    }
  }

  ClientOptions options_;
  std::map<DialId, std::string> endpoints_;
  std::vector<DialId> admitted_;
  std::uint64_t last_call_ = 0;
  std::uint64_t last_session_ = 0;

 public:
  ClientCore core;
};

inline ClientOptions options_for(std::vector<std::string> endpoints, std::uint32_t links = 1) {
  ClientOptions options;
  options.endpoints = std::move(endpoints);
  options.links = links;
  return options;
}

}  // namespace kuilt::client
