// log_mirror.hpp: a log as the invariants see it: terms and chained hashes, no bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "raft/core.hpp"
#include "wire/entry.hpp"

namespace kuilt::sim {

/// Two logs with equal chains at an index are equal through it, so that comparing is O(1).
class LogMirror {
 public:
  explicit LogMirror(Position base) : base_(base) {}

  [[nodiscard]] Position base() const { return base_; }
  [[nodiscard]] Position last() const {
    return items_.empty()
               ? base_
               : Position{Index(base_.index.value() + items_.size()), items_.back().term};
  }
  [[nodiscard]] bool holds(Index index) const {
    return index > base_.index && index <= last().index;
  }
  /// Pre: `holds(index)`.
  [[nodiscard]] Term term_at(Index index) const { return item_at(index).term; }
  [[nodiscard]] std::uint64_t chain_at(Index index) const {
    return index == base_.index ? 0 : item_at(index).chain;
  }
  [[nodiscard]] std::uint64_t last_chain() const {
    return items_.empty() ? 0 : items_.back().chain;
  }

  /// False if the entry does not follow the last one.
  bool append(const raft::Entry& entry) {
    if (entry.at.index != last().index.next() || entry.at.term < last().term) return false;
    const std::uint64_t before = last_chain() * 31 + entry.at.term.value();
    items_.push_back({entry.at.term, wire::chain(before, entry.stored)});
    return true;
  }
  void truncate_after(Index index) {
    if (index < last().index && index >= base_.index) {
      items_.resize(index.value() - base_.index.value());
    }
  }

 private:
  struct Item {
    Term term;
    std::uint64_t chain = 0;
  };
  [[nodiscard]] const Item& item_at(Index index) const {
    return items_.at(index.value() - base_.index.value() - 1);
  }

  Position base_;
  std::vector<Item> items_;
};

}  // namespace kuilt::sim
