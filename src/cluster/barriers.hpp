// barriers.hpp: the read barriers that one server was asked for and has not answered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "cluster/waiting.hpp"
#include "raft/read_index.hpp"

namespace kuilt::cluster {

/// Whoever asks that is no client link: the program that this server runs in.
inline constexpr LinkId own_program{0};

/// How far this server must be, besides knowing the index.
enum class BarrierKind : std::uint8_t {
  published,  ///< Its feeds go through the index.
  applied,    ///< Its state machine, if there is one, has applied the index.
};

/// One read of the core stands behind all barriers of a kind that came in one turn.
///
/// Threads: none; one caller at a time. Copyable.
class Barriers {
 public:
  struct Waiter {
    LinkId link;
    std::uint64_t number = 0;  ///< Of the barrier on that link.
  };

  /// Pre: there is a waiter. Returns a read that is to be asked for.
  raft::ReadId add(BarrierKind kind, std::vector<Waiter> waiters, Instant now);
  /// Nothing happens if it has ended already.
  void found(raft::ReadId read, Index index);
  /// Takes out who waits for it; nobody, if it has ended already.
  std::vector<Waiter> take(raft::ReadId read);

  struct Reached {
    raft::ReadId read;
    Index index;
  };
  /// One whose index this server has reached, if there is one.
  [[nodiscard]] std::optional<Reached> reached(Index published, Index applied) const;
  struct Oldest {
    raft::ReadId read;
    Instant since;
  };
  [[nodiscard]] std::optional<Oldest> oldest() const;
  [[nodiscard]] std::size_t size() const { return size_; }  ///< Barriers, not reads.

 private:
  struct Batch {
    BarrierKind kind{};
    Instant since{};
    std::optional<Index> index;
    std::vector<Waiter> waiters;
  };
  using Order = std::set<std::pair<Index, raft::ReadId>>;
  [[nodiscard]] Order& order_of(BarrierKind kind) {
    return kind == BarrierKind::published ? to_publish_ : to_apply_;
  }

  std::map<raft::ReadId, Batch> batches_;
  Order to_publish_;  // Whose index is known.
  Order to_apply_;
  raft::ReadId last_;
  std::size_t size_ = 0;
};

}  // namespace kuilt::cluster
