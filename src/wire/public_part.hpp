// public_part.hpp: reading what is public of an entry, for the entry's own codec and the feed's.
#pragma once

#include "kuilt/result.hpp"
#include "wire/entry_fields.hpp"

namespace kuilt::wire {

/// Errors: bad_frame, unsupported_format. The result borrows from `bytes`.
[[nodiscard]] Result<PublicPart> read_public_part(BytesView bytes);

}  // namespace kuilt::wire
