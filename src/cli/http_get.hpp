// http_get.hpp: one question to an admin listener, or one order.
#pragma once

#include <chrono>
#include <string>

#include "kuilt/result.hpp"

namespace kuilt::cli {

/// The body of `GET path` at "host:port".
/// Errors: no_server (unreachable, no answer in time, or a status other than 2xx, which is named).
Result<std::string> http_get(const std::string& address, const std::string& path,
                             std::chrono::milliseconds patience);

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};
/// The answer to `POST target` at "host:port", whatever its status.
/// Errors: no_server (unreachable: nothing was sent; or no answer in time: its effect is unknown).
Result<HttpAnswer> http_post(const std::string& address, const std::string& target,
                             std::chrono::milliseconds patience);

}  // namespace kuilt::cli
