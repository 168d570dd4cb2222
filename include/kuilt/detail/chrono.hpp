// chrono.hpp: durations and points in time, without what else <chrono> brings.
//
// In C++20, GCC's <chrono> has calendars and time zones, and streams to print them: a ninth of what
// client.hpp costs each file that includes it. GCC keeps the part that we need in a header of its
// own, which <mutex> and <thread> include. Other standard libraries: the whole of <chrono>.
#pragma once

#include <version>
#if defined(__GLIBCXX__) && __has_include(<bits/chrono.h>)
#include <bits/chrono.h>  // IWYU pragma: keep
#else
#include <chrono>
#endif
