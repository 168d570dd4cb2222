// http_get.hpp: one question to an admin listener.
#pragma once

#include <chrono>
#include <string>

#include "kuilt/result.hpp"

namespace kuilt::cli {

/// The body of `GET path` at "host:port".
/// Errors: no_server (unreachable, no answer in time, or a status other than 2xx, which is named).
Result<std::string> http_get(const std::string& address, const std::string& path,
                             std::chrono::milliseconds patience);

}  // namespace kuilt::cli
