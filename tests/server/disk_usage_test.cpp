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

TEST(DiskWatch, TellsOnceThatADiskFillsUpAndOnceThatItHasRoomAgain) {
  DiskWatch watch;
  EXPECT_FALSE(watch.look(DiskWatch::low_bytes));

  const auto low = watch.look(DiskWatch::low_bytes - 1);

  ASSERT_TRUE(low);
  EXPECT_NE(low->find("1023 MiB"), std::string::npos) << *low;
  EXPECT_NE(low->find("disk_full"), std::string::npos) << *low;
  EXPECT_FALSE(watch.look(0));
  EXPECT_FALSE(watch.look(DiskWatch::enough_bytes - 1)) << "near the limit it would tell again";
  ASSERT_TRUE(watch.look(DiskWatch::enough_bytes));
  EXPECT_FALSE(watch.look(DiskWatch::low_bytes));
  EXPECT_TRUE(watch.look(DiskWatch::low_bytes - 1)) << "the next crossing is news again";
}

}  // namespace
}  // namespace kuilt::server
