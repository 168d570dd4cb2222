// feed_bench.cpp: what it costs a shard, without any socket, to feed many learners.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "cluster/feed.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

/// An endless log of 256-byte commands in the default room.
class Source {
 public:
  std::shared_ptr<const CommittedBatch> batch(std::size_t entries) {
    auto batch = std::make_shared<CommittedBatch>();
    batch->prev = last_;
    for (std::size_t i = 0; i < entries; ++i) {
      wire::Command command;
      command.at = last_ = {last_.index.next(), Term(1)};
      command.author = "ann";
      command.request_id = RequestId(last_.index.value());
      command.body = BytesView(body_);
      command.session = SessionId(1, 2);
      command.digest = wire::command_digest("", body_);
      batch->entries.push_back(wire::encode_command(command));
    }
    batch->through = last_;
    return batch;
  }

 private:
  std::string body_ = std::string(256, 'x');
  Position last_{};
};

FeedBoot empty_boot() {
  return {ClusterId::named("c"), HistoryId::named("h"), {}, {}, RoomDigests(1024)};
}

void observe_all(Feed& feed, std::uint64_t learners) {
  for (std::uint64_t i = 1; i <= learners; ++i) {
    const wire::Observe wanted{"", wire::FromNow{}, 0};
    feed.observe(Instant{}, LinkId(i), wire::Encoding::protobuf, wanted);
  }
}

// All learners stand at the end: one publish and a drain each. Items are entries delivered.
void publish_to_all(benchmark::State& state) {
  const auto learners = static_cast<std::uint64_t>(state.range(0));
  const auto entries = static_cast<std::size_t>(state.range(1));
  Feed feed(FeedOptions{}, empty_boot());
  Source source;
  observe_all(feed, learners);
  for (auto step : state) {
    static_cast<void>(step);
    state.PauseTiming();
    const auto batch = source.batch(entries);
    state.ResumeTiming();
    benchmark::DoNotOptimize(feed.publish(batch));
    for (std::uint64_t i = 1; i <= learners; ++i) {
      benchmark::DoNotOptimize(feed.drained(LinkId(i)));
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(feed.counters().entries_sent));
}
BENCHMARK(publish_to_all)->ArgNames({"learners", "entries"})->ArgsProduct({{1000, 5000}, {1, 16}});

// Half of the learners lag by a batch at any time, so that places differ.
void publish_to_laggards(benchmark::State& state) {
  const auto learners = static_cast<std::uint64_t>(state.range(0));
  Feed feed(FeedOptions{}, empty_boot());
  Source source;
  observe_all(feed, learners);
  std::uint64_t turn = 0;
  for (auto step : state) {
    static_cast<void>(step);
    state.PauseTiming();
    const auto batch = source.batch(16);
    state.ResumeTiming();
    benchmark::DoNotOptimize(feed.publish(batch));
    ++turn;
    for (std::uint64_t i = 1 + turn % 2; i <= learners; i += 2) {
      benchmark::DoNotOptimize(feed.drained(LinkId(i)));
    }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(feed.counters().entries_sent));
}
BENCHMARK(publish_to_laggards)->ArgName("learners")->Arg(1000);

}  // namespace
}  // namespace kuilt::cluster

BENCHMARK_MAIN();
