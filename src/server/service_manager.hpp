// service_manager.hpp: what systemd, or whoever started this process, is told about it.
#pragma once

#include <string>

#include "kuilt/result.hpp"

namespace kuilt::server {

/// Sends `state` ("READY=1", "STOPPING=1", "STATUS=…") as sd_notify(3) does, to the socket that
/// NOTIFY_SOCKET names. Nothing is sent, and that is no error, where nobody asked for it. Success
/// does not promise that it was read.
/// Errors: io.
Status tell_service_manager(const std::string& state);

}  // namespace kuilt::server
