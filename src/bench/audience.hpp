// audience.hpp: many learners, on one thread, and when the last of them had each entry.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/link.hpp"
#include "bench/samples.hpp"

namespace kuilt::bench {

struct AudienceFigures {
  std::uint64_t entries = 0;  ///< Delivered, over all learners.
  std::uint64_t frames = 0;
  std::uint64_t bytes = 0;
  Duration measured{};
  Spread first_to_last;    ///< From the first sign of a commit to its arrival at the last learner.
  Spread propose_to_last;  ///< From when it was meant to be proposed.

  [[nodiscard]] double entries_per_second() const;
};

/// Threads: the Loop's. Every learner's feed is checked for gaps as it comes.
class Audience final : public LinkOwner {
 public:
  /// Attaches the learners; they observe from now on. Learner i goes to address i modulo their
  /// number. Errors: what kept a learner away.
  static Result<std::unique_ptr<Audience>> open(Loop& loop,
                                                const std::vector<std::string>& addresses,
                                                std::size_t learners);

  /// An answer is a sign of the commit too.
  void committed(Position at, Instant intended, Instant answered);
  void begin(Instant from, Instant until);
  [[nodiscard]] AudienceFigures figures();
  /// Commands that the slowest learner has.
  [[nodiscard]] std::uint64_t complete() const { return complete_; }
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }

 private:
  struct Learner {
    std::unique_ptr<Link> link;
    Position through;
  };
  /// What is known of one index.
  struct Sighting {
    Instant first{};
    Instant last{};
    Instant intended{};
    std::size_t learners = 0;
    bool answered = false;
  };
  /// What a load needs of a feed frame.
  struct Glance {
    Position prev;
    Position through;
    std::uint64_t entries = 0;
  };

  explicit Audience(Loop& loop) : loop_(loop) {}
  void on_message(Link& link, BytesView message) override;
  void on_broken(Link& link, const std::string& why) override;
  void on_rare(Link& link, BytesView message);
  void on_feed(Learner& learner, const Glance& glance, std::size_t bytes);
  [[nodiscard]] static std::optional<Glance> glance_at(BytesView message);
  Status await_attached();
  [[nodiscard]] Sighting* sighting(Index index);

  Loop& loop_;
  std::vector<Learner> learners_;
  std::size_t attached_ = 0;
  Index base_;  ///< Sightings begin right after it.
  std::vector<Sighting> sightings_;
  std::uint64_t complete_ = 0;
  Instant measure_from_{};
  Instant measure_until_{};
  AudienceFigures figures_;
  std::optional<Error> broken_;
};

}  // namespace kuilt::bench
