// feed_rule.hpp: what a server's feed must hold to, each rule by its name.
#pragma once

#include <cstdint>
#include <string_view>

namespace kuilt {

/// A client checks every frame of its feeds. One that breaks a rule is dropped whole, the link is
/// ended, and the feed resumes elsewhere from the last position that was sound.
enum class FeedRule : std::uint8_t {
  gap,           ///< A frame, or the feed itself, begins after the place where we stand.
  repeat,        ///< A frame begins before that place, or an entry does not follow the one before.
  older_term,    ///< A term is below one that came before it.
  wrong_digest,  ///< The digest is not that of all that was seen: another history.
  wrong_end,     ///< A frame ends before it begins, or an entry contradicts the frame's end.
  wrong_begin,   ///< A feed resumes at another place than asked.
  other_room,    ///< An entry of another room.
  unreadable,    ///< An entry that is none.
  unasked,       ///< What this version never sends, or nobody asked for.
};

[[nodiscard]] constexpr std::string_view name_of(FeedRule rule) {
  switch (rule) {
    case FeedRule::gap: return "gap";
    case FeedRule::repeat: return "repeat";
    case FeedRule::older_term: return "older_term";
    case FeedRule::wrong_digest: return "wrong_digest";
    case FeedRule::wrong_end: return "wrong_end";
    case FeedRule::wrong_begin: return "wrong_begin";
    case FeedRule::other_room: return "other_room";
    case FeedRule::unreadable: return "unreadable";
    case FeedRule::unasked: return "unasked";
  }
  return {};
}

}  // namespace kuilt
