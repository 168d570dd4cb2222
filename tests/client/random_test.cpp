// A client at random against scripted servers of one log, with an oracle over what it was told.
#include <algorithm>
#include <cstdlib>
#include <set>

#include "kuilt/detail/overloaded.hpp"
#include "tests/client/core_bench.hpp"

namespace kuilt::client {
namespace {

using Request = std::pair<SessionId, RequestId>;

/// Servers that share one log and one session table, and lose, delay and refuse at random.
/// "Refused for certain" they say only of attempts that cannot be in the log, as real ones must.
class World {
 public:
  explicit World(std::uint64_t seed)
      : rng_(seed), core_(options(), rng_.next(), SessionId::named("own"), now_) {}

  void run() {
    for (int turn = 0; turn < 1500; ++turn) act();
    calm_ = true;
    for (int turn = 0; turn < 20'000 && !finished(); ++turn) act();
    EXPECT_TRUE(finished()) << "something never ended, with every server well";
    check_outcomes();
  }

  struct Seen {
    int refused = 0, unknown = 0, committed = 0, duplicates = 0, resumes = 0, reopened = 0;
    int violations = 0;
  };
  Seen seen;

 private:
  struct Attempt {
    DialId dial;
    wire::Proposal proposal;
  };
  struct Reply {
    Instant due;
    DialId dial;
    wire::ServerMessage message;
  };
  struct Link {
    bool open = false;      ///< The dial has succeeded.
    bool admitted = false;  ///< The hello has arrived.
    std::optional<std::size_t> fed;
    Instant heard;
  };

  static ClientOptions options() {
    ClientOptions options;
    options.endpoints = {"a", "b", "c"};
    options.links = 2;
    options.window_bytes_max = 4000;
    options.credit_bytes = 2000;
    return options;
  }
  bool finished() const { return pending_.empty() && delivered_ == log_.size(); }
  Duration some(Duration most) { return full_jitter(rng_, most); }
  bool often(std::uint64_t percent) { return !calm_ && rng_.chance(percent); }

  void act() {
    now_ += some(40ms);
    if (!calm_ && rng_.chance(30)) propose();
    if (often(1)) tear();
    if (often(1)) expire_sessions();
    if (!observed_) step(ObserveCall{"", wire::FromStart{}});
    observed_ = true;
    beat();
    deliver_due();
    serve_due();
    feed();
    if (now_ >= wake_at_) step(Tick{});
  }

  // The application.

  void propose() {
    const CallId call(++last_call_);
    ProposeCall asked;
    asked.call = call;
    asked.command = Bytes("command " + std::to_string(call.value()));
    asked.deadline = now_ + 200ms + some(8s);
    pending_.insert(call);
    step(std::move(asked));
    if (rng_.chance(3)) step(CancelCall{call});
  }

  void step(Input input) {
    Output out = core_.step(now_, std::move(input));
    wake_at_ = out.wake_at;
    for (Duty& duty : out.duties) carry_out(duty);
  }
  void carry_out(Duty& duty) {
    const auto on_duty = Overloaded{
        [&](const Dial& dial) { arrivals_.push_back({now_ + some(50ms), dial.dial}); },
        [&](const Send& send) { receive(send); },
        [&](const Close& close) { links_.erase(close.dial); },
        [&](const Resolved& end) { resolved(end); },
        [&](const Delivered& one) { delivered(one); },
        [](const Advanced&) {},
        [](const ObserveEnded&) { ADD_FAILURE() << "the observe ended"; },
        [](const RoomTold&) {},
        [](const RoomDelivered&) {},
        [](const RoomRefused&) {},
        [](const RoomEnded&) {},
        [](const BarrierResolved&) {},
        [&](const NeedSession&) { step(FreshSession{SessionId(rng_.next(), 1)}); },
        [](const NeedKey&) { ADD_FAILURE() << "no call of these renews its session"; },
        [&](const Event& event) {
          if (event.kind == EventKind::resumed) ++seen.resumes;
        },
    };
    std::visit(on_duty, duty);
  }
  void delivered(const Delivered& one) {
    ASSERT_LT(delivered_, log_.size()) << "a phantom";
    ASSERT_EQ(one.entry.at.index.value(), delivered_ + 1) << "a gap or a repeat";
    ++delivered_;
    taken_ += one.bytes;
  }

  // The oracle.

  void resolved(const Resolved& end) {
    ASSERT_EQ(pending_.erase(end.call), 1U) << "an outcome for a call that has none pending";
    if (end.result) {
      ++seen.committed;
      if (end.result->duplicate) ++seen.duplicates;
      committed_.emplace(end.call, end.result->at);
    } else if (end.result.error().effect() == Effect::none) {
      ++seen.refused;
      refused_.insert(end.call);
    } else {
      ++seen.unknown;
    }
  }
  void check_outcomes() {
    std::map<std::string, int> times;
    for (const std::string& text : log_) ++times[text];
    for (const auto& [text, count] : times) EXPECT_EQ(count, 1) << text << " is there twice";
    for (const auto& [call, at] : committed_) {
      EXPECT_EQ(log_.at(at.index.value() - 1), "command " + std::to_string(call.value()));
    }
    for (const CallId call : refused_) {
      EXPECT_FALSE(times.contains("command " + std::to_string(call.value())))
          << "call " << call.value() << " was refused, and is in the log";
    }
    seen.reopened = static_cast<int>(core_.counters().sessions_reopened);
    seen.violations = static_cast<int>(core_.counters().feed_violations);
  }

  // The servers.

  void receive(const Send& send) {
    const auto link = links_.find(send.dial);
    if (link == links_.end()) return;
    const auto on_message = Overloaded{
        [&](const wire::Hello&) {
          link->second.admitted = true;
          wire::Welcome welcome;
          welcome.cluster = ClusterId::named("cluster");
          welcome.commit = at(born_ + log_.size());
          welcome.leader = "a";
          welcome.heartbeat_interval = 1s;
          welcome.limits = {1 << 20, 4 << 20, 0, 16};
          say(send.dial, std::move(welcome));
        },
        [&](const wire::Propose& propose) {
          // What was sent arrives, or is lost, or sits somewhere and arrives late.
          for (const auto& one : propose.proposals) {
            if (often(5)) continue;
            const Duration late = often(5) ? some(6s) : some(60ms);
            attempts_.emplace(now_ + late, Attempt{send.dial, one});
          }
        },
        [&](const wire::Observe& observe) {
          const auto* point = std::get_if<wire::ResumePoint>(&observe.from);
          link->second.fed = point == nullptr ? 0 : point->at.index.value();
          say(send.dial, wire::ObserveReply{"",
                                            wire::ObserveVerdict::resumed,
                                            at_count(*link->second.fed),
                                            digests_.at(*link->second.fed),
                                            "",
                                            {}});
        },
        [](const wire::Credit&) {},
        [](const wire::Unobserve&) {},
        [](const wire::Join&) {},
        [](const wire::LeaveRoom&) {},
        [](const wire::RoomMessage&) {},
        [](const wire::ReadBarrier&) {},
    };
    std::visit(on_message, send.message);
  }
  void say(DialId dial, wire::ServerMessage message) {
    // In order: a link is a stream.
    Instant& last = said_[dial];
    last = std::max(last, now_ + some(30ms));
    replies_.emplace(last, Reply{last, dial, std::move(message)});
  }
  void beat() {
    for (auto& [dial, link] : links_) {
      if (!link.admitted || now_ < link.heard + 1s) continue;
      link.heard = now_;
      say(dial, wire::ServerHeartbeat{at(born_ + log_.size()), often(20) ? "" : "a"});
    }
  }
  void feed() {
    for (auto& [dial, link] : links_) {
      if (!link.fed || *link.fed == log_.size()) continue;
      const std::size_t last = *link.fed + 1 + rng_.below(log_.size() - *link.fed);
      wire::Feed frame{"", at_count(*link.fed), at_count(last), digests_.at(last), {}};
      frame.entries.assign(parts_.begin() + static_cast<std::ptrdiff_t>(*link.fed),
                           parts_.begin() + static_cast<std::ptrdiff_t>(last));
      if (often(2)) frame.entries.pop_back();  // Its digest gives it away.
      link.fed = last;
      say(dial, std::move(frame));
    }
  }
  void serve_due() {
    while (!attempts_.empty() && attempts_.begin()->first <= now_) {
      const Attempt attempt = std::move(attempts_.begin()->second);
      attempts_.erase(attempts_.begin());
      const wire::Outcome outcome = judge(attempt.proposal);
      if (often(5)) continue;  // The answer is lost.
      say(attempt.dial, wire::Answers{{{attempt.proposal.number, outcome}}});
    }
  }
  wire::Outcome judge(const wire::Proposal& one) {
    const Request request{one.session, one.request_id};
    if (often(10)) return wire::RefusedOutcome{ErrorCode::busy, "busy", true, 50ms};
    if (often(2)) return wire::RefusedOutcome{ErrorCode::not_allowed, "no", true, {}};
    if (one.birth.value() <= forgotten_ && !sessions_.contains(one.session)) {
      return wire::RefusedOutcome{ErrorCode::session_expired, "gone", true, {}};
    }
    RequestId& floor = sessions_[one.session];
    if (const auto known = requests_.find(request); known != requests_.end()) {
      return wire::CommittedOutcome{known->second, true};
    }
    if (one.request_id <= floor) {
      return wire::RefusedOutcome{ErrorCode::below_floor, "below", true, {}};
    }
    floor = std::max(floor, one.floor);
    const Position place = append(one);
    requests_[request] = place;
    // It may be in the log before the server that answers knows.
    if (often(5)) return wire::RefusedOutcome{ErrorCode::no_leader, "leader lost", false, 20ms};
    return wire::CommittedOutcome{place, false};
  }
  Position append(const wire::Proposal& one) {
    log_.emplace_back(one.command.text());
    const Position place = at_count(log_.size());
    wire::Command command;
    command.at = place;
    command.request_id = one.request_id;
    command.body = one.command;
    command.session = one.session;
    command.digest = wire::command_digest("", one.command);
    parts_.push_back(wire::public_part(wire::encode_command(command)));
    digests_.push_back(wire::chain(digests_.back(), parts_.back()));
    return place;
  }
  /// Every session so far is forgotten, and what they asked for with them.
  void expire_sessions() {
    forgotten_ = born_ + log_.size();
    ++born_;  // Something else was committed: births after this are above it.
    sessions_.clear();
    requests_.clear();
  }
  void tear() {
    if (links_.empty()) return;
    auto link = links_.begin();
    std::advance(link, static_cast<std::ptrdiff_t>(rng_.below(links_.size())));
    const DialId dial = link->first;
    links_.erase(link);
    step(Broken{dial, "torn"});
  }
  void deliver_due() {
    for (std::size_t i = 0; i < arrivals_.size();) {
      if (arrivals_[i].first > now_) {
        ++i;
        continue;
      }
      const DialId dial = arrivals_[i].second;
      arrivals_.erase(arrivals_.begin() + static_cast<std::ptrdiff_t>(i));
      if (often(20)) {
        step(Broken{dial, "refused"});
        continue;
      }
      links_[dial] = Link{true, false, {}, now_};
      step(Dialed{dial});
    }
    while (!replies_.empty() && replies_.begin()->first <= now_) {
      Reply reply = std::move(replies_.begin()->second);
      replies_.erase(replies_.begin());
      if (links_.contains(reply.dial)) step(Arrived{reply.dial, std::move(reply.message)});
    }
    if (taken_ > 0) step(Taken{"", std::exchange(taken_, 0)});
  }
  static Position at_count(std::size_t count) { return count == 0 ? Position{} : at(count); }

  Rng rng_;
  Instant now_{1h};
  Instant wake_at_;
  bool calm_ = false;
  bool observed_ = false;
  ClientCore core_;

  std::uint64_t last_call_ = 0;
  std::uint64_t taken_ = 0;
  std::size_t delivered_ = 0;
  std::set<CallId> pending_;
  std::map<CallId, Position> committed_;
  std::set<CallId> refused_;

  std::map<DialId, Link> links_;
  std::map<DialId, Instant> said_;
  std::vector<std::pair<Instant, DialId>> arrivals_;
  std::multimap<Instant, Attempt> attempts_;
  std::multimap<Instant, Reply> replies_;
  std::vector<std::string> log_;
  std::vector<Bytes> parts_;
  std::vector<std::uint64_t> digests_{0};
  std::map<SessionId, RequestId> sessions_;
  std::map<Request, Position> requests_;
  std::uint64_t forgotten_ = 0;
  std::uint64_t born_ = 1;  ///< Index of what is in no room, ahead of the log.
};

std::uint64_t first_seed() {
  const char* chosen = std::getenv("KUILT_TEST_SEED");
  return chosen == nullptr ? 1 : std::strtoull(chosen, nullptr, 10);
}

TEST(Random, WhatACallerIsToldIsTrueWhateverServersDo) {
  const bool replay = std::getenv("KUILT_TEST_SEED") != nullptr;
  World::Seen all;
  for (std::uint64_t seed = first_seed(); seed < first_seed() + (replay ? 1 : 60); ++seed) {
    SCOPED_TRACE("KUILT_TEST_SEED=" + std::to_string(seed));
    World world(seed);
    world.run();
    if (HasFailure()) return;
    all.refused += world.seen.refused;
    all.unknown += world.seen.unknown;
    all.committed += world.seen.committed;
    all.duplicates += world.seen.duplicates;
    all.resumes += world.seen.resumes;
    all.reopened += world.seen.reopened;
    all.violations += world.seen.violations;
  }
  if (replay) return;
  // A world too polite proves nothing.
  EXPECT_GT(all.refused, 50);
  EXPECT_GT(all.unknown, 50);
  EXPECT_GT(all.committed, 1000);
  EXPECT_GT(all.duplicates, 50);
  EXPECT_GT(all.resumes, 50);
  EXPECT_GT(all.reopened, 50);
  EXPECT_GT(all.violations, 20);
}

}  // namespace
}  // namespace kuilt::client
