// bench_rooms.hpp: `kuilt bench rooms`.
#pragma once

#include "cli/command.hpp"

namespace kuilt::cli {

[[nodiscard]] Command bench_rooms_command();

}  // namespace kuilt::cli
