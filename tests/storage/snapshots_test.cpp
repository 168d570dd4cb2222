// Snapshots as files: whole under their name or not there, whatever a crash leaves; and no byte
// that nobody checks.
#include "storage/snapshots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iomanip>
#include <sstream>

#include "storage/snapshot_streams.hpp"
#include "tests/storage/crash_disk.hpp"
#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SnapshotHeader header_of(std::uint64_t index, BytesView state) {
  return {.cluster = test_identity.cluster,
          .history = test_identity.history,
          .at = {Index(index), Term(3)},
          .log_time = LogTime(77),
          .state_digest = snapshot_hash(state)};
}

/// What a state machine might write in `pieces` calls.
std::string content_of(std::uint64_t index, std::size_t bytes) {
  std::string content = "state at " + std::to_string(index) + " ";
  content.resize(std::max(content.size(), bytes), '.');
  return content;
}

/// Writes one snapshot; the first failure gives it up.
Status write(Disk& disk, std::uint64_t index, std::size_t bytes) {
  const std::string state = "cluster at " + std::to_string(index);
  SnapshotPlan plan(header_of(index, state));
  const auto perform = [&](const std::vector<DiskOp>& ops) { return perform_all(disk, ops); };
  SnapshotFileSink sink(plan, perform);
  Status status = perform(plan.begin());
  if (status) status = perform(plan.add(SnapshotPart::cluster, state));
  const std::string content = content_of(index, bytes);
  if (status) status = sink.write(BytesView(content).slice(0, 5));
  if (status) status = sink.write(BytesView(content).slice(5, content.size() - 5));
  if (status) status = perform(plan.finish());
  if (!status) static_cast<void>(perform(plan.give_up()));
  return status;
}

Status clean_up(Disk& disk, const std::vector<FileName>& damaged = {}) {
  const auto files = disk.list();
  if (!files) return Error(files.error());
  return perform_all(disk, plan_cleanup(*files, damaged));
}

std::string application_in(Disk& disk, const FileInfo& file) {
  SnapshotFileSource source(SnapshotReader::open(disk, file, test_identity).or_throw());
  std::string content;
  while (true) {
    const Bytes some = source.read(7).or_throw();
    if (some.empty()) return content;
    content += some.text();
  }
}

std::vector<std::string> names_in(Disk& disk) {
  std::vector<std::string> names;
  const auto files = disk.list().or_throw();
  for (const FileInfo& file : files) names.push_back(file.name);
  return names;
}

std::string dump(std::string_view bytes) {
  std::ostringstream out;
  out << std::hex << std::setfill('0');
  for (std::size_t line = 0; line < bytes.size(); line += 16) {
    out << std::setw(6) << line;
    for (const char c : bytes.substr(line, 16)) {
      out << ' ' << std::setw(2) << static_cast<unsigned>(static_cast<unsigned char>(c));
    }
    out << '\n';
  }
  return out.str();
}

TEST(Snapshots, TheWorkedExampleOfTheDocumentIsWhatIsWritten) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 20));
  std::ifstream file(KUILT_SOURCE_DIR "/docs/snapshot-format.md");
  const std::string document((std::istreambuf_iterator<char>(file)),
                             std::istreambuf_iterator<char>());

  const std::string example = dump(*disk.contents(snapshot_name({Index(42), Term(3)})));

  EXPECT_NE(document.find("```\n" + example + "```"), std::string::npos) << example;
}

TEST(Snapshots, WhatIsWrittenIsReadBack) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 3 * snapshot_piece_bytes_max + 17));

  const auto survey = survey_snapshots(disk, test_identity).or_throw();

  ASSERT_EQ(survey.sound.size(), 1U);
  EXPECT_TRUE(survey.damaged.empty());
  EXPECT_EQ(survey.sound[0].header, header_of(42, "cluster at 42"));
  EXPECT_EQ(survey.sound[0].state.text(), "cluster at 42");
  EXPECT_EQ(application_in(disk, survey.sound[0].file),
            content_of(42, 3 * snapshot_piece_bytes_max + 17));
  EXPECT_EQ(read_snapshot_state(disk, survey.sound[0].file, test_identity)->text(),
            "cluster at 42");
}

