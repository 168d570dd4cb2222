// forwards_taken.hpp: a forward is acted on once, however often it arrives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>

namespace kuilt::cluster {

/// The numbers of forwards that came from one peer.
///
/// Why: a refusal says "this attempt is not in the log, and never will be". A copy of the same
/// forward that comes in later, and is accepted, would make that a lie. Numbers of one life of the
/// peer share their upper half, drawn anew in each life, and count up in the lower one.
///
/// Far older numbers than the newest are taken for copies: at worst a forward is lost, and its
/// sender repeats it under a new number.
class ForwardsTaken {
 public:
  /// Whether this number is new; notes it.
  bool take(std::uint64_t number) {
    Life& life = life_of(number >> 32);
    if (number <= life.floor || !life.seen.insert(number).second) return false;
    if (life.seen.size() > seen_max) {
      life.floor = *life.seen.begin();
      life.seen.erase(life.seen.begin());
    }
    return true;
  }

 private:
  static constexpr std::size_t seen_max = 1024;
  // Nobody waits for the answers of an earlier life, so forgetting the oldest breaks no promise.
  static constexpr std::size_t lives_max = 8;

  struct Life {
    std::uint64_t name = 0;
    std::uint64_t floor = 0;
    std::set<std::uint64_t> seen;  // Above the floor.
  };
  Life& life_of(std::uint64_t name) {
    for (Life& life : lives_) {
      if (life.name == name) return life;
    }
    if (lives_.size() == lives_max) lives_.pop_front();
    lives_.push_back(Life{name, 0, {}});
    return lives_.back();
  }

  std::deque<Life> lives_;
};

}  // namespace kuilt::cluster
