// client_options.hpp: what an application asks of its client, checked, and as the core takes it.
#pragma once

#include "client/client_core_values.hpp"
#include "kuilt/client.hpp"

namespace kuilt::client {

/// Done, or an error that names the option, its value and its limit.
/// Errors: invalid_argument.
[[nodiscard]] Status complaint_about(const kuilt::ClientOptions& options);
[[nodiscard]] Status complaint_about(const ClusterEndpoints& endpoints);

[[nodiscard]] ClientOptions core_options(const ClusterEndpoints& endpoints,
                                         const kuilt::ClientOptions& options);

}  // namespace kuilt::client
