#include "server/committed_stream.hpp"

#include <utility>

#include "cluster/application.hpp"

namespace kuilt {
namespace {

constexpr std::size_t ahead_bytes_max = std::size_t{256} << 10;

}  // namespace

Status CommittedStream::Impl::fill(Instant deadline) {
  const auto entries = log->await(read, ahead_bytes_max, deadline);
  if (!entries) return Error(entries.error());
  for (const raft::Entry& entry : *entries) {
    auto seen = cluster::log_entry_of(entry);
    if (!seen) return std::move(seen).error();
    if (*seen) pieces.emplace_back(CommittedEntry{**std::move(seen)});
  }
  if (entries->empty()) return Done{};
  read = entries->back().at.index;
  pieces.emplace_back(CommittedAdvance{entries->back().at});
  return Done{};
}

std::optional<Committed> CommittedStream::Impl::next(Instant deadline) {
  if (pieces.empty() && !ended) {
    if (Status status = fill(deadline); !status) ended = std::move(status).error();
  }
  if (pieces.empty()) return std::nullopt;
  Committed piece = std::move(pieces.front());
  pieces.pop_front();
  return piece;
}

CommittedStream::CommittedStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CommittedStream::CommittedStream(CommittedStream&&) noexcept = default;
CommittedStream& CommittedStream::operator=(CommittedStream&&) noexcept = default;
CommittedStream::~CommittedStream() = default;

std::optional<Committed> CommittedStream::next() { return impl_->next(Instant::max()); }

std::optional<Committed> CommittedStream::next_for(std::chrono::nanoseconds timeout) {
  constexpr Duration timeout_max = std::chrono::hours(24 * 365);  // The sum must not overflow.
  return impl_->next(server::now() + std::min<Duration>(timeout, timeout_max));
}

std::optional<Error> CommittedStream::error() const { return impl_->ended; }

}  // namespace kuilt
