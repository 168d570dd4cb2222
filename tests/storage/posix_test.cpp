// The real file system: operations, errors, the lock, and whose directory it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"
#include "tests/storage/log_fixture.hpp"

namespace kuilt::storage {
namespace {

using ::testing::HasSubstr;

class Posix : public ::testing::Test {
 protected:
  Posix() {
    std::string pattern = ::testing::TempDir() + "kuilt-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~Posix() override {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::unique_ptr<PosixDisk> disk() {
    auto disk = PosixDisk::open(path_ + "/log");
    EXPECT_TRUE(disk) << disk.error().message();
    return std::move(*disk);
  }
  std::string path_;
};

/// Files may not grow beyond `bytes` while it lives. The signal of that is ignored: errno tells.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

/// No more than `count` descriptors while it lives.
class OpenFilesLimit {
 public:
  explicit OpenFilesLimit(rlim_t count) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit limit{count, before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~OpenFilesLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(Posix, ALogOfManySegmentsHoldsFewFilesOpen) {
  WalOptions options = small_segments();
  options.segment_bytes = 4 * 4096;
  const auto files = disk();
  const auto wal = new_log(*files, options);
  const auto used = std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                  std::filesystem::directory_iterator());
  const OpenFilesLimit limit(static_cast<rlim_t>(used) + 8);

  for (std::uint64_t i = 1; i <= 60; ++i) {
    ASSERT_TRUE(write_all(*wal, *files, write_of(i, i, 1, i - 1))) << i;
  }

  EXPECT_GT(files->list()->size(), 25u);
  EXPECT_EQ(read_whole(*files, *wal, Index(1), Index(60)), write_of(1, 60, 1).entries);
}

TEST_F(Posix, ALogOutlivesItsProcess) {
  const WalOptions options = small_segments();
  {
    const auto first = disk();
    const auto wal = new_log(*first, options);
    ASSERT_TRUE(write_all(*wal, *first, write_of(1, 40, 1, 39, 2000)));
  }
  const auto second = disk();

  const auto log = reopen(*second, options);

  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ(log->entries(), write_of(1, 40, 1, 39, 2000).entries);
  EXPECT_EQ(read_whole(*second, *log->wal, Index(1), Index(40)), log->entries());
}

TEST_F(Posix, MoreSlicesThanOneCallTakesAreAllWritten) {
  const auto files = disk();
  ASSERT_TRUE(files->perform(CreateZeroed{"f", 8192}));
  WriteAt write{"f", 10, {}};
  std::string expected;
  for (int i = 0; i < 3000; ++i) {
    write.data.emplace_back(std::to_string(i % 10));
    expected += std::to_string(i % 10);
  }

  ASSERT_TRUE(files->perform(write));

  EXPECT_EQ(files->read("f", 10, 3000)->text(), expected);
  EXPECT_EQ(files->read("f", 8190, 100)->size(), 2u);
}

TEST_F(Posix, AFileOfZerosIsWholeOrNotThere) {
  {
    const auto files = disk();
    const FileSizeLimit limit(100'000);
    const auto status = files->perform(CreateZeroed{"f", 4 << 20});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::disk_full) << status.error().message();
    EXPECT_THAT(status.error().message(), HasSubstr(path_));
    EXPECT_TRUE(files->list()->empty());
  }
  std::ofstream(path_ + "/log/.new-g") << "unfinished";
  EXPECT_TRUE(disk()->list()->empty());
  EXPECT_FALSE(std::filesystem::exists(path_ + "/log/.new-g"));
}

TEST_F(Posix, AFailedWritePoisonsItsFileAndNoOther) {
  const auto files = disk();
  ASSERT_TRUE(files->perform(CreateZeroed{"f", 8192}));
  ASSERT_TRUE(files->perform(CreateZeroed{"g", 8192}));
  {
    const FileSizeLimit limit(4096);
    const auto failed = files->perform(WriteAt{"f", 4096, {Bytes(std::string("x"))}});
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message(), HasSubstr("log/f at byte 4096"));
  }

