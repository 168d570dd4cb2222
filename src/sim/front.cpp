#include "sim/front.hpp"

#include <utility>

#include "kuilt/detail/overloaded.hpp"
#include "sim/room_oracle.hpp"

namespace kuilt::sim {

void Front::opened(LinkNumber link, wire::Encoding encoding) { links_[link].encoding = encoding; }

void Front::frame(LinkNumber link, const Bytes& frame) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  Conversation& conversation = found->second;
  Result<wire::ClientMessage> message = wire::decode_client(frame, conversation.encoding);
  if (!message)
    return owner_.complain("a client's frame is readable: " + message.error().message());
  if (!conversation.admitted && !std::holds_alternative<wire::Hello>(*message)) {
    return owner_.complain("a client begins with a hello");
  }
  const auto on_message = Overloaded{
      [&](const wire::Hello& m) { hello(link, conversation, m); },
      [&](wire::Propose& m) {
        for (wire::Proposal& proposal : m.proposals) proposal.author = conversation.author;
        owner_.submit(cluster::Submit{cluster::LinkId(link), std::move(m.proposals)});
      },
      [&](const wire::ReadBarrier& m) {
        owner_.submit(cluster::BarrierCall{cluster::LinkId(link), m.number});
      },
      [&](const wire::Observe& m) {
        carry_out(
            feed_.observe(owner_.local_now(), cluster::LinkId(link), conversation.encoding, m));
      },
      [&](const wire::Credit& m) { carry_out(feed_.credit(cluster::LinkId(link), m)); },
      [&](const wire::Unobserve& m) { carry_out(feed_.unobserve(cluster::LinkId(link), m.room)); },
      [&](wire::Join& m) { join(link, conversation, std::move(m)); },
      [&](wire::LeaveRoom& m) {
        owner_.to_rooms(cluster::RoomLeave{cluster::LinkId(link), std::move(m.room)});
      },
      [&](wire::RoomMessage& m) {
        owner_.to_rooms(
            cluster::RoomSay{cluster::LinkId(link), conversation.encoding, std::move(m)});
      },
  };
  std::visit(on_message, *message);
}

void Front::hello(LinkNumber link, Conversation& conversation, const wire::Hello& hello) {
  conversation.admitted = true;
  conversation.author = hello.name;
  conversation.client = hello.client;
  conversation.number = hello.link;
  conversation.member = member_of(hello.secret, hello.name);
  evict(link, conversation);
  wire::Welcome welcome = owner_.welcome();
  welcome.principal = hello.name;
  welcome.features = wire::feature_rooms | wire::feature_reads;
  welcome.member = conversation.member;
  send(link, conversation, welcome);
}

void Front::join(LinkNumber link, Conversation& conversation, wire::Join join) {
  conversation.uses_rooms = true;
  owner_.to_rooms(cluster::RoomJoin{cluster::LinkId(link), conversation.encoding,
                                    RoomMember{conversation.member, conversation.author},
                                    std::move(join)});
}

void Front::evict(LinkNumber newcomer, const Conversation& conversation) {
  for (auto& [link, other] : links_) {
    if (link == newcomer || !other.admitted || other.client != conversation.client ||
        other.number != conversation.number) {
      continue;
    }
    send(link, other, wire::Goodbye{ErrorCode::replaced, "a newer link took its place", {}, {}});
    owner_.close_link(link);
    return end(link);
  }
}

void Front::broken(LinkNumber link) {
  if (links_.contains(link)) end(link);
}

void Front::end(LinkNumber link) {
  const Conversation over = links_.at(link);
  links_.erase(link);
  if (over.uses_rooms) owner_.to_rooms(cluster::RoomLinkClosed{cluster::LinkId(link)});
  outlet_.closed(cluster::LinkId(link));
  feed_.closed(cluster::LinkId(link));
  owner_.submit(cluster::LinkClosed{cluster::LinkId(link)});
}

void Front::drained(LinkNumber link) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  found->second.queued = 0;
  if (auto refresh = outlet_.drained(cluster::LinkId(link))) {
    ++rooms_asked_anew_;
    owner_.to_rooms(*std::move(refresh));
  }
  carry_out(feed_.drained(cluster::LinkId(link)));
}

void Front::answer(const cluster::Answered& answered) {
  const auto found = links_.find(answered.link.value());
  if (found == links_.end()) return;
  send(found->first, found->second, wire::Answers{{answered.answer}});
}

void Front::answer(const cluster::BarrierAnswered& answered) {
  const auto found = links_.find(answered.link.value());
  if (found != links_.end()) send(found->first, found->second, answered.answer);
}

void Front::deliver(const cluster::RoomFrame& frame) {
  for (const cluster::LinkId to : frame.to) {
    const auto found = links_.find(to.value());
    if (found == links_.end() || !outlet_.admits(to, found->second.queued, frame)) continue;
    post(found->first, found->second, frame.frame);
  }
}

void Front::publish(const std::shared_ptr<const cluster::CommittedBatch>& batch) {
  carry_out(feed_.publish(batch));
}

void Front::loaded(std::uint64_t number, Result<std::vector<raft::Entry>> entries) {
  carry_out(feed_.loaded(number, std::move(entries)));
}

void Front::tick() { carry_out(feed_.tick(owner_.local_now())); }

void Front::heartbeat(const std::string& leader) {
  for (auto& [link, conversation] : links_) {
    if (!conversation.admitted) continue;
    send(link, conversation, wire::ServerHeartbeat{feed_.through(), leader});
  }
}

void Front::send(LinkNumber link, Conversation& conversation, const wire::ServerMessage& message) {
  post(link, conversation, wire::encode(message, conversation.encoding));
}

void Front::post(LinkNumber link, Conversation& conversation, Bytes frame) {
  conversation.queued += frame.size();
  owner_.send_to_client(link, std::move(frame));
}

void Front::carry_out(const cluster::FeedOutput& output) {
  for (const cluster::FeedSend& send : output.send) {
    const LinkNumber link = send.link.value();
    const auto found = links_.find(link);
    if (found == links_.end()) continue;
    post(link, found->second, send.frame);
    if (send.kind != cluster::FeedSendKind::goodbye) continue;
    owner_.close_link(link);
    end(link);
  }
  for (const cluster::FeedLoad& load : output.loads) owner_.read_for_feed(load);
  if (output.wake_at) owner_.wake_front_at(*output.wake_at);
}

}  // namespace kuilt::sim
