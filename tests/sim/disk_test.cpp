// What a power cut and a SIGKILL may leave on the simulated disk.
#include "sim/disk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

namespace kuilt::sim {
namespace {

constexpr std::size_t block = SimDisk::block_bytes;

std::string filled(char c, std::size_t bytes = block) { return std::string(bytes, c); }

void must(SimDisk& disk, const storage::DiskOp& op) {
  const Status status = disk.perform(op);
  ASSERT_TRUE(status.has_value()) << status.error().message();
}

void write(SimDisk& disk, std::uint64_t offset, const std::string& data) {
  must(disk, storage::WriteAt{"log", offset, {Bytes(data)}});
}

std::string content(SimDisk& disk, std::uint64_t offset = 0, std::size_t bytes = block) {
  const auto read = disk.read("log", offset, bytes);
  return read ? std::string(read->text()) : "(no file)";
}

// A file of four blocks of 'o' (old), all synced.
SimDisk disk_with_old_blocks(std::uint64_t seed) {
  SimDisk disk{Rng(seed)};
  must(disk, storage::CreateZeroed{"log", 4 * block});
  must(disk, storage::SyncDirectory{});
  write(disk, 0, filled('o', 4 * block));
  must(disk, storage::SyncData{"log"});
  return disk;
}

TEST(SimDisk, SyncedBlocksSurviveEveryPowerCut) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);

    disk.cut_power();

    EXPECT_EQ(content(disk, 0, 4 * block), filled('o', 4 * block)) << "seed " << seed;
  }
}

TEST(SimDisk, WhatAFileHasGrownByIsThereInPartOrNotBeforeItIsSynced) {
  std::set<std::size_t> sizes;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk{Rng(seed)};
    must(disk, storage::CreateZeroed{"log", 0});
    must(disk, storage::Append{"log", {Bytes(filled('a', 100))}});
    must(disk, storage::SyncData{"log"});
    must(disk, storage::SyncDirectory{});
    must(disk, storage::Append{"log", {Bytes(filled('b', 3 * block))}});

    disk.cut_power();

    const std::size_t size = content(disk, 0, 10 * block).size();
    sizes.insert(size);
    ASSERT_GE(size, 100U);
    ASSERT_LE(size, 100U + 3 * block);
    must(disk, storage::Append{"log", {Bytes(filled('c', 5))}});
    must(disk, storage::SyncData{"log"});
    disk.cut_power();
    EXPECT_EQ(content(disk, size, 100), "ccccc");
  }
  EXPECT_GT(sizes.size(), 5U);
}

TEST(SimDisk, ANameThatWasChangedIsOldOrNewBeforeTheDirectoryIsSynced) {
  std::set<std::string> fates;
  for (std::uint64_t seed = 1; seed <= 80; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    must(disk, storage::RenameFile{"log", "other"});

    disk.cut_power();

    std::string names;
    const auto files = disk.list().or_throw();
    for (const storage::FileInfo& file : files) names += file.name + " ";
    fates.insert(names);
    SimDisk synced = disk_with_old_blocks(seed);
    must(synced, storage::RenameFile{"log", "other"});
    must(synced, storage::SyncDirectory{});
    synced.cut_power();
    EXPECT_EQ(synced.list()->size(), 1U);
    EXPECT_EQ(synced.list()->front().name, "other");
  }
  EXPECT_TRUE(fates.contains("log "));
  EXPECT_TRUE(fates.contains("other "));
}

TEST(SimDisk, AnUnsyncedBlockIsLeftOldNewOrAsGarbage) {
  std::set<std::string> fates;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    write(disk, block, filled('n'));

    disk.cut_power();

    const std::string found = content(disk, block);
    fates.insert(found == filled('o') ? "old" : found == filled('n') ? "new" : "garbage");
    EXPECT_EQ(content(disk, 0), filled('o')) << "its neighbour was synced, seed " << seed;
  }
  EXPECT_EQ(fates, (std::set<std::string>{"old", "new", "garbage"}));
}

