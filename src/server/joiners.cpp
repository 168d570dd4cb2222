#include "server/joiners.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>

#include "kuilt/detail/overloaded.hpp"
#include "server/mailbox.hpp"

namespace kuilt::server {
namespace {

constexpr Duration ask_interval = std::chrono::milliseconds(200);
constexpr Duration news_interval = std::chrono::seconds(5);

struct LinkUp {
  NodeId peer;
};
struct LinkDown {
  NodeId peer;
};
struct Said {
  NodeId peer;
  wire::JoinReply reply;
};
using Fact = std::variant<LinkUp, LinkDown, Said>;
using FactBox = BlockingMailbox<Fact>;

PeerLinkEvents joining_events(const std::shared_ptr<FactBox>& facts, const NodeEvents& events) {
  return {
      .on_up = [facts](const wire::PeerHello& hello) -> Status {
        // Another one that joins has nothing to say on it.
        if (!hello.cluster.is_none()) facts->put(LinkUp{hello.node});
        return Done{};
      },
      .on_down = [facts](NodeId peer) { facts->put(LinkDown{peer}); },
      .on_message =
          [facts](NodeId from, wire::PeerMessage message) {
            if (auto* reply = std::get_if<wire::JoinReply>(&message)) {
              facts->put(Said{from, std::move(*reply)});
            }
          },
      .on_refused = [news = events.on_news](
                        const std::string& peer,
                        const Error& error) { news("joining: " + refusal_text(peer, error)); },
  };
}

bool is_final(ErrorCode code) {
  return code != ErrorCode::not_leader && code != ErrorCode::no_leader && code != ErrorCode::busy &&
         code != ErrorCode::stopped;
}

/// One attempt to join, from the first question to the answer that counts.
class Joining {
 public:
  Joining(wire::JoinRequest request, const std::vector<std::string>& addresses, PeerLinks& links)
      : request_(std::move(request)),
        addresses_(addresses.begin(), addresses.end()),
        links_(links) {}

  [[nodiscard]] std::vector<PeerTarget> targets() const {
    std::vector<PeerTarget> targets;
    for (const std::string& address : addresses_) targets.push_back({"", address});
    return targets;
  }
  void take(const Fact& fact) {
    const auto on_fact = Overloaded{
        [&](const LinkUp& up) {
          up_.insert(up.peer);
          links_.send(up.peer, request_);
        },
        [&](const LinkDown& down) { up_.erase(down.peer); },
        [&](const Said& said) { hear(said.reply); },
    };
    std::visit(on_fact, fact);
  }
  void ask_again() {
    for (const NodeId peer : up_) links_.send(peer, request_);
  }
  /// Set once it is decided.
  [[nodiscard]] std::optional<Result<raft::Configuration>> take_outcome() {
    return std::exchange(outcome_, {});
  }
  [[nodiscard]] std::string news() const {
    std::string text = "joining: ";
    if (!up_.empty()) return text + (said_.empty() ? "waiting for an answer" : said_);
    text += "no link to a member so far; asking";
    for (const std::string& address : addresses_) text += " " + address;
    return text;
  }

 private:
  void hear(const wire::JoinReply& reply) {
    if (const auto* accepted = std::get_if<wire::JoinAccepted>(&reply.outcome)) {
      auto record = wire::decode_configuration_record(accepted->record);
      if (!record) {
        outcome_ = std::move(record).error().within("read who the members are");
      } else {
        outcome_ = *std::move(record);
      }
      return;
    }
    const auto& refused = std::get<wire::JoinRefused>(reply.outcome);
    said_ = std::string(name_of(refused.code)) + ": " + refused.message;
    if (is_final(refused.code)) {
      outcome_ = Error(refused.code, Effect::none, refused.message);
    } else if (!refused.leader.empty() && addresses_.size() < addresses_max &&
               addresses_.insert(refused.leader).second) {
      links_.follow(targets());
    }
  }

  static constexpr std::size_t addresses_max = 64;
  const wire::JoinRequest request_;
  std::set<std::string> addresses_;
  PeerLinks& links_;
  std::set<NodeId> up_;
  std::string said_;
  std::optional<Result<raft::Configuration>> outcome_;
};

}  // namespace

Result<raft::Configuration> join(const ServerOptions& options, NodeId self, BootId boot,
                                 const wire::JoinRequest& request, PeerLinks& links,
                                 const NodeEvents& events) {
  const auto facts = std::make_shared<FactBox>();
  Joining joining(request, options.join, links);
  links.be({self, boot, options.name, {}, {}}, joining_events(facts, events), joining.targets());
  const Instant begin = now();
  Instant next_news = begin + news_interval;
  Instant next_question = begin + ask_interval;
  while (true) {
    for (const Fact& fact : facts->wait(next_question)) {
      joining.take(fact);
      if (auto outcome = joining.take_outcome()) return *std::move(outcome);
    }
    if (now() >= next_question) {
      joining.ask_again();
      next_question = now() + ask_interval;
    }
    if (now() >= next_news) {
      events.on_news(joining.news());
      next_news = now() + news_interval;
    }
    if (options.founding_timeout > Duration{} && now() - begin > options.founding_timeout) {
      return Error(ErrorCode::timed_out,
                   joining.news() + ", gave up after " +
                       std::to_string(options.founding_timeout / std::chrono::seconds(1)) +
                       " s (--founding-timeout-s)");
    }
  }
}

}  // namespace kuilt::server
