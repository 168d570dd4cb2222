// admission.hpp: proposals that a leader has judged new, while its state machine is asked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "cluster/waiting.hpp"

namespace kuilt::cluster {

/// A question for the state machine: may this command enter the log?
struct AdmissionQuestion {
  std::uint64_t number = 0;  ///< Counts up. The answer carries it.
  Term term;                 ///< Questions of an earlier term need no answer any more.
  /// Ask once the state machine has taken in everything through here: whatever was acknowledged
  /// before the proposal came is then part of what it decides by. Never goes down within a term.
  Index after;
  std::string author;
  Bytes command;
};
struct AdmissionVerdict {
  std::uint64_t number = 0;
  std::optional<std::string> refusal;  ///< Why not; nothing: admitted.
};

/// A place in a forward that a peer waits to hear of.
struct ForwardPlace {
  NodeId peer;
  std::uint64_t forward = 0;
  std::uint32_t place = 0;
};
/// A forwarded proposal; those of this server's own clients are in `Waiting`.
struct ForwardedCandidate {
  ForwardPlace place;
  wire::Proposal proposal;
};
using Candidate = std::variant<Ticket, ForwardedCandidate>;

/// Everything that is being asked about, in the order in which it came, within a number of bytes.
///
/// Threads: none; one caller at a time. Copyable.
class Admission {
 public:
  explicit Admission(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  /// One always fits, whatever the bound.
  [[nodiscard]] bool has_room_for(std::size_t bytes) const {
    return asked_.empty() || bytes_ + bytes <= bytes_max_;
  }
  /// Returns the number under which to ask.
  std::uint64_t add(Candidate candidate, std::size_t bytes) {
    bytes_ += bytes;
    asked_.emplace(++last_number_, Asked{std::move(candidate), bytes});
    return last_number_;
  }
  /// Takes out what that question was about. Nothing, if the lead was lost since.
  std::optional<Candidate> take(std::uint64_t number) {
    auto asked = asked_.extract(number);
    if (asked.empty()) return std::nullopt;
    bytes_ -= asked.mapped().bytes;
    return std::move(asked.mapped().candidate);
  }
  /// Takes out the first.
  std::optional<Candidate> take_first() {
    return asked_.empty() ? std::nullopt : take(asked_.begin()->first);
  }
  [[nodiscard]] std::size_t size() const { return asked_.size(); }

 private:
  struct Asked {
    Candidate candidate;
    std::size_t bytes = 0;
  };
  std::size_t bytes_max_;
  std::size_t bytes_ = 0;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, Asked> asked_;
};

}  // namespace kuilt::cluster
