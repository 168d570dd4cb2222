// The fuzz targets' bodies over their corpus, and over the corpus with bytes changed, cut and
// moved.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "kuilt/detail/rng.hpp"
#include "tests/fuzz/bodies.hpp"

namespace kuilt::wire {
namespace {

std::vector<std::string> corpus_of(const std::string& target) {
  std::vector<std::string> inputs;
  const auto folder = std::filesystem::path(KUILT_SOURCE_DIR) / "tests/fuzz/corpus" / target;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream in(file.path(), std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    inputs.push_back(text.str());
  }
  EXPECT_FALSE(inputs.empty()) << target;
  return inputs;
}

std::string mutated(Rng& rng, std::string text) {
  for (std::uint64_t left = 1 + rng.below(4); left > 0 && !text.empty(); --left) {
    const std::size_t at = rng.below(text.size());
    switch (rng.below(4)) {
      case 0: text[at] = static_cast<char>(rng.next() & 0xffU); break;
      case 1: text.erase(at, 1 + rng.below(4)); break;
      case 2: text.insert(at, text.substr(rng.below(text.size()), 5)); break;
      case 3: text.resize(at); break;
    }
  }
  return text;
}

void run(const std::string& target, void (*body)(const Bytes&)) {
  const std::uint64_t seed = 51;
  SCOPED_TRACE(target + ", seed " + std::to_string(seed));
  Rng rng(seed);
  for (const std::string& input : corpus_of(target)) {
    body(Bytes(input));
    for (int round = 0; round < 500; ++round) body(Bytes(mutated(rng, input)));
  }
}

TEST(FuzzCorpus, WhatDecodesEncodesAndDecodesToItself) {
  run("decode_client_protobuf", fuzz::decode_client_protobuf);
  run("decode_client_json", fuzz::decode_client_json);
  run("decode_server_protobuf", fuzz::decode_server_protobuf);
  run("decode_server_json", fuzz::decode_server_json);
  run("decode_peer", fuzz::decode_peer);
  run("decode_configuration_record", fuzz::decode_configuration_record);
  run("admit_stored", fuzz::admit_stored);
}

}  // namespace
}  // namespace kuilt::wire
