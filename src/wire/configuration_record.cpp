#include "wire/configuration_record.hpp"

#include "wire/entry_fields.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {

Bytes encode_configuration_record(const raft::Configuration& configuration) {
  return encode_message(configuration);
}

Result<raft::Configuration> decode_configuration_record(BytesView bytes) {
  Result<raft::Configuration> configuration = decode_message<raft::Configuration>(bytes);
  if (!configuration) return configuration;
  NodeId before;  // None: below every id that a member can have.
  for (const raft::Member& member : configuration->members) {
    if (member.id <= before) {
      return Error(ErrorCode::bad_frame, "field members: not in the order of their ids");
    }
    before = member.id;
  }
  return configuration;
}

}  // namespace kuilt::wire
