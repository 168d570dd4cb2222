// function.hpp: std::function, without what else <functional> brings.
//
// GCC's <functional> has searchers, and for them hash tables and all of <algorithm>: a ninth of
// what client.hpp costs each file that includes it. As chrono.hpp beside this one.
#pragma once

#include <version>
#if defined(__GLIBCXX__) && __has_include(<bits/std_function.h>)
#include <bits/std_function.h>  // IWYU pragma: keep
#else
#include <functional>
#endif
