// Which snapshots a start uses, passes over, or takes as proof that its log has forgotten.
#include "server/recovered_snapshots.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cluster/committed_state.hpp"
#include "storage/memory_disk.hpp"

namespace kuilt::server {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const storage::Identity identity{ClusterId::named("c"), HistoryId::named("h"), NodeId::named("a")};
const std::vector<std::string> no_complaints;

Position at(std::uint64_t index, std::uint64_t term) { return {Index(index), Term(term)}; }

/// Files can be made unreadable, as a disk does that has bad sectors.
class BadDisk final : public storage::Disk {
 public:
  Status perform(const storage::DiskOp& op) override { return disk_.perform(op); }
  Result<std::vector<storage::FileInfo>> list() override { return disk_.list(); }
  Result<Bytes> read(const storage::FileName& file, std::uint64_t offset,
                     std::size_t bytes) override {
    if (file == unreadable) return Error(ErrorCode::io, "bad sector");
    return disk_.read(file, offset, bytes);
  }
  [[nodiscard]] std::string& contents(const storage::FileName& file) {
    return *disk_.contents(file);
  }
  storage::FileName unreadable;

 private:
  storage::MemoryDisk disk_;
};

class Recovered : public ::testing::Test {
 protected:
  /// A log of 200 entries: the first 100 of term 1, then term 3.
  Result<FoundSnapshots> judge(std::optional<Position> restored, std::uint64_t last = 200,
                               const std::vector<std::string>& complaints = no_complaints) {
    RecoveredSnapshots snapshots(&disk_, identity,
                                 [this](const std::string& line) { news_.push_back(line); });
    return std::move(snapshots).judge(
        {.last = Index(last), .terms = terms_, .restored = restored, .complaints = complaints});
  }
  std::string write(Position cut) {
    storage::SnapshotHeader header{.cluster = identity.cluster,
                                   .history = identity.history,
                                   .at = cut,
                                   .log_time = {},
                                   .state_digest = storage::snapshot_hash("")};
    storage::SnapshotPlan plan(header);
    for (const auto& ops : {plan.begin(), plan.finish()}) {
      EXPECT_TRUE(storage::perform_all(disk_, ops));
    }
    return storage::snapshot_name(cut);
  }
  std::string refusal(std::uint64_t last = 200) {
    const auto found = judge({}, last);
    if (found) return "";
    EXPECT_EQ(found.error().code(), ErrorCode::corrupt);
    return found.error().message();
  }

  BadDisk disk_;
  std::vector<raft::TermRange> terms_ = {{Index(1), Term(1)}, {Index(101), Term(3)}};
  std::vector<std::string> news_;
};

TEST_F(Recovered, ALogThatEndsBeforeASnapshotHasForgottenAndIsRefused) {
  const std::string name = write(at(150, 3));
  EXPECT_EQ(refusal(200), "");
  EXPECT_EQ(refusal(150), "") << "the cut may be the last entry";

  const std::string said = refusal(149);

  EXPECT_THAT(said, HasSubstr(name));
  EXPECT_THAT(said, HasSubstr("is of entry 150 of term 3"));
  EXPECT_THAT(said, HasSubstr("the log ends with entry 149 of term 3"));
  EXPECT_THAT(said, HasSubstr("Bring back the log"));
}

TEST_F(Recovered, ALogWithAnotherTermAtTheCutHasForgottenAndIsRefused) {
  write(at(100, 1));
  EXPECT_EQ(refusal(), "");
  const std::string name = write(at(101, 2));

  const std::string said = refusal();

  EXPECT_THAT(said, HasSubstr(name));
  EXPECT_THAT(said, HasSubstr("the log has there entry 101 of term 3"));
}

TEST_F(Recovered, AnEmptyLogHasForgottenToo) {
  write(at(1, 1));
  terms_.clear();

  EXPECT_THAT(refusal(0), HasSubstr("the log ends with entry 0 of term 0"));
}

TEST_F(Recovered, OneOlderSnapshotIsProofEnough) {
  write(at(150, 3));
  write(at(90, 2));

  const auto found = judge(at(150, 3));

  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message(), HasSubstr("is of entry 90 of term 2"));
}

TEST_F(Recovered, ASnapshotThatSaysSomethingElseThanItsLogGoesAndIsNamed) {
  const std::string wrong = write(at(150, 3));
  write(at(120, 3));

  const auto found = judge(at(120, 3), 200, {"the snapshot at index 150 differs"}).or_throw();

  EXPECT_EQ(found.newest->header.at, at(120, 3));
  EXPECT_THAT(found.unusable, ElementsAre(wrong));
  EXPECT_THAT(news_, ElementsAre("the snapshot at index 150 differs: it is not used"));
}

TEST_F(Recovered, ADamagedSnapshotProvesNothingAndGoes) {
  const std::string name = write(at(500, 9));
  disk_.contents(name).back() ^= 1;

  const auto found = judge({}).or_throw();

  EXPECT_THAT(found.unusable, ElementsAre(name));
  EXPECT_THAT(found.untouched, IsEmpty());
  EXPECT_THAT(news_, Contains(HasSubstr(name + " is not used")));
}

TEST_F(Recovered, WhatCanNotBeReadNowIsNamedAndNeitherUsedNorRemoved) {
  disk_.unreadable = write(at(150, 3));

  const auto found = judge({}).or_throw();

  EXPECT_THAT(found.unusable, IsEmpty());
  EXPECT_THAT(found.untouched, ElementsAre(disk_.unreadable));
  EXPECT_THAT(news_, ElementsAre(HasSubstr(disk_.unreadable + " is not used: bad sector")));
}

TEST_F(Recovered, WhatALaterVersionWroteIsNamedAndNeitherUsedNorRemoved) {
  const std::string name = write(at(150, 3));
  disk_.contents(name)[8] = 2;

  const auto found = judge({}).or_throw();

  EXPECT_THAT(found.unusable, IsEmpty());
  EXPECT_THAT(found.untouched, ElementsAre(name));
  EXPECT_THAT(news_, ElementsAre(HasSubstr(name + " is not used")));
}

}  // namespace
}  // namespace kuilt::server
