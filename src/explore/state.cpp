#include "explore/state.hpp"

#include <algorithm>
#include <numeric>

#include "kuilt/detail/check.hpp"

namespace kuilt::explore {
namespace {

void write(std::vector<Number32>& words, const Link& link) {
  words.push_back(static_cast<Number32>(link.size()));
  for (std::size_t i = 0; i < link.size(); ++i) words.push_back(link.at(i));
}

// What no exchange of members changes.
void write_common(std::vector<Number32>& words, const State& state) {
  words.insert(words.end(), state.spent.begin(), state.spent.end());
  words.push_back(static_cast<Number32>(state.past.decided.size()));
  for (const Decision& decision : state.past.decided) {
    words.push_back(decision.entry);
    words.push_back(static_cast<Number32>(decision.in.value()));
  }
  words.push_back(static_cast<Number32>(state.past.leader_of.size()));
}

void write_under(std::vector<Number32>& words, const State& state, const Catalogue& catalogue,
                 const std::vector<Slot>& order, std::size_t number_of_order) {
  for (const Slot slot : order) {
    words.push_back(catalogue.name(state.servers[slot], number_of_order));
  }
  for (const Slot from : order) {
    for (const Slot to : order) {
      if (from != to) write(words, state.link(from, to));
    }
  }
  for (const std::uint8_t leader : state.past.leader_of) {
    const auto place = std::ranges::find(order, Slot(leader) - 1) - order.begin();
    words.push_back(leader == 0 ? 0 : static_cast<Number32>(place + 1));
  }
}

class Reader {
 public:
  explicit Reader(const Number32* at) : at_(at) {}
  Number32 next() { return *at_++; }

 private:
  const Number32* at_;
};

}  // namespace

void Link::push(Number32 message) {
  KUILT_CHECK(size_ < messages_max);
  messages_[size_++] = message;
}

void Link::erase(std::size_t place) {
  for (std::size_t i = place; i + 1 < size_; ++i) messages_[i] = messages_[i + 1];
  --size_;
}

void States::push(const State& state) {
  for (Slot slot = 0; slot < voters_; ++slot) words_.push_back(state.servers[slot]);
  for (Slot from = 0; from < voters_; ++from) {
    for (Slot to = 0; to < voters_; ++to) {
      if (from != to) write(words_, state.link(from, to));
    }
  }
  write_common(words_, state);
  words_.insert(words_.end(), state.past.leader_of.begin(), state.past.leader_of.end());
  ends_.push_back(words_.size());
}

State States::at(std::size_t place) const {
  Reader words(words_.data() + (place == 0 ? 0 : ends_[place - 1]));
  State state;
  for (Slot slot = 0; slot < voters_; ++slot) state.servers[slot] = words.next();
  for (Slot from = 0; from < voters_; ++from) {
    for (Slot to = 0; to < voters_; ++to) {
      if (from == to) continue;
      for (Number32 left = words.next(); left > 0; --left) state.link(from, to).push(words.next());
    }
  }
  for (std::uint32_t& spent : state.spent) spent = words.next();
  state.past.decided.resize(words.next());
  for (Decision& decision : state.past.decided) {
    decision.entry = words.next();
    decision.in = Term(words.next());
  }
  state.past.leader_of.resize(words.next());
  for (std::uint8_t& leader : state.past.leader_of) {
    leader = static_cast<std::uint8_t>(words.next());
  }
  return state;
}

void States::clear() {
  words_.clear();
  ends_.clear();
}

std::vector<std::vector<Slot>> orders_of(std::size_t voters, bool exchange) {
  std::vector<Slot> order(voters);
  std::iota(order.begin(), order.end(), Slot(0));
  std::vector<std::vector<Slot>> orders{order};
  while (exchange && std::next_permutation(order.begin(), order.end())) orders.push_back(order);
  return orders;
}

Hash fingerprint_of(const State& state, const Catalogue& catalogue,
                    const std::vector<std::vector<Slot>>& orders) {
  static thread_local std::vector<Number32> words;
  words.clear();
  write_common(words, state);
  const std::size_t common = words.size();
  Hash least;
  for (std::size_t i = 0; i < orders.size(); ++i) {
    words.resize(common);
    write_under(words, state, catalogue, orders[i], i);
    const Hash hash = hash_of(std::span<const Number32>(words));
    if (i == 0 || hash < least) least = hash;
  }
  return least;
}

}  // namespace kuilt::explore
