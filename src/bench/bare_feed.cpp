#include "bench/bare_feed.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/child.hpp"
#include "bench/stream.hpp"

namespace kuilt::bench {
namespace {

/// Sends a frame to every learner for each byte that comes by the first socket.
class BareSender final : public StreamOwner {
 public:
  BareSender(std::size_t frame_bytes, std::vector<Descriptor> sockets) : frame_bytes_(frame_bytes) {
    for (Descriptor& socket : sockets) {
      streams_.push_back(
          std::make_unique<Stream>(loop_, *this, std::move(socket), streams_.size()));
    }
  }
  [[noreturn]] void run() {
    while (true) loop_.turn(now() + std::chrono::seconds(1));
  }

 private:
  void on_bytes(Stream&, BytesView orders) override {
    const std::size_t size = orders.size() * frame_bytes_;
    if (frames_.size() < size) frames_.resize(size, 'f');
    const std::string_view frames = std::string_view(frames_).substr(0, size);
    for (std::size_t i = 1; i < streams_.size(); ++i) streams_[i]->send(frames);
  }
  void on_broken(Stream&, const std::string&) override {}

  const std::size_t frame_bytes_;
  Loop loop_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::string frames_;
};

/// Orders frames, and sees them arrive.
class BareLearners final : public StreamOwner {
 public:
  BareLearners(const BareFeedOptions& options, std::vector<Descriptor> sockets)
      : options_(options), bytes_(sockets.size()) {
    for (Descriptor& socket : sockets) {
      streams_.push_back(
          std::make_unique<Stream>(loop_, *this, std::move(socket), streams_.size()));
    }
  }
  Result<BareFeedFigures> run(Duration warm_up, Duration measured) {
    from_ = now() + warm_up;
    until_ = from_ + measured;
    if (options_.frames_per_second > 0) {
      at_rate();
    } else {
      as_fast_as_taken();
    }
    if (broken_) return Error(ErrorCode::io, Effect::none, "the bare sender ended");
    return figures(measured);
  }

 private:
  struct Sighting {
    Instant ordered{};
    Instant first{};
    Instant last{};
    std::size_t learners = 0;
  };

  void order(Instant at) {
    sightings_.push_back({.ordered = at, .first = {}, .last = {}, .learners = 0});
    ++to_order_;
  }
  void send_orders() {
    if (to_order_ > 0) streams_.front()->send(std::string(std::exchange(to_order_, 0), 'o'));
  }
  void at_rate() {
    const auto between = Duration(static_cast<Duration::rep>(1e9 / options_.frames_per_second));
    Instant next = now();
    const Instant give_up = until_ + std::chrono::seconds(5);
    while ((now() < until_ || complete_ < sightings_.size()) && now() < give_up && !broken_) {
      for (; next <= now() && next < until_; next += between) order(next);
      send_orders();
      loop_.turn(next < until_ ? next : give_up);
    }
  }
  void as_fast_as_taken() {
    while (now() < until_ && !broken_) {
      while (sightings_.size() - complete_ < options_.window_frames) order(now());
      send_orders();
      loop_.turn(until_);
    }
  }
  void on_bytes(Stream& stream, BytesView bytes) override {
    const Instant at = now();
    std::uint64_t& have = bytes_[stream.number()];
    std::uint64_t frame = have / options_.frame_bytes;
    have += bytes.size();
    for (; frame < have / options_.frame_bytes; ++frame) {
      Sighting& seen = sightings_.at(frame);
      if (seen.learners++ == 0) seen.first = at;
      seen.last = at;
      if (seen.learners == options_.learners) complete_ += 1;
      if (at >= from_ && at < until_) delivered_ += 1;
    }
  }
  void on_broken(Stream&, const std::string&) override { broken_ = true; }

  BareFeedFigures figures(Duration measured) const {
    Samples first_to_last;
    Samples order_to_last;
    for (const Sighting& seen : sightings_) {
      if (seen.learners < options_.learners || seen.first < from_ || seen.first >= until_) continue;
      first_to_last.add(seen.last - seen.first);
      order_to_last.add(seen.last - seen.ordered);
    }
    return {delivered_, measured, first_to_last.spread(), order_to_last.spread()};
  }

  const BareFeedOptions options_;
  Loop loop_;
  std::vector<std::unique_ptr<Stream>> streams_;  ///< The first carries orders.
  std::vector<std::uint64_t> bytes_;
  std::vector<Sighting> sightings_;  ///< By number of the frame.
  std::size_t to_order_ = 0;
  std::uint64_t complete_ = 0;
  std::uint64_t delivered_ = 0;
  Instant from_{};
  Instant until_{};
  bool broken_ = false;
};

}  // namespace

double BareFeedFigures::frames_per_learner_second(std::size_t learners) const {
  const double seconds = std::chrono::duration<double>(measured).count();
  return static_cast<double>(frames) / static_cast<double>(learners) / seconds;
}

Result<BareFeedFigures> run_bare_feed(const BareFeedOptions& options, Duration warm_up,
                                      Duration measured) {
  std::string address;
  auto listener = listen_anywhere(address);
  if (!listener) return std::move(listener).error();
  std::vector<Descriptor> ours;
  std::vector<Descriptor> theirs;
  for (std::size_t i = 0; i <= options.learners; ++i) {
    auto socket = connect_to(address);
    if (!socket) return std::move(socket).error().within("set up the bare feed");
    ours.push_back(*std::move(socket));
    theirs.push_back(accept_from(*listener));
    if (!theirs.back().is_open()) return Error(ErrorCode::io, Effect::none, "accept a learner");
  }
  const Child sender([&] {
    ours.clear();
    BareSender(options.frame_bytes, std::move(theirs)).run();
  });
  theirs.clear();
  return BareLearners(options, std::move(ours)).run(warm_up, measured);
}

}  // namespace kuilt::bench