TEST(Snapshots, AStateMachineWithNothingToSayHasASnapshotToo) {
  MemoryDisk disk;
  SnapshotPlan plan(header_of(5, ""));
  for (const auto& ops : {plan.begin(), plan.finish()}) ASSERT_TRUE(perform_all(disk, ops));

  const auto survey = survey_snapshots(disk, test_identity).or_throw();

  ASSERT_EQ(survey.sound.size(), 1U);
  EXPECT_EQ(application_in(disk, survey.sound[0].file), "");
}

TEST(Snapshots, NoBitOfAFileMayBeAnother) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 30));
  const FileName name = snapshot_name({Index(42), Term(3)});
  const std::string sound = *disk.contents(name);
  ASSERT_EQ(survey_snapshots(disk, test_identity)->sound.size(), 1U);

  for (std::size_t bit = 0; bit < sound.size() * 8; ++bit) {
    *disk.contents(name) = sound;
    (*disk.contents(name))[bit / 8] = static_cast<char>(sound[bit / 8] ^ (1 << bit % 8));

    const auto survey = survey_snapshots(disk, test_identity).or_throw();

    EXPECT_TRUE(survey.sound.empty()) << "bit " << bit;
    ASSERT_EQ(survey.damaged.size(), 1U) << "bit " << bit;
    EXPECT_EQ(survey.damaged[0].name, name);
  }
}

TEST(Snapshots, AFileOfAnotherLengthIsDamaged) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 30));
  const FileName name = snapshot_name({Index(42), Term(3)});
  const std::string sound = *disk.contents(name);
  for (std::size_t bytes = 0; bytes < sound.size(); ++bytes) {
    *disk.contents(name) = sound.substr(0, bytes);
    EXPECT_TRUE(survey_snapshots(disk, test_identity)->sound.empty()) << bytes;
  }
  *disk.contents(name) = sound + "x";

  const auto survey = survey_snapshots(disk, test_identity).or_throw();

  ASSERT_EQ(survey.damaged.size(), 1U);
  EXPECT_THAT(survey.damaged[0].why.message(), HasSubstr("bytes behind the end"));
}

TEST(Snapshots, PiecesDoNotChangePlacesNorFiles) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 2 * snapshot_piece_bytes_max));
  ASSERT_TRUE(write(disk, 43, 2 * snapshot_piece_bytes_max));
  const FileName name = snapshot_name({Index(42), Term(3)});
  const std::string sound = *disk.contents(name);
  const std::size_t first = snapshot_header_bytes + snapshot_piece_header_bytes + 13;
  const std::size_t piece = snapshot_piece_header_bytes + snapshot_piece_bytes_max;

  std::string moved = sound;
  moved.replace(first, piece, sound, first + piece, piece);
  moved.replace(first + piece, piece, sound, first, piece);
  *disk.contents(name) = moved;
  EXPECT_EQ(survey_snapshots(disk, test_identity)->sound.size(), 1U) << "of the other file";

  const std::string& other = *disk.contents(snapshot_name({Index(43), Term(3)}));
  *disk.contents(name) = sound;
  disk.contents(name)->replace(first, piece, other, first, piece);
  EXPECT_EQ(survey_snapshots(disk, test_identity)->sound.size(), 1U);
}

TEST(Snapshots, OneOfAnotherClusterOrAnotherCutIsNotUsed) {
  MemoryDisk disk;
  ASSERT_TRUE(write(disk, 42, 30));
  Identity other = test_identity;
  other.history = HistoryId::named("another past");

  const auto foreign = survey_snapshots(disk, other).or_throw();
  ASSERT_EQ(foreign.damaged.size(), 1U);
  EXPECT_EQ(foreign.damaged[0].why.code(), ErrorCode::directory_of_another);

  ASSERT_TRUE(disk.perform(
      RenameFile{snapshot_name({Index(42), Term(3)}), snapshot_name({Index(43), Term(3)})}));
  const auto renamed = survey_snapshots(disk, test_identity).or_throw();
  ASSERT_EQ(renamed.damaged.size(), 1U);
  EXPECT_THAT(renamed.damaged[0].why.message(), HasSubstr("the name of another cut"));
}

