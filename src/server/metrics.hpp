// metrics.hpp: a node's figures for people and machines: /metrics and /status.
#pragma once

#include <string>

#include "server/node.hpp"

namespace kuilt::server {

/// The Prometheus text format, version 0.0.4. Names are listed in docs/performance.md.
[[nodiscard]] std::string metrics_text(const Node& node);
/// One JSON object; what `kuilt status` shows.
[[nodiscard]] std::string status_json(const Node& node);

}  // namespace kuilt::server
