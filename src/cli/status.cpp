#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/http_get.hpp"

namespace kuilt::cli {
namespace {

constexpr auto footer = R"(Examples:
  kuilt status                                        the servers of the context, or 127.0.0.1:7402
  kuilt status --admin 127.0.0.1:7402,127.0.0.1:7412  these
  kuilt status --watch                                again every second, until Ctrl-C
  kuilt status -o json                                one object per server and line

Asks the admin listeners, which are loopback by default: run it on the servers' own machines.
Exit status: 0 all is well · 3 no server answers · 8 degraded (a server is missing, or no leader).)";

struct Row {
  std::string address;
  std::optional<nlohmann::json> answer;
  std::string trouble;
};

std::vector<Row> ask(const std::vector<std::string>& addresses) {
  std::vector<Row> rows;
  for (const std::string& address : addresses) {
    Row row{address, std::nullopt, ""};
    auto body = http_get(address, "/status", std::chrono::seconds(2));
    if (body) {
      auto parsed = nlohmann::json::parse(*body, nullptr, false);
      if (parsed.is_object()) row.answer = std::move(parsed);
    }
    if (!row.answer) row.trouble = body ? "answers no status" : body.error().message();
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string text(const nlohmann::json& row, const char* key) {
  const auto found = row.find(key);
  if (found == row.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

void print_table(const std::vector<Row>& rows, std::uint64_t newest) {
  std::printf("%-8s %-9s %6s %10s %10s %10s %6s %9s %8s %7s  %s\n", "name", "role", "term",
              "commit", "applied", "last", "lag", "log MiB", "clients", "peers", "id");
  for (const Row& row : rows) {
    if (!row.answer) {
      std::printf("%-8s %s\n", "?", row.trouble.c_str());
      continue;
    }
    const nlohmann::json& a = *row.answer;
    const auto commit = a.value("commit", std::uint64_t{0});
    std::printf("%-8s %-9s %6s %10s %10s %10s %6llu %9.1f %8s %3s/%-3llu  %s\n",
                text(a, "name").c_str(), text(a, "role").c_str(), text(a, "term").c_str(),
                text(a, "commit").c_str(), text(a, "applied").c_str(), text(a, "last").c_str(),
                static_cast<unsigned long long>(newest - commit),
                a.value("log_bytes_written", 0.0) / (1 << 20), text(a, "clients").c_str(),
                text(a, "peers_linked").c_str(),
                static_cast<unsigned long long>(
                    std::max<std::uint64_t>(a.value("voters", std::uint64_t{1}), 1) - 1),
                text(a, "id").c_str());
  }
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
  std::uint64_t term = 0;
  for (const Row& row : rows) {
    if (!row.answer) continue;
    up += 1;
    voters = std::max(voters, row.answer->value("voters", std::uint64_t{0}));
    const auto of = row.answer->value("term", std::uint64_t{0});
    const std::string named = row.answer->value("leader", "");
    if (!named.empty() && of >= term) {
      leader = named;
      term = of;
    }
  }
  const std::string asked = std::to_string(rows.size());
  const std::string answers = std::to_string(up) + " of " + asked + " asked servers answer";
  if (up == 0) return {"down: none of " + asked + " servers answers", none_answers};
  if (leader.empty()) return {"degraded: no leader; " + answers, degraded};
  if (up < rows.size()) return {"degraded: leader " + leader + ", but only " + answers, degraded};
  return {"well: leader " + leader + " in term " + std::to_string(term) + "; " + answers +
              ", the cluster has " + std::to_string(voters),
          0};
}

/// The last line of the table is the verdict; both forms end with its exit status.
int show(const std::vector<std::string>& addresses, bool json) {
  const std::vector<Row> rows = ask(addresses);
  const Verdict verdict = verdict_on(rows);
  if (json) {
    for (const Row& row : rows) {
      const auto line =
          row.answer ? *row.answer : nlohmann::json{{"admin", row.address}, {"error", row.trouble}};
      std::printf("%s\n", line.dump().c_str());
    }
    return verdict.exit_status;
  }
  std::uint64_t newest = 0;
  for (const Row& row : rows) {
    if (row.answer) newest = std::max(newest, row.answer->value("commit", std::uint64_t{0}));
  }
  print_table(rows, newest);
  std::printf("%s\n", verdict.text.c_str());
  return verdict.exit_status;
}

int watch(const std::vector<std::string>& addresses, bool json) {
  while (true) {  // Until Ctrl-C or a closed pipe.
    if (!json) std::fputs("\x1b[2J\x1b[H", stdout);
    show(addresses, json);
    if (std::fflush(stdout) != 0) return 0;
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
}

}  // namespace

void add_status(CLI::App& app, Common& common, Run& run) {
  auto* command = app.add_subcommand("status", "How the servers are, and a verdict");
  command->footer(footer);
  const auto admin = std::make_shared<std::string>();
  const auto again = std::make_shared<bool>(false);
  command->add_option("--admin", *admin, "Admin listeners, separated by commas")
      ->envname("KUILT_ADMIN")
      ->type_name("HOST:PORT[,…]");
  command->add_flag("--watch", *again, "Again every second");
  command->add_option("-o,--output", common.output, "Form of what is printed")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  command->callback([&run, &common, admin, again] {
    run = [&common, admin, again] {
      const std::vector<std::string> addresses = admin_of(*admin);
      return *again ? watch(addresses, common.json()) : show(addresses, common.json());
    };
  });
}

}  // namespace kuilt::cli
