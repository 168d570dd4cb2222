// tiny_server.hpp: a server of one log in memory, on real sockets, that does as it is told.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "kuilt/detail/overloaded.hpp"
#include "transport/seam.hpp"
#include "wire/client_messages.hpp"
#include "wire/entry.hpp"

namespace kuilt::testing {

using namespace std::chrono_literals;

/// What all servers of one test share: the committed log, each request in it once.
class TinyLog {
 public:
  Position propose(const wire::Proposal& proposal, bool& duplicate) {
    const std::lock_guard lock(mutex_);
    const auto key = std::pair(proposal.session, proposal.request_id);
    const auto known = requests_.find(key);
    duplicate = known != requests_.end();
    if (duplicate) return known->second;
    wire::Command command;
    command.at = Position{Index(entries_.size() + 1), Term(1)};
    command.room = proposal.room;
    command.author = "ann";
    command.request_id = proposal.request_id;
    command.body = proposal.command;
    command.session = proposal.session;
    command.digest = wire::command_digest(proposal.room, proposal.command);
    entries_.push_back(wire::public_part(wire::encode_command(command)));
    requests_[key] = command.at;
    floor_ = proposal.floor;
    return command.at;
  }
  /// That the last new entry came with.
  [[nodiscard]] RequestId floor() {
    const std::lock_guard lock(mutex_);
    return floor_;
  }
  [[nodiscard]] std::size_t size() {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }
  [[nodiscard]] std::uint64_t digest_through(std::size_t count) {
    const std::lock_guard lock(mutex_);
    std::uint64_t digest = 0;
    for (std::size_t i = 0; i < count; ++i) digest = wire::chain(digest, entries_[i]);
    return digest;
  }
  /// All after `from`, as one frame.
  [[nodiscard]] wire::Feed feed_after(std::size_t from) {
    const std::uint64_t digest = digest_through(size());
    const std::lock_guard lock(mutex_);
    wire::Feed feed{"", position(from), position(entries_.size()), digest, {}};
    feed.entries.assign(entries_.begin() + static_cast<std::ptrdiff_t>(from), entries_.end());
    return feed;
  }
  [[nodiscard]] static Position position(std::size_t count) {
    return count == 0 ? Position{} : Position{Index(count), Term(1)};
  }