TEST(Snapshots, ALaterFormatIsNamed) {
  std::string bytes = encode(header_of(1, ""));
  bytes[8] = 2;

  const auto header = decode_snapshot_header(bytes);

  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code(), ErrorCode::unsupported_format);
}

TEST(Snapshots, NamesSortAsCutsDo) {
  const Position at{Index(0x2a), Term(7)};
  EXPECT_EQ(snapshot_name(at), "snapshot-000000000000002a0000000000000007");
  EXPECT_EQ(snapshot_position(snapshot_name(at)), at);
  EXPECT_LT(snapshot_name({Index(9), Term(9)}), snapshot_name({Index(10), Term(1)}));
  for (const char* other : {"snapshot-2a", "snapshot-", "wal-000000000000002a",
                            "unfinished-snapshot-000000000000002a0000000000000007"}) {
    EXPECT_FALSE(snapshot_position(other)) << other;
  }
  EXPECT_TRUE(is_unfinished_snapshot(unfinished_snapshot_name(at)));
}

TEST(Snapshots, TheNewestTwoSoundOnesStayAndNothingElseOfOurs) {
  MemoryDisk disk;
  for (const std::uint64_t index : {3U, 4U, 5U, 6U}) ASSERT_TRUE(write(disk, index, 30));
  ASSERT_TRUE(disk.perform(CreateZeroed{unfinished_snapshot_name({Index(2), Term(1)}), 5}));
  ASSERT_TRUE(disk.perform(CreateZeroed{"note", 5}));

  ASSERT_TRUE(clean_up(disk, {snapshot_name({Index(5), Term(3)})}));

  EXPECT_THAT(names_in(disk), ElementsAre("note", snapshot_name({Index(4), Term(3)}),
                                          snapshot_name({Index(6), Term(3)})));
  EXPECT_TRUE(plan_cleanup(*disk.list(), {}).empty());
}

TEST(Snapshots, WhatIsGivenUpLeavesNothingBehind) {
  MemoryDisk disk;
  SnapshotPlan plan(header_of(5, ""));
  ASSERT_TRUE(perform_all(disk, plan.begin()));
  ASSERT_EQ(names_in(disk).size(), 1U);

  ASSERT_TRUE(perform_all(disk, plan.give_up()));

  EXPECT_TRUE(names_in(disk).empty());
}

/// Three snapshots, each followed by its cleanup. `done` counts those that were finished.
bool run_script(CrashDisk& disk, std::uint64_t& done) {
  for (const std::uint64_t index : {10U, 20U, 30U}) {
    if (!write(disk, index, index == 20 ? 9000 : 3000)) return false;
    done = index;
    if (!clean_up(disk)) return false;
  }
  return true;
}

TEST(SnapshotCrash, WhatHasItsNameIsWholeAndTheLastFinishedOneIsThereAtEveryOperation) {
  CrashDisk whole;
  std::uint64_t done = 0;
  ASSERT_TRUE(run_script(whole, done));
  std::size_t worlds = 0;
  for (std::size_t count = 0; count < whole.performed(); ++count) {
    CrashDisk before;
    done = 0;
    before.die_after(count);
    ASSERT_FALSE(run_script(before, done));
    before.revive();
    AllChoices all;
    do {
      ++worlds;
      CrashDisk disk = before;
      disk.cut_power(all.choose());
      const auto survey = survey_snapshots(disk, test_identity).or_throw();
      ASSERT_TRUE(survey.damaged.empty())
          << survey.damaged[0].why.message() << ", after operation " << count;
      const std::uint64_t newest =
          survey.sound.empty() ? 0 : survey.sound[0].header.at.index.value();
      ASSERT_GE(newest, done) << "after operation " << count;
      for (const SnapshotFile& one : survey.sound) {
        const std::uint64_t index = one.header.at.index.value();
        ASSERT_EQ(application_in(disk, one.file), content_of(index, index == 20 ? 9000 : 3000));
      }
      // The next process goes on.
      ASSERT_TRUE(write(disk, 40, 100));
      ASSERT_TRUE(clean_up(disk));
      ASSERT_LE(names_in(disk).size(), snapshots_kept);
    } while (all.next());
  }
  EXPECT_GT(worlds, 100U);
}

}  // namespace
}  // namespace kuilt::storage
