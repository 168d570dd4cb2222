// Which directories are synced: this program's own fsync takes the place of the C library's, and
// keeps the names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "storage/posix_directory.hpp"
#include "storage/posix_disk.hpp"

namespace {

std::vector<std::string>& synced() {
  static std::vector<std::string> names;
  return names;
}

}  // namespace

extern "C" int fsync(int descriptor) {
  std::error_code ignored;
  const auto link = "/proc/self/fd/" + std::to_string(descriptor);
  synced().push_back(std::filesystem::read_symlink(link, ignored).string());
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace kuilt::storage {
namespace {

using ::testing::Contains;

class Syncs : public ::testing::Test {
 protected:
  Syncs() {
    std::string pattern = ::testing::TempDir() + "kuilt-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = std::filesystem::canonical(pattern).string();
  }
  ~Syncs() override {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path_;
};

TEST_F(Syncs, ADirectoryIsNamedDurablyWhoeverMadeIt) {
  for (int start = 0; start < 2; ++start) {  // The second finds what a killed first one left.
    synced().clear();
    ASSERT_TRUE(PosixDisk::open(path_ + "/log"));
    EXPECT_THAT(synced(), Contains(path_)) << start;
  }
}

TEST_F(Syncs, ASlashAtTheEndOfAPathIsNoDirectoryOfItsOwn) {
  for (const char* slashes : {"/", "///"}) {
    synced().clear();
    ASSERT_TRUE(DataDirectory::open(path_ + "/data" + slashes));
    EXPECT_THAT(synced(), Contains(path_)) << slashes;
  }
}

// A start that was killed between the renaming and the sync: the id that the next one finds, and
// tells others, may be gone after a power cut.
TEST_F(Syncs, AnIdentityThatIsFoundIsDurableBeforeItIsUsed) {
  {
    const auto directory = DataDirectory::open(path_ + "/data");
    ASSERT_TRUE((*directory)->mint(NodeId::named("n")));
  }
  synced().clear();

  const auto again = DataDirectory::open(path_ + "/data");

  EXPECT_EQ((*again)->node(), NodeId::named("n"));
  EXPECT_THAT(synced(), Contains(path_ + "/data"));
}

// Where we may not read the parent, we can't have made the directory either. In a child that gives
// up its rights, for root may read anything.
TEST_F(Syncs, ADirectoryBelowOneThatMayNotBeReadIsTaken) {
  const std::string path = path_ + "/hidden/data";
  std::filesystem::create_directories(path);
  ASSERT_EQ(::chmod(path.c_str(), 0777), 0);
  ASSERT_EQ(::chmod((path_ + "/hidden").c_str(), 0711), 0);
  ASSERT_EQ(::chmod(path_.c_str(), 0755), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(2);
    ::_exit(DataDirectory::open(path) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace kuilt::storage