TEST(SimDisk, LaterBlocksMaySurviveWhereEarlierOnesDoNot) {
  bool reordered = false;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    write(disk, 0, filled('1'));
    write(disk, block, filled('2'));

    disk.cut_power();

    reordered |= content(disk, 0) == filled('o') && content(disk, block) == filled('2');
  }
  EXPECT_TRUE(reordered);
}

TEST(SimDisk, APartOfABlockThatWasWrittenGoesWithItsBlock) {
  std::set<std::string> fates;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    write(disk, 10, "middle");

    disk.cut_power();

    fates.insert(content(disk, 8, 10));
  }
  EXPECT_TRUE(fates.contains("oooooooooo"));
  EXPECT_TRUE(fates.contains("oomiddleoo"));
}

TEST(SimDisk, AKillKeepsThePageCacheAndALaterPowerCutMayStillLoseIt) {
  bool lost = false;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    write(disk, 0, filled('n'));

    EXPECT_EQ(content(disk), filled('n')) << "a kill leaves everything that was written";
    disk.cut_power();

    lost |= content(disk) == filled('o');
  }
  EXPECT_TRUE(lost);
}

TEST(SimDisk, TheMildestPowerCutLeavesExactlyWhatWasSynced) {
  SimDisk disk = disk_with_old_blocks(1);
  write(disk, 0, filled('n', 3 * block));
  must(disk, storage::CreateZeroed{"other", block});

  disk.forget_unsynced();

  EXPECT_EQ(content(disk, 0, 4 * block), filled('o', 4 * block));
  EXPECT_FALSE(disk.read("other", 0, 1).has_value()) << "its name was never synced";
}

TEST(SimDisk, ANameIsCertainOnlyAfterTheDirectoryIsSynced) {
  bool gone = false;
  bool back = false;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);
    must(disk, storage::CreateZeroed{"young", block});
    must(disk, storage::RemoveFile{"log"});

    disk.cut_power();

    gone |= !disk.read("young", 0, 1).has_value();
    back |= disk.read("log", 0, 1).has_value();
  }
  EXPECT_TRUE(gone);
  EXPECT_TRUE(back) << "a removed file comes back if its name was still on the disk";
}

TEST(SimDisk, AnInterruptedWriteLeavesAPrefixOfItsBlocks) {
  std::set<std::size_t> written;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SimDisk disk = disk_with_old_blocks(seed);

    disk.interrupt(storage::WriteAt{"log", 0, {Bytes(filled('n', 3 * block))}});

    const std::string found = content(disk, 0, 3 * block);
    const std::size_t prefix = std::min(found.find('o'), found.size());
    written.insert(prefix / block);
    EXPECT_EQ(found.find('n', prefix), std::string::npos) << "seed " << seed;
  }
  EXPECT_EQ(written, (std::set<std::size_t>{0, 1, 2, 3}));
}

TEST(SimDisk, EverythingFailsFromTheKillOnUntilItIsHealed) {
  SimDisk disk = disk_with_old_blocks(1);
  disk.fail_after(2);

  EXPECT_TRUE(disk.perform(storage::SyncDirectory{}).has_value());
  EXPECT_FALSE(disk.perform(storage::SyncDirectory{}).has_value());
  EXPECT_FALSE(disk.perform(storage::SyncDirectory{}).has_value());
  EXPECT_TRUE(disk.failed());

  disk.heal();
  EXPECT_TRUE(disk.perform(storage::SyncDirectory{}).has_value());
}

TEST(SimDisk, AWriteBeyondTheEndOfAFileIsRefused) {
  SimDisk disk = disk_with_old_blocks(1);

  const Status inside = disk.perform(storage::WriteAt{"log", 4 * block - 1, {Bytes("x")}});
  const Status beyond = disk.perform(storage::WriteAt{"log", 4 * block - 1, {Bytes("xy")}});

  EXPECT_TRUE(inside.has_value());
  ASSERT_FALSE(beyond.has_value());
  EXPECT_EQ(beyond.error().code(), ErrorCode::io);
}

}  // namespace
}  // namespace kuilt::sim
