// state.hpp: a whole group as numbers.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "explore/catalogue.hpp"
#include "explore/slice.hpp"

namespace kuilt::explore {

constexpr std::size_t voters_max = 3;

/// The messages on the way from one server to another, the oldest first.
class Link {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Number32 at(std::size_t place) const { return messages_[place]; }
  void push(Number32 message);
  void erase(std::size_t place);

 private:
  static constexpr std::size_t messages_max = 23;
  std::uint32_t size_ = 0;
  std::array<Number32, messages_max> messages_{};
};

struct State {
  std::array<Number32, voters_max> servers{};
  std::array<Link, voters_max * voters_max> links;
  std::array<std::uint32_t, kinds> spent{};
  Past past;

  [[nodiscard]] Link& link(Slot from, Slot to) { return links[from * voters_max + to]; }
  [[nodiscard]] const Link& link(Slot from, Slot to) const { return links[from * voters_max + to]; }
};

/// States in a row, as words.
class States {
 public:
  explicit States(std::size_t voters) : voters_(voters) {}

  void push(const State& state);
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  [[nodiscard]] State at(std::size_t place) const;
  void clear();
  [[nodiscard]] std::size_t bytes() const {
    return words_.capacity() * sizeof(Number32) + ends_.capacity() * sizeof(std::size_t);
  }

 private:
  std::size_t voters_;
  std::vector<Number32> words_;
  std::vector<std::size_t> ends_;
};

/// The orders in which `voters` servers may be looked at, the identity first; only that one, if
/// states are not to be told to be one by an exchange of members.
[[nodiscard]] std::vector<std::vector<Slot>> orders_of(std::size_t voters, bool exchange);

/// Equal for states that an exchange of members makes equal: the least of their hashes.
[[nodiscard]] Hash fingerprint_of(const State& state, const Catalogue& catalogue,
                                  const std::vector<std::vector<Slot>>& orders);

}  // namespace kuilt::explore
