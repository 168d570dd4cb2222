#include "storage/survey.hpp"

#include <utility>

namespace kuilt::storage {
namespace {

bool is_damage(const Error& error) {
  return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported_format;
}

}  // namespace

Result<Survey> survey(Disk& disk, const Wal::EntrySink& sink) {
  Survey found;
  auto owner = Wal::owner(disk);
  if (!owner && !is_damage(owner.error())) return std::move(owner).error();
  if (owner) found.identity = *owner;
  const Identity identity = found.identity.value_or(Identity{});
  const WalOptions options{.tail_bytes_max = 0};
  LogScan scan(disk, options, identity, Rng(1), sink);  // It draws nothing: nothing is begun.
  Status status = scan.run();
  // What nobody has vouched for yet goes to the sink too: a start would keep it.
  if (scan.delivery) {
    auto rest = scan.delivery->finish();
    if (!rest && !is_damage(rest.error())) return std::move(rest).error();
    if (!rest && status) status = std::move(rest).error();
  }
  if (!status && !is_damage(status.error())) return std::move(status).error();
  if (!status) found.damage = std::move(status).error();
  found.segments = std::move(scan.segments);
  found.batches = scan.batches;
  found.torn_bytes = scan.dropped_bytes;
  found.leftover = scan.leftover;
  if (!scan.impl) return found;
  scan.apply_candidate();
  const LogState& log = scan.impl->log;
  found.base = log.map().base;
  found.last = log.map().last;
  found.commit = log.commit();
  found.hard = log.hard();
  found.terms = *log.map().terms;
  return found;
}

}  // namespace kuilt::storage
