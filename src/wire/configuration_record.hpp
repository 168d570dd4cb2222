// configuration_record.hpp: a configuration as bytes: in log entries, and between founders.
#pragma once

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "raft/configuration.hpp"

namespace kuilt::wire {

[[nodiscard]] Bytes encode_configuration_record(const raft::Configuration& configuration);
/// Errors: bad_frame (also members out of order, twice, or without an id; a change without voters).
[[nodiscard]] Result<raft::Configuration> decode_configuration_record(BytesView bytes);

}  // namespace kuilt::wire
