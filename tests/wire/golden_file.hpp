// golden_file.hpp: files that a test compares with, and writes anew when KUILT_REWRITE is set.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace kuilt::wire {

/// `path` is relative to the repository. A rewritten file is to be read as a diff.
inline void expect_file(const std::string& path, const std::string& expected) {
  const std::filesystem::path file = std::filesystem::path(KUILT_SOURCE_DIR) / path;
  if (std::getenv("KUILT_REWRITE") != nullptr) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << expected;
  }
  std::ifstream in(file, std::ios::binary);
  ASSERT_TRUE(in.good()) << path << " is missing; KUILT_REWRITE=1 writes it";
  std::ostringstream found;
  found << in.rdbuf();
  EXPECT_EQ(found.str(), expected) << path << "; KUILT_REWRITE=1 writes it anew";
}

}  // namespace kuilt::wire
