// dialer.hpp: how a client comes by its links.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "transport/seam.hpp"

namespace kuilt::client {

using DialDone = std::function<void(Result<std::shared_ptr<transport::Seam>>)>;
/// Opens a link to `endpoint` within the client's own timeout. `done` runs once, on the executor,
/// and never inside the call. Who gives up meanwhile aborts the Seam when it comes.
using Dialer =
    std::function<void(const transport::net::any_io_executor& executor, const std::string& endpoint,
                       const transport::SeamLimits& limits, DialDone done)>;

}  // namespace kuilt::client
