#include "wire/configuration_record.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "wire/entry_fields.hpp"
#include "wire/wire_reader.hpp"
#include "wire/wire_writer.hpp"

namespace kuilt::wire {
namespace {

constexpr const char* out_of_order = "not in the order of their ids";

bool are_in_order(const std::vector<raft::Member>& members) {
  NodeId before;  // None: below every id that a member can have.
  for (const raft::Member& member : members) {
    if (member.id <= before) return false;
    before = member.id;
  }
  return true;
}

bool has_a_voter(const std::vector<raft::Member>& members) {
  return std::ranges::any_of(members, &raft::Member::voter);
}

}  // namespace

Bytes encode_configuration_record(const raft::Configuration& configuration) {
  return encode_message(configuration);
}

Result<raft::Configuration> decode_configuration_record(BytesView bytes) {
  Result<raft::Configuration> configuration = decode_message<raft::Configuration>(bytes);
  if (!configuration) return configuration;
  const auto broken = [](const std::string& field, const std::string& what) {
    return Error(ErrorCode::bad_frame, "field " + field + ": " + what);
  };
  if (!are_in_order(configuration->members)) return broken("members", out_of_order);
  if (!are_in_order(configuration->outgoing)) return broken("outgoing", out_of_order);
  if (!are_in_order(configuration->wanted)) return broken("wanted", out_of_order);
  // Nothing could ever be decided in it.
  if (configuration->is_joint() && !has_a_voter(configuration->outgoing)) {
    return broken("outgoing", "no voter among them");
  }
  if (configuration->is_changing() && !has_a_voter(configuration->members)) {
    return broken("members", "no voter among them");
  }
  if (!configuration->wanted.empty() && !has_a_voter(configuration->wanted)) {
    return broken("wanted", "no voter among them");
  }
  return configuration;
}

}  // namespace kuilt::wire
