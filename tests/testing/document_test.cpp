// docs/testing-your-application.md shows a program that is compiled and run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(KUILT_SOURCE_DIR "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Document, ShowsTheExampleAsItIs) {
  const std::string example = text_of("examples/dice_test.cpp");

  ASSERT_FALSE(example.empty());
  EXPECT_THAT(text_of("docs/testing-your-application.md"), ::testing::HasSubstr(example));
}

}  // namespace
