// check.hpp: assertions that stay on in release builds, for our own mistakes only.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace kuilt::detail {

[[noreturn]] inline void check_failed(const char* condition, const char* function, const char* file,
                                      int line) {
  std::fprintf(stderr, "%s:%d: %s: check failed: %s\n", file, line, function, condition);
  std::abort();
}

}  // namespace kuilt::detail

#define KUILT_FAIL(what) ::kuilt::detail::check_failed(what, __func__, __FILE__, __LINE__)

/// Stops the process when `condition` is false: a bug in kuilt, never a fault of the outside world.
/// Always compiled in. Keep it cheap; walks over the whole log belong with the invariants.
#define KUILT_CHECK(condition) (static_cast<bool>(condition) ? void(0) : KUILT_FAIL(#condition))
