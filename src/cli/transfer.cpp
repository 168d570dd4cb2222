#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "cli/admin_transfer.hpp"
#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt transfer                                       to the voter that the leader thinks best
  kuilt transfer b                                     to server b
  kuilt transfer b --admin 127.0.0.1:7402,127.0.0.1:7412

Asks the admin listeners who leads, and tells that server to hand over. It first brings the other
one up to date; proposals wait meanwhile, and none of them fails for that. If the other server has
not taken over within the election timeout, the old leader goes on. SIGTERM does the same before a
server leaves: for a planned restart nothing else is needed.
Exit status: 0 the server that is named leads · 1 refused: there is no such server, it does not
vote, it is behind or silent · 3 no server answers, or there is no leader · 4 it may happen yet.)";

struct Flags {
  Common common;
  std::string admin;
  std::string target;
};

std::string json_text(const Transferred& moved, std::chrono::milliseconds took) {
  return JsonLine()
      .add("leader", moved.leader)
      .add("before", moved.before)
      .add("took_ms", static_cast<std::uint64_t>(took.count()))
      .text();
}

std::string text_of(const Transferred& moved, std::chrono::milliseconds took) {
  if (moved.leader == moved.before) return "leader " + moved.leader + " already";
  return "leader " + moved.leader + ", was " + moved.before + ", in " +
         std::to_string(took.count()) + " ms";
}

int transfer(const Flags& flags) {
  constexpr auto patience = std::chrono::seconds(3);
  const auto begun = std::chrono::steady_clock::now();
  const auto moved = transfer_lead(admin_of(flags.admin), flags.target, patience);
  if (!moved) return report(moved.error());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun);
  (void)put_line(flags.common.json() ? json_text(*moved, took) : text_of(*moved, took));
  return 0;
}

}  // namespace

Command transfer_command() {
  const auto flags = std::make_shared<Flags>();
  return {
      .name = "transfer",
      .about = "Hand over the lead to another server",
      .notes = notes,
      .arguments = {{.name = "NAME",
                     .value = text(flags->target),
                     .help = "Of the server that is to lead; the leader chooses if it is missing",
                     .is_required = false}},
      .flags = {admin_flag(flags->admin), output_flag(flags->common)},
      .run = [flags](Command&) { return transfer(*flags); }};
}

}  // namespace kuilt::cli
