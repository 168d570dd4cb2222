// results.hpp: what the state machine returned for the last commands, for those who ask again.
#pragma once

#include <cstddef>
#include <map>
#include <optional>

#include "kuilt/bytes.hpp"
#include "kuilt/types.hpp"

namespace kuilt::cluster {

/// Within a number of entries and a number of bytes; the oldest go first, and only in `shrink`: so
/// whoever waited for one gets it however small the bounds.
///
/// Threads: none; one caller at a time. Copyable.
class Results {
 public:
  Results(std::size_t entries_max, std::size_t bytes_max)
      : entries_max_(entries_max), bytes_max_(bytes_max) {}

  void add(Index index, Bytes result) {
    bytes_ += result.size();
    kept_.emplace_hint(kept_.end(), index, std::move(result));
  }
  [[nodiscard]] std::optional<Bytes> find(Index index) const {
    const auto found = kept_.find(index);
    return found == kept_.end() ? std::nullopt : std::optional(found->second);
  }
  void shrink() {
    while (kept_.size() > entries_max_ || bytes_ > bytes_max_) {
      bytes_ -= kept_.begin()->second.size();
      kept_.erase(kept_.begin());
    }
  }

 private:
  std::size_t entries_max_;
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::map<Index, Bytes> kept_;
};

}  // namespace kuilt::cluster
