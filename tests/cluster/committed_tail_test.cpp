#include "cluster/committed_tail.hpp"

#include <gtest/gtest.h>

#include "wire/entry.hpp"

namespace kuilt::cluster {
namespace {

raft::Entry entry(std::uint64_t index, std::uint64_t term = 1, std::size_t bytes = 100) {
  const std::string body(bytes, 'x');
  wire::Command command;
  command.at = {Index(index), Term(term)};
  command.request_id = RequestId(index);
  command.body = BytesView(body);
  command.session = SessionId(1, 1);
  command.digest = wire::command_digest(command.room, command.body);
  return wire::encode_command(command);
}
CommittedBatch batch(std::uint64_t first, std::uint64_t last, std::uint64_t term = 1) {
  CommittedBatch made{{Index(first - 1), Term(first == 1 ? 0 : 1)}, {Index(last), Term(term)}, {}};
  for (std::uint64_t i = first; i <= last; ++i) made.entries.push_back(entry(i, term));
  return made;
}
std::vector<std::uint64_t> indexes(const std::vector<raft::Entry>& entries) {
  std::vector<std::uint64_t> found;
  for (const raft::Entry& each : entries) found.push_back(each.at.index.value());
  return found;
}
/// The indexes that come from memory; empty if they do not.
std::vector<std::uint64_t> from_ring(const CommittedTail::Next& next) {
  const auto* entries = std::get_if<std::vector<raft::Entry>>(&next);
  return entries == nullptr ? std::vector<std::uint64_t>{} : indexes(*entries);
}
std::pair<std::uint64_t, std::uint64_t> in_file(const CommittedTail::Next& next) {
  const auto* place = std::get_if<CommittedTail::InFile>(&next);
  if (place == nullptr) return {0, 0};
  return {place->first.value(), place->last.value()};
}
using Indexes = std::vector<std::uint64_t>;
using Range = std::pair<std::uint64_t, std::uint64_t>;

constexpr std::size_t plenty = 1 << 20;

/// A log whose first ten entries were committed before the start.
CommittedTail ten_in_file() { return {Position{}, {{Index(1), Term(1)}}, {Index(10), Term(1)}}; }

TEST(CommittedTail, BeginsWithTheFileAndGoesOnInMemory) {
  CommittedTail tail = ten_in_file();
  tail.keep(plenty);
  tail.append(batch(11, 13));

  EXPECT_EQ(in_file(tail.next(Index(0), plenty)), Range(1, 10));
  EXPECT_EQ(in_file(tail.next(Index(7), plenty)), Range(8, 10));
  EXPECT_EQ(from_ring(tail.next(Index(10), plenty)), Indexes({11, 12, 13}));
  EXPECT_EQ(from_ring(tail.next(Index(12), plenty)), Indexes({13}));
  EXPECT_TRUE(std::holds_alternative<CommittedTail::Nothing>(tail.next(Index(13), plenty)));
}

TEST(CommittedTail, KeepsNoMoreThanItsBoundHoweverFarAReaderIsBehind) {
  CommittedTail tail = ten_in_file();
  const std::size_t three = 3 * entry(11).cost();
  tail.keep(three);

  tail.append(batch(11, 20));

  EXPECT_EQ(in_file(tail.next(Index(10), plenty)), Range(11, 17));
  EXPECT_EQ(from_ring(tail.next(Index(17), plenty)), Indexes({18, 19, 20}));
}

TEST(CommittedTail, KeepsNothingUnlessItIsAskedTo) {
  CommittedTail tail = ten_in_file();
  tail.append(batch(11, 12));
  EXPECT_EQ(in_file(tail.next(Index(10), plenty)), Range(11, 12));

  tail.keep(plenty);
  tail.append(batch(13, 13));
  EXPECT_EQ(in_file(tail.next(Index(10), plenty)), Range(11, 12));
  EXPECT_EQ(from_ring(tail.next(Index(12), plenty)), Indexes({13}));

  tail.keep(0);
  EXPECT_EQ(in_file(tail.next(Index(12), plenty)), Range(13, 13));
}

TEST(CommittedTail, GivesNoMoreThanWasAskedForButOneEntryAtLeast) {
  CommittedTail tail = ten_in_file();
  tail.keep(plenty);
  tail.append(batch(11, 15));

  EXPECT_EQ(from_ring(tail.next(Index(10), 2 * entry(11).cost())), Indexes({11, 12}));
  EXPECT_EQ(from_ring(tail.next(Index(10), 1)), Indexes({11}));
}

TEST(CommittedTail, AReadOfTheFileEndsWellBeforeItsGrowingEnd) {
  CommittedTail tail({}, {{Index(1), Term(1)}}, {Index(100'000), Term(1)});

  EXPECT_EQ(in_file(tail.next(Index(0), plenty)), Range(1, 4096));
}

TEST(CommittedTail, AdmitsOnlyWhatIsCommittedThere) {
  CommittedTail tail = ten_in_file();
  tail.append(batch(11, 12, 3));
  const auto read = [&](std::vector<raft::Entry> entries) {
    return indexes(tail.admit(Index(9), std::move(entries)));
  };

  EXPECT_EQ(read({entry(9), entry(10), entry(11, 3)}), Indexes({9, 10, 11}));
  EXPECT_EQ(read({entry(9), entry(10), entry(11, 2)}), Indexes({9, 10})) << "an earlier leader's";
  EXPECT_EQ(read({entry(9), entry(11, 3)}), Indexes({9})) << "a gap";
  EXPECT_EQ(read({entry(10)}), Indexes()) << "not what was asked for";
  EXPECT_EQ(indexes(tail.admit(Index(12), {entry(12, 3), entry(13, 3)})), Indexes({12}))
      << "not yet committed";
}

}  // namespace
}  // namespace kuilt::cluster