  const auto again = files->perform(WriteAt{"f", 0, {Bytes(std::string("x"))}});
  const auto sync = files->perform(SyncData{"f"});

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::io);
  EXPECT_THAT(again.error().message(), HasSubstr("an earlier write or sync of it failed"));
  EXPECT_FALSE(sync);
  EXPECT_FALSE(files->read("f", 0, 1));
  EXPECT_TRUE(files->perform(WriteAt{"g", 0, {Bytes(std::string("x"))}}));
  EXPECT_TRUE(files->perform(SyncData{"g"}));
}

TEST_F(Posix, AFileGrowsAndGetsAnotherName) {
  const auto files = disk();
  ASSERT_TRUE(files->perform(CreateZeroed{"new", 0}));
  ASSERT_TRUE(files->perform(Append{"new", {Bytes(std::string("ab")), Bytes(std::string("c"))}}));
  ASSERT_TRUE(files->perform(SyncData{"new"}));
  ASSERT_TRUE(files->perform(Append{"new", {Bytes(std::string("de"))}}));
  ASSERT_TRUE(files->perform(CreateZeroed{"old", 10}));

  ASSERT_TRUE(files->perform(RenameFile{"new", "old"}));
  ASSERT_TRUE(files->perform(SyncDirectory{}));

  EXPECT_EQ(files->read("old", 0, 100)->text(), "abcde");
  EXPECT_EQ(files->list()->size(), 1U);
  ASSERT_TRUE(files->perform(Append{"old", {Bytes(std::string("f"))}}));
  EXPECT_EQ(disk()->read("old", 4, 100)->text(), "ef");
}

TEST_F(Posix, AFileWhoseGrowthFailedMayOnlyBeRemovedAndItsNameUsedAgain) {
  const auto files = disk();
  ASSERT_TRUE(files->perform(CreateZeroed{"f", 0}));
  {
    const FileSizeLimit limit(4096);
    const auto failed = files->perform(Append{"f", {Bytes(std::string(5000, 'x'))}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code(), ErrorCode::disk_full);
  }
  EXPECT_FALSE(files->perform(Append{"f", {Bytes(std::string("x"))}}));
  EXPECT_FALSE(files->perform(RenameFile{"f", "g"}));

  EXPECT_TRUE(files->perform(RemoveFile{"f"}));

  EXPECT_TRUE(files->list()->empty());
  ASSERT_TRUE(files->perform(CreateZeroed{"f", 0}));
  EXPECT_TRUE(files->perform(Append{"f", {Bytes(std::string("x"))}}));
  EXPECT_EQ(files->read("f", 0, 10)->text(), "x");
}

TEST_F(Posix, AMissingFileIsNamed) {
  const auto files = disk();
  for (const DiskOp& op : {DiskOp(SyncData{"none"}), DiskOp(RemoveFile{"none"}),
                           DiskOp(Append{"none", {}}), DiskOp(RenameFile{"none", "some"})}) {
    const auto status = files->perform(op);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code(), ErrorCode::io);
    EXPECT_THAT(status.error().message(), HasSubstr("log/none: No such file"));
  }
}

TEST_F(Posix, ADirectoryHasOneHolder) {
  const auto held = DataDirectory::open(path_ + "/data");
  ASSERT_TRUE(held) << held.error().message();

  const auto second = DataDirectory::open(path_ + "/data");

  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code(), ErrorCode::directory_locked);
  EXPECT_THAT(second.error().message(), HasSubstr("process " + std::to_string(::getpid())));
}

TEST_F(Posix, ALockEndsWithItsHolder) {
  {
    ASSERT_TRUE(DataDirectory::open(path_ + "/data"));
  }
  EXPECT_TRUE(DataDirectory::open(path_ + "/data"));
}

TEST_F(Posix, ANodeIdIsDurableBeforeTheClusterIsKnown) {
  const NodeId node = NodeId::named("n");
  {
    const auto fresh = DataDirectory::open(path_ + "/data");
    ASSERT_TRUE(fresh);
    EXPECT_FALSE((*fresh)->node());
    ASSERT_TRUE((*fresh)->mint(node));
  }
  {
    const auto minted = DataDirectory::open(path_ + "/data");
    ASSERT_TRUE(minted);
    EXPECT_EQ((*minted)->node(), node);
    EXPECT_FALSE((*minted)->identity());
    ASSERT_TRUE((*minted)->bind(test_identity.cluster, test_identity.history));
  }
  const auto bound = DataDirectory::open(path_ + "/data");
  ASSERT_TRUE(bound);
  EXPECT_EQ((*bound)->identity(), (Identity{test_identity.cluster, test_identity.history, node}));
}

TEST_F(Posix, ABoundDirectoryRefusesToBeAnothers) {
  const auto directory = DataDirectory::open(path_ + "/data");
  ASSERT_TRUE(directory);
  ASSERT_TRUE((*directory)->mint(test_identity.node));
  ASSERT_TRUE((*directory)->bind(test_identity.cluster, test_identity.history));

  EXPECT_TRUE((*directory)->bind(test_identity.cluster, test_identity.history));
  const auto cluster = (*directory)->bind(ClusterId::named("x"), test_identity.history);
  const auto history = (*directory)->bind(test_identity.cluster, HistoryId::named("x"));
  Identity other = test_identity;
  other.node = NodeId::named("x");
  const auto node = (*directory)->check(other);

  ASSERT_FALSE(cluster);
  EXPECT_EQ(cluster.error().code(), ErrorCode::directory_of_another);
  EXPECT_THAT(cluster.error().message(), HasSubstr("belongs to cluster"));
  ASSERT_FALSE(history);
  EXPECT_THAT(history.error().message(), HasSubstr("belongs to history"));
  ASSERT_FALSE(node);
  EXPECT_THAT(node.error().message(), HasSubstr("belongs to node"));
}

TEST_F(Posix, AnIdentityFileThatWasMeddledWithIsRefused) {
  {
    const auto directory = DataDirectory::open(path_ + "/data");
    ASSERT_TRUE((*directory)->mint(test_identity.node));
  }
  const std::string file = path_ + "/data/identity";
  std::filesystem::resize_file(file, 40);
  const auto cut = DataDirectory::open(path_ + "/data");
  std::ofstream(file) << "kuilt data directory, format 2\nwhatever\n";
  const auto newer = DataDirectory::open(path_ + "/data");

  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code(), ErrorCode::corrupt);
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().code(), ErrorCode::unsupported_format);
}

TEST_F(Posix, ADirectoryThatCannotBeMadeIsUnwritable) {
  std::ofstream(path_ + "/file") << "not a directory";
  for (const std::string& path : {path_ + "/file", path_ + "/none/data", path_ + "/file/data"}) {
    const auto refused = DataDirectory::open(path);
    ASSERT_FALSE(refused) << path;
    EXPECT_EQ(refused.error().code(), ErrorCode::directory_unwritable) << path;
    EXPECT_THAT(refused.error().message(), HasSubstr(path));
  }
}

// In a child that gives up its rights, for root may write anywhere.
TEST_F(Posix, AReadOnlyDirectoryIsUnwritable) {
  const std::string path = path_ + "/data";
  ASSERT_EQ(::mkdir(path.c_str(), 0555), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0755), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    const auto refused = DataDirectory::open(path);
    ::_exit(!refused && refused.error().code() == ErrorCode::directory_unwritable ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace kuilt::storage
