#include "server/founders.hpp"

#include <memory>
#include <utility>
#include <variant>

#include "kuilt/detail/overloaded.hpp"
#include "server/mailbox.hpp"

namespace kuilt::server {
namespace {

constexpr Duration news_interval = std::chrono::seconds(5);

struct LinkUp {
  NodeId peer;
};
struct Said {
  NodeId peer;
  wire::PeerMessage message;
};
using Fact = std::variant<LinkUp, Said>;
using FactBox = BlockingMailbox<Fact>;

PeerLinkEvents founding_events(const std::shared_ptr<FactBox>& facts, const NodeEvents& events) {
  return {
      .on_up = [facts](const wire::PeerHello& hello) -> Status {
        facts->put(LinkUp{hello.node});
        return Done{};
      },
      .on_down = [](NodeId) {},
      .on_message = [facts](
                        NodeId from,
                        wire::PeerMessage message) { facts->put(Said{from, std::move(message)}); },
      .on_refused = [news = events.on_news](
                        const std::string& peer,
                        const Error& error) { news("founding: " + refusal_text(peer, error)); },
  };
}

Founding::Output step(Founding& founding, const Fact& fact) {
  const auto on_fact = Overloaded{
      [&](const LinkUp& up) { return founding.on_link(up.peer); },
      [&](const Said& said) {
        if (const auto* offer = std::get_if<wire::FoundingOffer>(&said.message)) {
          return founding.on_offer(*offer);
        }
        if (const auto* hold = std::get_if<wire::FoundingHold>(&said.message)) {
          return founding.on_hold(said.peer, *hold);
        }
        return Founding::Output{};  // Raft of a cluster that we do not belong to yet.
      },
  };
  return std::visit(on_fact, fact);
}

std::string waiting_for(const Founding& founding) {
  const std::vector<std::string> missing = founding.missing();
  if (missing.empty()) return "founding: all servers are linked, waiting for their agreement";
  std::string text = "founding: waiting for";
  for (const std::string& name : missing) text += " " + name;
  return text;
}

}  // namespace

Result<raft::Configuration> found_together(const ServerOptions& options, NodeId self, BootId boot,
                                           const std::string& client_url, PeerLinks& links,
                                           const NodeEvents& events) {
  wire::FoundingOffer own;
  own.node = self;
  own.name = options.name;
  own.client_url = client_url;
  own.list_digest = list_digest(options.found);
  std::vector<PeerTarget> targets;
  for (const FoundingMember& member : options.found) {
    if (member.name == options.name) own.peer_url = member.peer_address;
    if (member.name != options.name) targets.push_back({member.name, member.peer_address});
  }
  Founding founding(own, options.found, raft::Parameters{});
  const auto facts = std::make_shared<FactBox>();
  links.be({self, boot, options.name, {}, {}}, founding_events(facts, events), std::move(targets));

  const Instant begin = now();
  Instant next_news = begin + news_interval;
  while (true) {
    for (const Fact& fact : facts->wait(next_news)) {
      Founding::Output out = step(founding, fact);
      for (Founding::Send& send : out.send) links.send(send.to, std::move(send.message));
      if (out.failed) return *std::move(out.failed);
      if (out.founded) return *std::move(out.founded);
    }
    if (now() < next_news) continue;
    events.on_news(waiting_for(founding));
    next_news = now() + news_interval;
    if (options.founding_timeout > Duration{} && now() - begin > options.founding_timeout) {
      return Error(ErrorCode::timed_out,
                   waiting_for(founding) + ", gave up after " +
                       std::to_string(options.founding_timeout / std::chrono::seconds(1)) +
                       " s (--founding-timeout-s)");
    }
  }
}

}  // namespace kuilt::server
