// crowd.hpp: many rooms with a few members each, on one thread: what they say reaches all others.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/link.hpp"
#include "bench/samples.hpp"

namespace kuilt::bench {

struct CrowdOptions {
  std::vector<std::string> addresses;  ///< Member i of all goes to address i modulo their number.
  std::size_t rooms = 1;
  std::size_t members = 2;  ///< Of each room.
  std::size_t bytes = 256;  ///< Of each message or command.
};

/// How members speak: by a message to the others, or by a command that all in the room observe.
enum class Speech : std::uint8_t { message, command };

struct CrowdFigures {
  std::uint64_t said = 0;
  std::uint64_t heard = 0;  ///< Over all members.
  std::uint64_t bytes = 0;  ///< Of the frames in which it was heard.
  std::uint64_t lost = 0;   ///< Messages that not all have heard within a second.
  Duration measured{};
  Spread to_last;  ///< From when it was said to its arrival at the last member.
};

/// Threads: the Loop's. In each room one speaks at a time, and the next does so as soon as all have
/// heard: what the servers can take is the result.
class Crowd final : public LinkOwner {
 public:
  /// Attaches all members, in their rooms and observing them; returns when all know of each other.
  /// Errors: what kept a member away.
  static Result<std::unique_ptr<Crowd>> open(Loop& loop, const CrowdOptions& options);

  Result<CrowdFigures> run(Speech speech, Duration warm_up, Duration measured);

 private:
  struct Member {
    std::unique_ptr<Link> link;
    std::size_t knows = 0;  ///< Members of its room.
    bool observes = false;
  };
  struct Room {
    std::size_t speaker = 0;
    std::uint64_t round = 0;
    std::size_t left = 0;  ///< Members who have yet to hear it.
    Instant said_at{};
  };

  Crowd(Loop& loop, const CrowdOptions& options);
  void on_message(Link& link, BytesView message) override;
  void on_broken(Link& link, const std::string& why) override;
  Status await_everybody();
  void speak(std::size_t room);
  void hear(std::size_t room, std::uint64_t round, std::size_t bytes);
  void give_up_on_lost();
  [[nodiscard]] RoomName name_of(std::size_t room) const;

  Loop& loop_;
  const CrowdOptions options_;
  std::vector<Member> members_;
  std::vector<Room> rooms_;
  std::optional<Speech> speech_;  ///< Unset: nobody speaks again.
  Duration lost_after_{};
  std::size_t speaking_ = 0;  ///< Rooms in which something is under way.
  Instant measure_from_{};
  Instant measure_until_{};
  CrowdFigures figures_;
  Samples to_last_;
  std::optional<Error> broken_;
};

}  // namespace kuilt::bench
