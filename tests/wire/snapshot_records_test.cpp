// The records of a snapshot: what protobuf would write, and total over any bytes.
#include "wire/snapshot_records.hpp"

#include <gtest/gtest.h>

#include <kuilt/v1/snapshot.pb.h>

#include "tests/wire/wire_values.hpp"

namespace kuilt::wire {
namespace {

SnapshotRecord random_record(Rng& rng) {
  switch (rng.below(4)) {
    case 0:
      return SnapshotHead{random_position(rng), LogTime(random_number(rng)),
                          Index(random_number(rng)), Bytes(random_octets(rng, 60))};
    case 1:
      return SnapshotSession{random_id<SessionId>(rng), Index(random_number(rng)),
                             random_text(rng, 9), RequestId(random_number(rng)),
                             LogTime(random_number(rng))};
    case 2: return SnapshotRequest{RequestId(random_number(rng)), random_position(rng), rng.next()};
    default: return SnapshotRoom{random_text(rng, 9), rng.next()};
  }
}

std::string records(const std::vector<SnapshotRecord>& all) {
  std::string bytes;
  for (const SnapshotRecord& one : all) append_record(bytes, one);
  return bytes;
}

TEST(SnapshotRecords, WhatIsAppendedIsReadInTheSameOrder) {
  Rng rng(61);
  for (int round = 0; round < 200; ++round) {
    std::vector<SnapshotRecord> all;
    while (all.size() < 20) all.push_back(random_record(rng));
    SnapshotRecords reader{Bytes(records(all))};
    for (const SnapshotRecord& one : all) EXPECT_EQ(reader.next().or_throw(), one);
    EXPECT_EQ(reader.next().or_throw(), std::nullopt);
  }
}

TEST(SnapshotRecords, EachIsWhatProtobufReadsAndWrites) {
  Rng rng(62);
  for (int round = 0; round < 500; ++round) {
    const SnapshotRecord record = random_record(rng);
    const std::string bytes = records({record});
    // Short enough for a length of one or two bytes.
    const std::size_t length_bytes = (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0 ? 2 : 1;
    v1::SnapshotRecord theirs;
    ASSERT_TRUE(theirs.ParseFromString(bytes.substr(length_bytes)));
    EXPECT_EQ(theirs.SerializeAsString(), bytes.substr(length_bytes));
    EXPECT_EQ(theirs.has_session(), std::holds_alternative<SnapshotSession>(record));
    if (const auto* room = std::get_if<SnapshotRoom>(&record)) {
      EXPECT_EQ(theirs.room().name(), room->name);
      EXPECT_EQ(theirs.room().digest(), room->digest);
    }
  }
}

TEST(SnapshotRecords, AnyBytesEndInRecordsOrInAnError) {
  Rng rng(63);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = records({random_record(rng), random_record(rng), random_record(rng)});
    for (std::uint64_t left = 1 + rng.below(4); left > 0 && !bytes.empty(); --left) {
      bytes[rng.below(bytes.size())] = static_cast<char>(rng.next() & 0xffU);
      if (rng.chance(20)) bytes.resize(rng.below(bytes.size() + 1));
    }
    SnapshotRecords reader{Bytes(bytes)};
    for (auto next = reader.next(); next && *next; next = reader.next()) {
    }
  }
}

TEST(SnapshotRecords, ARecordThatIsCutOffOrUnknownIsNamed) {
  const std::string bytes = records({SnapshotRoom{"side", 7}});
  SnapshotRecords cut{Bytes(bytes.substr(0, bytes.size() - 1))};
  const auto short_one = cut.next();
  ASSERT_FALSE(short_one);
  EXPECT_EQ(short_one.error().code(), ErrorCode::bad_frame);

  SnapshotRecords unknown{Bytes(std::string("\x02\x2a\x00", 3))};
  const auto none = unknown.next();
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message().find("unknown message type 5"), std::string::npos)
      << none.error().message();
}

}  // namespace
}  // namespace kuilt::wire
