// committed_stream.hpp: what is behind a CommittedStream.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "kuilt/server.hpp"
#include "server/committed_log.hpp"

namespace kuilt {

struct CommittedStream::Impl {
  Impl(std::shared_ptr<server::CommittedLog> from, Index after)
      : log(std::move(from)), reader(*log), read(after) {}

  std::optional<Committed> next(Instant deadline);
  /// Errors: those of CommittedLog::next.
  Status fill(Instant deadline);

  std::shared_ptr<server::CommittedLog> log;
  server::CommittedLog::Reader reader;
  Index read;                    ///< All through here is in `pieces`, or was taken.
  std::deque<Committed> pieces;  ///< Not yet taken.
  std::optional<Error> ended;
};

}  // namespace kuilt
