// A learner's storage on trial: one that is sound passes, and each flaw is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "kuilt/testing.hpp"

namespace kuilt::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// What outlives a storage, as a file would.
struct File {
  std::vector<LogEntry> entries;
  std::optional<ResumeToken> through;
};

/// Sound, unless a test overrides something.
class Storage : public RaftStorage {
 public:
  explicit Storage(File& file) : file_(file) {}
  Result<std::optional<ResumeToken>> load() override { return file_.through; }
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override {
    file_.entries.insert(file_.entries.end(), entries.begin(), entries.end());
    file_.through = through;
    return Done{};
  }
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override {
    std::vector<LogEntry> found;
    std::size_t bytes = 0;
    for (const LogEntry& entry : file_.entries) {
      if (entry.index <= after) continue;
      bytes += entry.command.size();
      if (!found.empty() && bytes > bytes_max) break;
      found.push_back(entry);
    }
    return found;
  }

 protected:
  File& file_;
};

template <class Mine>
std::string complaint() {
  File file;
  return complaint_about_storage([&] { return std::make_shared<Mine>(file); }).value_or("");
}

TEST(StorageOnTrial, OneThatIsSoundPasses) { EXPECT_EQ(complaint<Storage>(), ""); }

TEST(StorageOnTrial, TheOneThatComesWithKuiltPasses) {
  const auto storage = std::make_shared<InMemoryRaftStorage>();

  EXPECT_EQ(complaint_about_storage([&] { return storage; }), std::nullopt);
}

TEST(StorageOnTrial, OneThatStaysInMemoryIsTheSameObjectEachTime) {
  File file;
  const auto storage = std::make_shared<Storage>(file);

  EXPECT_EQ(complaint_about_storage([&] { return storage; }), std::nullopt);
}

TEST(StorageOnTrial, OneThatIsNotEmptyAtFirstIsNamed) {
  File file;
  const auto open = [&] { return std::make_shared<Storage>(file); };
  ASSERT_EQ(complaint_about_storage(open), std::nullopt);

  EXPECT_THAT(complaint_about_storage(open).value_or(""),
              StartsWith("an empty storage: load gives nothing before the first append"));
}

TEST(StorageOnTrial, OneThatCannotBeOpenedIsNamed) {
  EXPECT_EQ(complaint_about_storage([] { return nullptr; }), "a storage can be opened");
}

struct Forgets : Storage {
  explicit Forgets(File& file) : Storage(file) { file_ = {}; }
};
TEST(StorageOnTrial, WhatIsLostWhenItIsOpenedAgainIsNamed) {
  EXPECT_THAT(complaint<Forgets>(), StartsWith("opened again: load gives the token"));
}

struct KeepsNoPlaceWithoutEntries : Storage {
  using Storage::Storage;
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override {
    return entries.empty() ? Status(Done{}) : Storage::append(entries, through);
  }
};
TEST(StorageOnTrial, APlaceThatIsNotKeptIsNamed) {
  EXPECT_THAT(complaint<KeepsNoPlaceWithoutEntries>(),
              StartsWith("after an append of no entries: load gives the token"));
}

struct ReadsFromAfterOn : Storage {
  using Storage::Storage;
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override {
    return Storage::read(Index(after.value() - std::min<std::uint64_t>(after.value(), 1)),
                         bytes_max);
  }
};
TEST(StorageOnTrial, AnEntryThatIsReadTwiceIsNamed) {
  EXPECT_THAT(complaint<ReadsFromAfterOn>(), HasSubstr("in order and without a gap"));
}

struct TakesIndexesForPlaces : Storage {
  using Storage::Storage;
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override {
    const std::size_t skipped = std::min<std::size_t>(after.value(), file_.entries.size());
    if (skipped == file_.entries.size()) return std::vector<LogEntry>();
    const std::uint64_t before = skipped == 0 ? 0 : file_.entries[skipped - 1].index.value();
    return Storage::read(Index(before), bytes_max);
  }
};
TEST(StorageOnTrial, OneThatTakesIndexesForPlacesIsNamed) {
  EXPECT_THAT(complaint<TakesIndexesForPlaces>(), HasSubstr("finds one entry at least"));
}

struct ReadsNothingThatIsTooLarge : Storage {
  using Storage::Storage;
  Result<std::vector<LogEntry>> read(Index after, std::size_t bytes_max) override {
    auto found = Storage::read(after, bytes_max);
    if (found && !found->empty() && found->front().command.size() > bytes_max) found->clear();
    return found;
  }
};
TEST(StorageOnTrial, AnEntryThatIsTooLargeToBeReadIsNamed) {
  EXPECT_THAT(complaint<ReadsNothingThatIsTooLarge>(), HasSubstr("finds one entry at least"));
}

struct ReadsEverythingAtOnce : Storage {
  using Storage::Storage;
  Result<std::vector<LogEntry>> read(Index after, std::size_t /*bytes_max*/) override {
    return Storage::read(after, std::size_t{1} << 30);
  }
};
TEST(StorageOnTrial, AReadWithoutABoundIsNamed) {
  EXPECT_THAT(complaint<ReadsEverythingAtOnce>(), HasSubstr("finds little more than that many"));
}

struct CutsCommandsAtZero : Storage {
  using Storage::Storage;
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override {
    std::vector<LogEntry> cut(entries.begin(), entries.end());
    for (LogEntry& entry : cut) {
      const std::string_view text = entry.command.text();
      entry.command = Bytes(std::string(text.substr(0, text.find('\0'))));
    }
    return Storage::append(cut, through);
  }
};
TEST(StorageOnTrial, ACommandThatIsCutIsNamed) {
  EXPECT_THAT(complaint<CutsCommandsAtZero>(), HasSubstr("as it was appended"));
}

struct ForgetsTimes : Storage {
  using Storage::Storage;
  Status append(std::span<const LogEntry> entries, const ResumeToken& through) override {
    std::vector<LogEntry> timeless(entries.begin(), entries.end());
    for (LogEntry& entry : timeless) entry.log_time = LogTime();
    return Storage::append(timeless, through);
  }
};
TEST(StorageOnTrial, AFieldThatIsLostIsNamed) {
  EXPECT_THAT(complaint<ForgetsTimes>(), HasSubstr("as it was appended"));
}

struct IsFull : Storage {
  using Storage::Storage;
  Status append(std::span<const LogEntry> /*entries*/, const ResumeToken& /*through*/) override {
    return Error(ErrorCode::disk_full, Effect::none, "no room");
  }
};
TEST(StorageOnTrial, ItsOwnErrorIsTold) { EXPECT_EQ(complaint<IsFull>(), "append: no room"); }

}  // namespace
}  // namespace kuilt::testing
