#include "cli/propose_session.hpp"

#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

/// Nothing: interrupted.
std::optional<Result<Receipt>> await(Pending<Receipt>& pending) {
  // A signal handler can't notify: so often it is looked for.
  constexpr auto look_interval = std::chrono::milliseconds(100);
  while (interrupt() == 0) {
    if (auto outcome = pending.get_for(look_interval)) return outcome;
  }
  return std::nullopt;
}

}  // namespace

int ProposeSession::finish_earlier(std::chrono::nanoseconds deadline) {
  struct Left {
    DurableSession::Unfinished command;
    Pending<Receipt> outcome;
  };
  std::vector<Left> all;
  for (auto& command : session_.unfinished()) {
    auto outcome = session_.submit(command.id, deadline);
    all.push_back({std::move(command), std::move(outcome)});
  }
  int status = 0;
  for (Left& left : all) {
    const auto outcome = await(left.outcome);
    if (!outcome) return interrupted_status;
    const std::string text = escaped(left.command.command.text());
    if (*outcome) {
      const auto index = static_cast<unsigned long long>((*outcome)->index.value());
      std::fprintf(stderr, "left by an earlier run: committed %llu: %s\n", index, text.c_str());
      earlier_.emplace(std::pair(left.command.room, std::string(left.command.command.text())),
                       left.command.id);
      continue;
    }
    const int failed = report(Error(outcome->error()).within("left by an earlier run: " + text));
    if (auto kept = settled(left.command.id, *outcome); !kept) return report(kept.error());
    if (outcome->error().effect() == Effect::unknown) status = failed;
  }
  return status;
}

Result<ProposeSession::Sent> ProposeSession::propose(const std::string& command,
                                                     const RoomName& room,
                                                     std::chrono::nanoseconds deadline) {
  const auto before = earlier_.find({room, command});
  if (before != earlier_.end()) {
    const RequestId id = before->second;
    earlier_.erase(before);
    return Sent{id, session_.submit(id, deadline)};
  }
  const auto id = session_.record(command, room);
  if (!id) return id.error();
  return Sent{*id, session_.submit(*id, deadline)};
}

Status ProposeSession::settled(RequestId id, const Result<Receipt>& outcome) {
  if (!outcome && outcome.error().effect() == Effect::unknown) return Done{};
  return session_.acknowledge(id);
}

Status ProposeSession::finish() {
  for (const auto& [command, id] : earlier_) {
    if (auto kept = session_.acknowledge(id); !kept) return kept;
  }
  earlier_.clear();
  return Done{};
}

std::string ProposeSession::way_out(const Error& error) const {
  const bool lost =
      error.code() == ErrorCode::session_expired || error.code() == ErrorCode::history_differs;
  if (!lost) return {};
  if (session_.unfinished().empty()) {
    return "nothing of " + path_ + " is unfinished: remove it, and repeat the command";
  }
  return "look for the command in the log (kuilt observe); then remove " + path_ +
         ", and repeat the command if it is not there";
}

}  // namespace kuilt::cli
