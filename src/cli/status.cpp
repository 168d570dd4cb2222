#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/admin_status.hpp"
#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt status                                        the servers of the context, or 127.0.0.1:7402
  kuilt status --admin 127.0.0.1:7402,127.0.0.1:7412  these
  kuilt status --watch                                again every second, until Ctrl-C
  kuilt status -o json                                one object per server and line

Asks the admin listeners, which are loopback by default: run it on the servers' own machines.
Exit status: 0 all is well · 3 no server answers · 8 degraded (a server or a link between two is
missing, or there is no leader) · 130 interrupted (--watch).)";

struct Row {
  std::string address;
  Result<AdminStatus> answer;
};

std::vector<Row> ask(const std::vector<std::string>& addresses) {
  std::vector<Row> rows;
  for (const std::string& address : addresses) rows.push_back({address, ask_status(address)});
  return rows;
}

/// "1.5 GiB": three digits are all that people read.
std::string size_text(std::uint64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto size = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; size >= 1000 && unit + 1 < units.size(); ++unit) size /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, "%.*f %s", size < 10 && unit > 0 ? 1 : 0, size, units[unit]);
  return text;
}

constexpr auto row_form = "%-8s %-9s %6s %10s %10s %10s %6s %9s %9s %8s %7s  %s";

std::string row_text(const AdminStatus& of, std::uint64_t newest) {
  const auto number = [](std::uint64_t value) { return std::to_string(value); };
  const std::uint64_t peers = std::max<std::uint64_t>(of.members, 1) - 1;
  char line[256];
  std::snprintf(line, sizeof line, row_form, of.name.c_str(), of.role.c_str(),
                number(of.term).c_str(), number(of.commit).c_str(),
                of.applied ? number(*of.applied).c_str() : "-", number(of.last).c_str(),
                number(newest - of.commit).c_str(), size_text(of.log_bytes).c_str(),
                size_text(of.disk_free_bytes).c_str(), number(of.clients).c_str(),
                (number(of.peers_linked) + "/" + number(peers)).c_str(), of.id.c_str());
  return line;
}

std::string head_text() {
  char line[256];
  std::snprintf(line, sizeof line, row_form, "name", "role", "term", "commit", "applied", "last",
                "lag", "log", "disk free", "clients", "peers", "id");
  return line;
}

std::string table_text(const std::vector<Row>& rows) {
  std::uint64_t newest = 0;
  for (const Row& row : rows) {
    if (row.answer) newest = std::max(newest, row.answer->commit);
  }
  std::string text = head_text() + '\n';
  for (const Row& row : rows) {
    text += row.answer ? row_text(*row.answer, newest) : "?        " + row.answer.error().message();
    text += '\n';
  }
  return text;
}

std::string json_text(const std::vector<Row>& rows) {
  std::string text;
  for (const Row& row : rows) {
    if (!text.empty()) text += '\n';
    text += row.answer ? row.answer->json
                       : JsonLine()
                             .add("admin", row.address)
                             .add("error", row.answer.error().message())
                             .text();
  }
  return text;
}

struct Verdict {
  std::string text;
  int exit_status = 0;
};

Verdict verdict_on(const std::vector<Row>& rows) {
  constexpr int none_answers = 3;
  constexpr int degraded = 8;
  std::size_t up = 0;
  std::uint64_t voters = 0;
  std::string leader;
  std::string apart;
  std::string hung;
  std::uint64_t term = 0;
  for (const Row& row : rows) {
    if (!row.answer) continue;
    up += 1;
    voters = std::max(voters, row.answer->voters);
    if (row.answer->peers_linked + 1 < row.answer->members) {
      apart = row.answer->name + " has links to " + std::to_string(row.answer->peers_linked) +
              " of " + std::to_string(row.answer->members - 1) + " other servers";
    }
    if (row.answer->disk_stalled) hung = "the disk of " + row.answer->name + " hangs";
    if (!row.answer->leader.empty() && row.answer->term >= term) {
      leader = row.answer->leader;
      term = row.answer->term;
    }
  }
  const std::string asked = std::to_string(rows.size());
  const std::string answers = std::to_string(up) + " of " + asked + " asked servers answer";
  if (up == 0) return {"down: none of " + asked + " servers answers", none_answers};
  if (leader.empty()) return {"degraded: no leader; " + answers, degraded};
  if (up < rows.size()) return {"degraded: leader " + leader + ", but only " + answers, degraded};
  if (!hung.empty()) return {"degraded: leader " + leader + ", but " + hung, degraded};
  if (!apart.empty()) return {"degraded: leader " + leader + ", but " + apart, degraded};
  return {"well: leader " + leader + " in term " + std::to_string(term) + "; " + answers +
              ", the cluster has " + std::to_string(voters),
          0};
}

/// The last line of the table is the verdict; both forms end with its exit status. Nothing, once
/// nobody reads it.
std::optional<int> show(const std::vector<std::string>& addresses, bool json) {
  const std::vector<Row> rows = ask(addresses);
  const Verdict verdict = verdict_on(rows);
  if (!put_line(json ? json_text(rows) : table_text(rows) + verdict.text)) return std::nullopt;
  return verdict.exit_status;
}

int watch(const std::vector<std::string>& addresses, bool json) {
  constexpr auto look_interval = std::chrono::milliseconds(100);
  constexpr int looks_between = 10;
  remember_interrupts();
  for (int looks = 0; interrupt() == 0; ++looks) {
    if (reader_has_gone()) return 0;
    if (looks % looks_between == 0) {
      if (!json) std::fputs("\x1b[2J\x1b[H", stdout);
      if (!show(addresses, json)) return 0;
    }
    std::this_thread::sleep_for(look_interval);
  }
  return interrupted_status;
}

struct Flags {
  Common common;
  std::string admin;
  bool again = false;
};

int status(const Flags& flags) {
  const std::vector<std::string> addresses = admin_of(flags.admin);
  if (flags.again) return watch(addresses, flags.common.json());
  return show(addresses, flags.common.json()).value_or(0);
}

}  // namespace

Command status_command() {
  const auto flags = std::make_shared<Flags>();
  return {
      .name = "status",
      .about = "How the servers are, and a verdict",
      .notes = notes,
      .flags = {admin_flag(flags->admin),
                {.name = "--watch", .value = yes_no(flags->again), .help = "Again every second"},
                output_flag(flags->common)},
      .run = [flags](Command&) { return status(*flags); }};
}

}  // namespace kuilt::cli
