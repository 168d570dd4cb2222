// usage.hpp: what processes have used, as the system and the servers count it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "kuilt/types.hpp"

namespace kuilt::bench {

/// User and system time of all threads of a process so far; zero if it is gone.
[[nodiscard]] Duration cpu_time_of(pid_t pid);
/// Its resident memory.
[[nodiscard]] std::size_t resident_bytes_of(pid_t pid);
/// One value of a server's /metrics; zero if it is not there.
[[nodiscard]] double metric(std::string_view text, const std::string& name);

}  // namespace kuilt::bench
