// room_name.hpp: which names a room may have.
#pragma once

#include <string>

#include "kuilt/result.hpp"
#include "kuilt/types.hpp"
#include "wire/outcome.hpp"
#include "wire/utf8.hpp"

namespace kuilt::wire {

/// Errors: invalid_argument.
[[nodiscard]] inline Status check_room(const RoomName& room) {
  if (room.size() > room_bytes_max) {
    return Error(ErrorCode::invalid_argument, "the room's name has " + std::to_string(room.size()) +
                                                  " bytes, the limit is " +
                                                  std::to_string(room_bytes_max));
  }
  if (is_utf8(room)) return Done{};
  return Error(ErrorCode::invalid_argument, "the room's name is not UTF-8");
}

}  // namespace kuilt::wire
