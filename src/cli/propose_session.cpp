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

/// The session is no more; of the command this says nothing.
bool names_a_loss(const Error& error) {
  return error.code() == ErrorCode::session_expired || error.code() == ErrorCode::history_differs;
}

/// As a shell takes it.
std::string quoted(const std::string& path) {
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

int ProposeSession::finish_earlier(std::chrono::nanoseconds deadline) {
  auto status = submit_left(deadline);
  if (!status) return interrupted_status;
  if (!lost_) return *status;
  // What is surely not in the log is submitted under the new session.
  if (!replace(deadline)) return *status;
  status = submit_left(deadline);
  if (!status) return interrupted_status;
  if (lost_) replace(deadline);
  return *status;
}

std::optional<int> ProposeSession::submit_left(std::chrono::nanoseconds deadline) {
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
  lost_ = false;
  for (Left& left : all) {
    const auto outcome = await(left.outcome);
    if (!outcome) return std::nullopt;
    const std::string text = escaped(left.command.command.text());
    if (*outcome) {
      const auto index = static_cast<unsigned long long>((*outcome)->index.value());
      std::fprintf(stderr, "left by an earlier run: committed %llu: %s\n", index, text.c_str());
      earlier_.emplace(std::pair(left.command.room, std::string(left.command.command.text())),
                       left.command.id);
      continue;
    }
    const int failed = report(Error(outcome->error()).within("left by an earlier run: " + text));
    const bool lost = names_a_loss(outcome->error());
    lost_ = lost_ || lost;
    if (lost || outcome->error().effect() == Effect::unknown) {
      status = failed;
      continue;
    }
    if (auto kept = settled(left.command.id, *outcome); !kept) return report(kept.error());
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
  if (!outcome && names_a_loss(outcome.error())) lost_ = true;
  if (!outcome && outcome.error().effect() == Effect::unknown) return Done{};
  return session_.acknowledge(id);
}

Status ProposeSession::finish(bool came_to_its_end, std::chrono::nanoseconds deadline) {
  if (came_to_its_end) {
    for (const auto& [command, id] : earlier_) {
      if (auto kept = session_.acknowledge(id); !kept) return kept;
    }
    earlier_.clear();
  }
  if (lost_ && replace(deadline)) {
    std::fprintf(stderr, "%s goes on under a new session: repeat the command\n", path_.c_str());
  }
  return Done{};
}

bool ProposeSession::replace(std::chrono::nanoseconds deadline) {
  const Status renewed = session_.renew(deadline);
  if (renewed) return true;
  if (renewed.error().code() != ErrorCode::invalid_argument) {
    report(renewed.error());
    return false;
  }
  std::fputs("what became of these commands the cluster can't say any more:\n", stderr);
  for (const auto& command : session_.unfinished()) {
    if (!command.submitted) continue;
    std::fprintf(stderr, "  %s\n", escaped(command.command.text()).c_str());
  }
  std::fprintf(stderr,
               "look for them in the log (kuilt observe). Then begin a new session (rm %s), and "
               "repeat what is not there\n",
               quoted(path_).c_str());
  return false;
}

}  // namespace kuilt::cli
