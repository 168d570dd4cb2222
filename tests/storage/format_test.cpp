// The bytes of docs/wal-format.md: the worked example there is what the code writes.
#include "storage/format.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iomanip>
#include <sstream>

#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

// As `od -A x -t x1`, without the lines that are all zero.
std::string dump(std::string_view bytes) {
  std::ostringstream out;
  out << std::hex << std::setfill('0');
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    const std::string_view row = bytes.substr(line, 16);
    if (row.find_first_not_of('\0') == std::string_view::npos) continue;
    out << std::setw(6) << line;
    for (const char c : row) {
      out << ' ' << std::setw(2) << static_cast<unsigned>(static_cast<unsigned char>(c));
    }
    out << '\n';
  }
  return out.str();
}

// A log on base (1000, 7): a mark, then one batch: entry 1001 "hello" of
// term 8 with a vote, then a truncation of it and another entry 1001 of term 9. Then a seal.
std::string worked_example() {
  MemoryDisk disk;
  WalOptions options;
  options.segment_bytes = 5 * block_bytes;
  const auto wal = new_log(disk, options, {Index(1000), Term(7)}, 42);
  std::vector<raft::Write> writes(2);
  writes[0].hard = {Term(8), NodeId::named("b")};
  writes[0].entries = {entry(1001, 8, "hello")};
  writes[1].hard = {Term(9), NodeId::named("c")};
  writes[1].truncate_after = Index(1000);
  writes[1].entries = {entry(1001, 9, "world!")};
  EXPECT_TRUE(write_all(*wal, disk, writes));
  EXPECT_TRUE(write_all(*wal, disk, write_of(1002, 1002, 9, 1001, 9000)));
  return *disk.contents(segment_name(1));
}

TEST(Format, TheWorkedExampleOfTheDocumentIsWhatIsWritten) {
  std::ifstream file(KUILT_SOURCE_DIR "/docs/wal-format.md");
  const std::string document((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());

  const std::string example = dump(worked_example());

  EXPECT_NE(document.find("```\n" + example + "```"), std::string::npos) << example;
}

TEST(Format, NamesAreNumbersAndSortAsTheyDo) {
  EXPECT_EQ(segment_name(0x2a), "wal-000000000000002a");
  EXPECT_EQ(segment_number("wal-000000000000002a"), 0x2au);
  EXPECT_LT(segment_name(9), segment_name(10));
  for (const char* other : {"wal-2a", "wal-00000000000000zz", "wax-000000000000002a", "identity"}) {
    EXPECT_FALSE(segment_number(other)) << other;
  }
}

TEST(Format, AChecksumHoldsForOnePlaceOfOneSegment) {
  const SegmentId id = SegmentId::named("one");
  const Seal seal{4096, {7, 8}, SegmentId::named("two")};
  const std::string block = encode(seal, id, 8192);

  EXPECT_EQ(decode_seal(block, id, 8192), seal);
  EXPECT_FALSE(decode_seal(block, id, 4096));
  EXPECT_FALSE(decode_seal(block, SegmentId::named("other"), 8192));
}

TEST(Format, EveryBitOfABatchIsChecked) {
  const SegmentId id = SegmentId::named("one");
  const std::vector writes{write_of(1, 2, 1), truncating(1, write_of(2, 2, 2))};
  const EncodedBatch batch = encode_batch({}, writes, id, 4096);
  std::string bytes;
  for (const Bytes& piece : batch.data) bytes += piece.text();
  bytes.resize(batch.records.back().end() - 4096);
  const auto sound = decode_batch(Bytes(bytes), id, 4096);
  ASSERT_TRUE(sound) << sound.error().message();
  EXPECT_EQ(sound->entries.size(), 3u);

  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_batch(Bytes(damaged), id, 4096)) << "bit " << bit;
  }
}

TEST(Format, LargeEntriesAreSharedAndNotCopied) {
  const std::vector writes{write_of(1, 1, 1, 0, 5000)};

  const EncodedBatch batch = encode_batch({}, writes, SegmentId::named("one"), 4096);

  ASSERT_EQ(batch.data.size(), 3u);
  EXPECT_EQ(batch.data[1].data(), writes[0].entries[0].stored.data());
}

}  // namespace
}  // namespace kuilt::storage
