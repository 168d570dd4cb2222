#include "sim/links.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "sim/plan.hpp"

namespace kuilt::sim {
namespace {

constexpr Duration delay_min = std::chrono::microseconds(50);
constexpr Duration delay_max = std::chrono::milliseconds(4);
// A tear that one end does not notice: a half-open connection, found by silence alone.
constexpr std::uint64_t unnoticed_percent = 20;
constexpr Duration notice_max = std::chrono::milliseconds(300);
constexpr Duration refusal_max = std::chrono::milliseconds(20);

}  // namespace

Duration Links::delay() { return delay_min + up_to(rng_, delay_max); }

LinkNumber Links::dial(LinkEnd& client, LinkEnd& server, wire::Encoding encoding) {
  const LinkNumber number = ++last_number_;
  Link& link = links_[number];
  link.client = &client;
  link.server = &server;
  link.encoding = encoding;
  link.client_open = true;
  agenda_.after(delay(), [this, number] { arrive_at_server(number); });
  return number;
}

void Links::arrive_at_server(LinkNumber number) {
  const auto found = links_.find(number);
  if (found == links_.end() || found->second.torn) return;
  Link& link = found->second;
  if (!link.server->accepts()) {
    agenda_.after(up_to(rng_, refusal_max), [this, number] { break_end(number, Side::client); });
    return;
  }
  link.server_open = true;
  link.last_to_client = agenda_.now() + delay();
  agenda_.at(link.last_to_client, [this, number] {
    const auto still = links_.find(number);
    if (still == links_.end() || still->second.torn || !still->second.client_open) return;
    still->second.client->link_opened(number, still->second.encoding);
  });
  link.server->link_opened(number, link.encoding);
}

void Links::send(LinkNumber number, Side from, Bytes frame) {
  const auto found = links_.find(number);
  if (found == links_.end() || found->second.torn) return;
  Link& link = found->second;
  if (from == Side::server) {
    link.last_to_client = std::max(link.last_to_client, agenda_.now() + delay());
    ++link.on_the_way_to_client;
    agenda_.at(link.last_to_client,
               [this, number, frame = std::move(frame)] { arrive_at_client(number, frame); });
    return;
  }
  link.last_to_server = std::max(link.last_to_server, agenda_.now() + delay());
  agenda_.at(link.last_to_server, [this, number, frame = std::move(frame)] {
    const auto still = links_.find(number);
    if (still == links_.end() || still->second.torn || !still->second.server_open) return;
    still->second.server->link_frame(number, frame);
  });
}

void Links::arrive_at_client(LinkNumber number, const Bytes& frame) {
  const auto found = links_.find(number);
  if (found == links_.end() || found->second.torn) return;
  Link& link = found->second;
  if (link.reads_at > agenda_.now()) {
    // Everything behind it comes later still, in the order in which it was put.
    agenda_.at(link.reads_at, [this, number, frame] { arrive_at_client(number, frame); });
    return;
  }
  const bool drained = --link.on_the_way_to_client == 0;
  LinkEnd* const client = link.client_open ? link.client : nullptr;
  LinkEnd* const server = link.server_open ? link.server : nullptr;
  if (client != nullptr) client->link_frame(number, frame);
  if (drained && server != nullptr && links_.contains(number)) server->link_drained(number);
}

void Links::close(LinkNumber number, Side from) {
  const auto found = links_.find(number);
  if (found == links_.end()) return;
  Link& link = found->second;
  const Side other = from == Side::client ? Side::server : Side::client;
  (from == Side::client ? link.client_open : link.server_open) = false;
  Instant& last = other == Side::client ? link.last_to_client : link.last_to_server;
  last =
      std::max({last, agenda_.now() + delay(), other == Side::client ? link.reads_at : Instant{}});
  agenda_.at(last, [this, number, other] { break_end(number, other); });
}

void Links::tear(LinkNumber number) {
  const auto found = links_.find(number);
  if (found == links_.end() || found->second.torn) return;
  found->second.torn = true;
  for (const Side side : {Side::client, Side::server}) {
    if (!healed_ && rng_.chance(unnoticed_percent)) {
      // Nobody tells this end; for the server's sake the kernel gives up in the end.
      const Duration late = std::chrono::seconds(15);
      agenda_.after(late, [this, number, side] { break_end(number, side); });
    } else {
      agenda_.after(up_to(rng_, notice_max), [this, number, side] { break_end(number, side); });
    }
  }
}

void Links::break_end(LinkNumber number, Side side) {
  const auto found = links_.find(number);
  if (found == links_.end()) return;
  Link& link = found->second;
  bool& open = side == Side::client ? link.client_open : link.server_open;
  LinkEnd* const end = side == Side::client ? link.client : link.server;
  const bool was_open = std::exchange(open, false);
  if (!link.client_open && !link.server_open) links_.erase(found);
  if (was_open) end->link_broken(number);
}

void Links::die(const LinkEnd& end) {
  for (auto& [number, link] : links_) {
    if (link.client == &end) link.client_open = false;
    if (link.server == &end) link.server_open = false;
    if (link.client == &end || link.server == &end) tear(number);
  }
}

void Links::stop_reading(const LinkEnd& client, Instant until) {
  for (auto& [number, link] : links_) {
    // Moved, a pause would let what it holds back change places with what follows.
    if (link.client == &client && link.reads_at <= agenda_.now()) link.reads_at = until;
  }
}

LinkNumber Links::any_link() {
  return std::next(links_.begin(), static_cast<std::ptrdiff_t>(rng_.below(links_.size())))->first;
}

}  // namespace kuilt::sim
