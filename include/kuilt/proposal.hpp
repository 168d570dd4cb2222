// proposal.hpp: what one proposal may be told, and what it answers.
#pragma once

#include <optional>

#include "kuilt/bytes.hpp"
#include "kuilt/detail/chrono.hpp"
#include "kuilt/types.hpp"

namespace kuilt {

/// With GCC 12 give it a name before a `co_await` in which it is used: that compiler destroys twice
/// what is built inside one. (Without options `co_await client.propose(command)` is safe.)
struct ProposeOptions {
  std::chrono::nanoseconds deadline =
      std::chrono::seconds(15);  ///< From the call; for all attempts.
  RoomName room = {};            ///< Where it will be seen.
};

/// Success of a proposal: the command is in the log at (index, term), once, for good.
struct Receipt {
  Index index;
  Term term;
  bool duplicate = false;  ///< An earlier attempt had done it.
  /// What `StateMachine::apply` returned for this entry, on the server that answered; the same on
  /// every server. Unset where the servers have no state machine, and where the answering one no
  /// longer keeps what it returned: that of a fresh commit is always kept, that of a duplicate for
  /// a while. Unset too if more than 1 MiB of results wait for this client to read them.
  std::optional<Bytes> result{};
};

}  // namespace kuilt