 private:
  std::mutex mutex_;
  std::vector<Bytes> entries_;
  std::map<std::pair<SessionId, RequestId>, Position> requests_;
  RequestId floor_;
};

/// How a server misbehaves.
struct Manners {
  bool answers = true;               ///< Else proposals vanish, after they entered the log.
  std::string swallows = {};         ///< This command is neither taken nor answered.
  bool reads = true;                 ///< Takes read barriers.
  bool garbage = false;              ///< The answer to an observe is no message at all.
  Duration heartbeat_interval = 1s;  ///< As the welcome says; none is ever sent.
  std::optional<Index> forgotten_through = {};  ///< Sessions born up to here have expired.
  /// It says so in its welcome, and is there with its first refusal.
  std::optional<std::size_t> lags_behind_at = {};
  std::string cluster = "cluster";
  std::string history = "history";
  std::optional<Bytes> result{};  ///< Of every proposal.
  NodeId server{};
};

/// Threads: one of its own. Public calls from the test's.
class TinyServer {
 public:
  explicit TinyServer(TinyLog& log, Manners manners = {})
      : log_(log), manners_(manners), work_(loop_.get_executor()) {
    transport::AcceptRules rules;
    rules.subprotocols = {"kuilt.v1", "kuilt.v1.json"};
    rules.text_subprotocol = "kuilt.v1.json";
    auto listener = transport::listen(
        loop_.get_executor(), "127.0.0.1:0", rules, {}, [this] { return loop_.get_executor(); },
        [this](std::shared_ptr<transport::Seam> seam) { accept(std::move(seam)); });
    listener_ = std::move(listener).or_throw();
    url_ = "ws://" + listener_->address();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TinyServer() { kill(); }

  [[nodiscard]] const std::string& url() const { return url_; }
  /// At once, as a crash would.
  void kill() {
    if (!thread_.joinable()) return;
    boost::asio::post(loop_, [this] {
      listener_->stop();
      killed_ = true;
      if (open_.empty()) return loop_.stop();
      for (const auto& [key, link] : open_) link.seam->abort();
    });
    thread_.join();
    listener_.reset();
  }

 private:
  struct Link {
    std::shared_ptr<transport::Seam> seam;
    wire::Encoding encoding = wire::Encoding::protobuf;
    bool observes = false;
    std::size_t fed = 0;
  };

  void accept(std::shared_ptr<transport::Seam> seam) {
    auto* key = seam.get();
    open_[key] = Link{seam, *wire::encoding_of(seam->subprotocol()), false, 0};
    transport::SeamEvents events;
    events.on_frame = [this, key](const Bytes& frame) { take(open_.at(key), frame); };
    events.on_drained = [] {};
    events.on_closed = [this, key](const Error&) {
      open_.erase(key);
      if (killed_ && open_.empty()) loop_.stop();
    };
    seam->start(std::move(events));
  }
  void say(Link& link, const wire::ServerMessage& message) {
    EXPECT_TRUE(link.seam->send({wire::encode(message, link.encoding)}));
  }
  void take(Link& link, const Bytes& frame) {
    auto message = wire::decode_client(frame, link.encoding);
    ASSERT_TRUE(message) << message.error().message();
    const auto on_message = Overloaded{
        [&](const wire::Hello&) { welcome(link); },
        [&](const wire::Propose& propose) { append(link, propose); },
        [&](const wire::Observe& observe) { begin(link, observe); },
        [](const wire::Credit&) {},
        [&](const wire::Unobserve&) { link.observes = false; },
        [&](const wire::Join& join) {
          say(link, wire::Roster{join.room, wire::RosterReset{{{member(), "me"}}}});
        },
        [](const wire::LeaveRoom&) {},
        [&](const wire::RoomMessage& said) {
          say(link, wire::Delivery{said.room, said.channel, member(), said.body});
        },
        [&](const wire::ReadBarrier& asked) {
          if (!manners_.answers) return;
          say(link, wire::BarrierAnswer{asked.number, wire::Reached{Index(log_.size())}});
        },
    };
    std::visit(on_message, *message);
  }
  static PeerId member() { return PeerId::named("member"); }
  void welcome(Link& link) {
    link.seam->admit();
    wire::Welcome welcome;
    welcome.server = manners_.server;
    welcome.server_name = url_;
    welcome.features = wire::feature_rooms | (manners_.reads ? wire::feature_reads : 0);
    welcome.member = member();
    welcome.cluster = ClusterId::named(manners_.cluster);
    welcome.history = HistoryId::named(manners_.history);
    welcome.commit = TinyLog::position(manners_.lags_behind_at.value_or(log_.size()));
    welcome.leader = "a";
    welcome.heartbeat_interval = manners_.heartbeat_interval;
    welcome.limits = {1 << 20, 4 << 20, 1 << 20, 1024};
    say(link, welcome);
  }
  void append(Link& link, const wire::Propose& propose) {
    wire::Answers answers;
    for (const wire::Proposal& one : propose.proposals) {
      if (!manners_.swallows.empty() && one.command == BytesView(manners_.swallows)) continue;
      if (one.birth <= manners_.forgotten_through) {
        wire::Answer& answer = answers.answers.emplace_back();
        answer.number = one.number;
        answer.outcome = wire::RefusedOutcome{ErrorCode::session_expired, "gone", true, {}};
        continue;
      }
      bool duplicate = false;
      const Position at = log_.propose(one, duplicate);
      answers.answers.push_back(
          {one.number, wire::CommittedOutcome{at, duplicate, manners_.result}});
    }
    if (manners_.answers) say(link, answers);
    if (manners_.lags_behind_at) {
      say(link, wire::ServerHeartbeat{TinyLog::position(log_.size()), "a"});
    }
    for (auto& [key, other] : open_) feed(other);
  }
  void begin(Link& link, const wire::Observe& observe) {
    if (manners_.garbage) {
      EXPECT_TRUE(link.seam->send({Bytes(std::string("\xff\xff not a message"))}));
      return;
    }
    const auto* point = std::get_if<wire::ResumePoint>(&observe.from);
    link.fed = point == nullptr ? 0 : point->at.index.value();
    link.observes = true;
    say(link, wire::ObserveReply{observe.room,
                                 wire::ObserveVerdict::resumed,
                                 TinyLog::position(link.fed),
                                 log_.digest_through(link.fed),
                                 "",
                                 {}});
    feed(link);
  }
  void feed(Link& link) {
    if (!link.observes || link.fed == log_.size()) return;
    const wire::Feed frame = log_.feed_after(link.fed);
    link.fed += frame.entries.size();
    say(link, frame);
  }

  TinyLog& log_;
  Manners manners_;
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<transport::Listener> listener_;
  std::string url_;
  std::map<transport::Seam*, Link> open_;
  bool killed_ = false;
  std::thread thread_;
};

}  // namespace kuilt::testing
