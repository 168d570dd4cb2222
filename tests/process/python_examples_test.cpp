// The ten-line clients of examples/, as a reader of docs/protocol.md would run them.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "cli/local_cluster.hpp"

namespace kuilt::process_tests {
namespace {

using namespace std::chrono_literals;

std::string output_of(const std::string& command) {
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string text;
  std::array<char, 4096> piece{};
  while (std::fgets(piece.data(), static_cast<int>(piece.size()), pipe) != nullptr) {
    text += piece.data();
  }
  ::pclose(pipe);
  return text;
}

TEST(PythonExamples, ProposeAndObserveOverJson) {
  std::string pattern = (std::filesystem::temp_directory_path() / "kuilt-XXXXXX").string();
  ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
  auto cluster =
      cli::LocalCluster::prepare({.binary = KUILT_BINARY, .directory = pattern, .servers = 1})
          .or_throw();
  cluster.start_all().or_throw();
  cluster.await_leader(20s).or_throw();
  const std::string url = cluster.endpoints().urls().front();
  const std::string examples = "/usr/bin/python3 " KUILT_SOURCE_DIR "/examples/";

  const std::string proposed =
      output_of("timeout 20 " + examples + "propose.py " + url + " one two");
  const std::string observed =
      output_of("timeout 20 " + examples + "observe.py " + url + " | head -n 2");

  EXPECT_NE(proposed.find("one {'at': {'index': 3, 'term': 2}, 'duplicate': False}"),
            std::string::npos)
      << proposed;
  EXPECT_EQ(observed, "3 proposer one\n4 proposer two\n");
  if (!HasFailure()) std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace kuilt::process_tests
