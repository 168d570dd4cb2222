// log_seam.hpp: a Seam with a server of a TinyLog at its other end, in memory, that ends, spoils
// and keeps back what its script says.
#pragma once

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "kuilt/raft.hpp"
#include "tests/await.hpp"
#include "tests/client/tiny_server.hpp"

namespace kuilt::testing {

inline const NodeId voter_a = NodeId::named("a");

struct SeamScript {
  NodeId server = voter_a;
  std::string cluster = "cluster";
  std::string history = "history";
  bool welcomes = true;
  std::uint64_t features = wire::feature_rooms;
  bool answers = true;  ///< Else proposals vanish, after they entered the log.
  /// So many frames pass, in either direction; the next one tears the Seam...
  std::size_t frames = std::numeric_limits<std::size_t>::max();
  /// ...with so much of it going through, of 256 parts: none, a piece, or all.
  std::size_t last_parts = 0;
  std::function<void(wire::Feed&)> spoil = {};
};

/// Events come inside calls, as a Seam's may.
///
/// Threads: any.
class LogSeam final : public Seam {
 public:
  explicit LogSeam(TinyLog& log, SeamScript script = {}) : log_(log), script_(std::move(script)) {}

  void start(SeamEvents events) override {
    const std::lock_guard lock(mutex_);
    EXPECT_FALSE(started_) << "a Seam is started once";
    started_ = true;
    events_ = std::move(events);
  }
  bool send(Bytes frame) override {
    const std::lock_guard lock(mutex_);
    if (over_) return false;
    const std::size_t passes = let_through(frame);
    if (passes == frame.size()) take(frame);
    return true;  // Nobody can know what became of it.
  }
  void close() override {
    const std::lock_guard lock(mutex_);
    closed_ = over_ = true;
  }

  /// The log has grown by another way.
  void feed() {
    const std::lock_guard lock(mutex_);
    if (observes_ && fed_ < log_.size()) feed_now();
  }
  void say(const wire::ServerMessage& message) {
    say(wire::encode(message, wire::Encoding::protobuf));
  }
  void say(const Bytes& frame) {
    const std::lock_guard lock(mutex_);
    if (over_) return;
    const std::size_t passes = let_through(frame);
    if (passes > 0) events_.on_frame(frame.slice(0, passes));
    if (over_) tell_torn("cut by the script");
  }
  /// Tells also of a cut that nobody was told of: of a frame that this side had sent.
  void tear() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    tell_torn("torn by the test");
  }
  [[nodiscard]] bool closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
  }
  [[nodiscard]] bool over() const {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  [[nodiscard]] std::vector<wire::Observe> observes() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  /// Numbers of the messages of rooms that were sent on it.
  [[nodiscard]] std::vector<std::uint64_t> said() const {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  [[nodiscard]] std::size_t proposals() const {
    const std::lock_guard lock(mutex_);
    return proposals_;
  }

 private:
  void tell_torn(const std::string& why) {
    if (closed_ || !events_.on_torn) return;
    std::exchange(events_.on_torn, {})(Error(ErrorCode::io, why));
  }
  /// How many of its bytes arrive.
  std::size_t let_through(const Bytes& frame) {
    if (script_.frames-- > 0) return frame.size();
    over_ = true;
    return frame.size() * script_.last_parts / 256;
  }
  void take(const Bytes& frame) {
    auto message = wire::decode_client(frame, wire::Encoding::protobuf);
    ASSERT_TRUE(message) << message.error().message();
    const auto on_message = Overloaded{
        [&](const wire::Hello&) { welcome(); },
        [&](const wire::Propose& propose) { append(propose); },
        [&](const wire::Observe& observe) { begin(observe); },
        [&](const wire::Join& join) {
          say(wire::Roster{join.room, wire::RosterReset{{{PeerId::named("me"), "ann"}}}});
        },
        [&](const wire::RoomMessage& said) { said_.push_back(said.number); },
        [](const auto&) {},
    };
    std::visit(on_message, *message);
    if (over_) tell_torn("cut by the script");
  }
  void welcome() {
    if (!script_.welcomes) return;
    wire::Welcome welcome;
    welcome.server = script_.server;
    welcome.server_name = "a";
    welcome.features = script_.features;
    welcome.member = PeerId::named("me");
    welcome.cluster = ClusterId::named(script_.cluster);
    welcome.history = HistoryId::named(script_.history);
    welcome.commit = TinyLog::position(log_.size());
    welcome.leader = "a";
    welcome.heartbeat_interval = 1s;
    welcome.limits = {1 << 20, 4 << 20, 1 << 20, 1024};
    say(welcome);
  }
  void append(const wire::Propose& propose) {
    wire::Answers answers;
    for (const wire::Proposal& one : propose.proposals) {
      ++proposals_;
      bool duplicate = false;
      const Position at = log_.propose(one, duplicate);
      answers.answers.push_back({one.number, wire::CommittedOutcome{at, duplicate, {}}});
    }
    if (script_.answers) say(answers);
    if (observes_ && fed_ < log_.size()) feed_now();
  }
  void begin(const wire::Observe& observe) {
    asked_.push_back(observe);
    const auto* point = std::get_if<wire::ResumePoint>(&observe.from);
    fed_ = point == nullptr ? 0 : point->at.index.value();
    observes_ = point == nullptr || point->history == HistoryId::named(script_.history);
    say(wire::ObserveReply{
        observe.room,
        observes_ ? wire::ObserveVerdict::resumed : wire::ObserveVerdict::history_differs,
        TinyLog::position(fed_),
        log_.digest_through(fed_),
        "",
        {}});
    if (observes_ && fed_ < log_.size()) feed_now();
  }
  void feed_now() {
    wire::Feed frame = log_.feed_after(fed_);
    fed_ += frame.entries.size();
    if (script_.spoil) script_.spoil(frame);
    say(frame);
  }

  TinyLog& log_;
  mutable std::recursive_mutex mutex_;  ///< Guards what follows; held while events are told.
  SeamScript script_;
  SeamEvents events_;
  bool started_ = false;
  bool over_ = false;
  bool closed_ = false;
  bool observes_ = false;
  std::size_t fed_ = 0;
  std::size_t proposals_ = 0;
  std::vector<wire::Observe> asked_;
  std::vector<std::uint64_t> said_;
};

/// The commands that a storage holds.
inline std::vector<std::string> stored_in(RaftStorage& storage) {
  std::vector<std::string> texts;
  for (const LogEntry& entry : storage.read(Index(), 1 << 30).or_throw()) {
    texts.emplace_back(entry.command.text());
  }
  return texts;
}

/// Receives the events of a node, on whatever thread they come.
class EventBook {
 public:
  void note(const ClientEvent& event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
  }
  [[nodiscard]] auto noting() {
    return [this](const ClientEvent& event) { note(event); };
  }
  /// The first of that kind, once it has come; an empty one if it does not.
  [[nodiscard]] ClientEvent await(ClientEventKind kind) {
    ClientEvent found;
    EXPECT_TRUE(comes_true([&] {
      const std::lock_guard lock(mutex_);
      const auto at = std::find_if(events_.begin(), events_.end(),
                                   [&](const ClientEvent& one) { return one.kind == kind; });
      if (at == events_.end()) return false;
      found = *at;
      return true;
    }));
    return found;
  }

 private:
  std::mutex mutex_;
  std::vector<ClientEvent> events_;
};

}  // namespace kuilt::testing
