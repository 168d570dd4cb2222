// docs/errors.md is the error table, for people.
#include "kuilt/errors.hpp"
#include "tests/wire/golden_file.hpp"

namespace kuilt::wire {
namespace {

std::string document() {
  std::string out =
      "# Errors\n\n"
      "Every way in which kuilt says no. Programs branch on the name or the code, which are never\n"
      "reused; the effect says whether the operation may have happened all the same, as is usual\n"
      "for that error (an error carries its own). This file is made from `kuilt/errors.hpp`; a\n"
      "test keeps the two equal.\n\n"
      "| code | name | effect | exit code | meaning | way out |\n"
      "|---|---|---|---|---|---|\n";
  for (const ErrorInfo& row : error_table) {
    out += "| " + std::to_string(static_cast<unsigned>(row.code)) + " | `" + std::string(row.name) +
           "` | " + (row.effect == Effect::none ? "none" : "unknown") + " | " +
           std::to_string(row.exit_code) + " | " + std::string(row.meaning) + " | " +
           std::string(row.way_out) + " |\n";
  }
  return out;
}

TEST(ErrorsDocument, IsTheTable) { expect_file("docs/errors.md", document()); }

}  // namespace
}  // namespace kuilt::wire
