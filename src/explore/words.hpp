// words.hpp: messages, entries and servers in words. Whole words: equal texts are equal values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raft/messages.hpp"

namespace kuilt::explore {

/// A member's place in the configuration, and its letter: a, b, c…
using Slot = std::size_t;
[[nodiscard]] char letter(Slot slot);
[[nodiscard]] NodeId node_id(Slot slot);
/// The slot of one of the `count` first letters; aborts for any other id.
[[nodiscard]] Slot slot_of(NodeId id, std::size_t count);

/// "3/t2" is entry 3 of term 2; "0/t0" comes before the first.
[[nodiscard]] std::string text_of(Position at);
/// "3/t2 x", or "3/t2 -" for a no-op.
[[nodiscard]] std::string text_of(const raft::Entry& entry);
[[nodiscard]] std::string text_of(const std::vector<raft::Entry>& entries);
/// All that a message says, but for the age of a disk, which no rule reads.
[[nodiscard]] std::string text_of(const raft::Message& message);

}  // namespace kuilt::explore
