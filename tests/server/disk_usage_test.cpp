#include "server/disk_usage.hpp"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace kuilt::server {
namespace {

namespace fs = std::filesystem;

TEST(DiskUsage, IsTheSizeOfTheLogsFilesAndWhatIsFreeBesideThem) {
  const fs::path data = fs::path(testing::TempDir()) / "kuilt-disk-usage";
  fs::remove_all(data);
  fs::create_directories(data / "log");
  std::ofstream(data / "log" / "wal-1") << std::string(1000, 'x');
  std::ofstream(data / "log" / "wal-2") << std::string(24, 'x');
  std::ofstream(data / "identity") << "not the log";

  const auto usage = disk_usage(data);

  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->log_bytes, 1024U);
  EXPECT_GT(usage->free_bytes, 0U);
  fs::remove_all(data);
}

TEST(DiskUsage, OfALogInMemoryIsNothing) {
  EXPECT_FALSE(disk_usage(""));
  EXPECT_FALSE(disk_usage("/no/such/directory"));
}

}  // namespace
}  // namespace kuilt::server
