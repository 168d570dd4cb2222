#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"
#include "cli/proposals.hpp"

namespace kuilt::cli {
namespace {

constexpr auto footer = R"(Examples:
  kuilt propose 'action:move=1'                  one command; what belongs together stands in quotes
  kuilt propose first second third               three commands, in this order
  seq 1000 | kuilt propose - --in-flight 64      one command per line of standard input
  kuilt propose -o json hello                    {"line":1,"index":17,"term":3,...}

Prints `committed INDEX term TERM in TIME`, or `duplicate of INDEX`: an attempt before had done it.
Commands enter the log in their order unless a server fails meanwhile. After the first failure no
more are sent; those in flight are waited for.
Exit status: 0 all committed · 1 refused, certainly not in the log · 3 no server or no quorum,
nothing sent · 4 outcome unknown · 5 session expired · 130 interrupted.)";

struct Flags {
  std::vector<std::string> text;
  std::string room;
  std::string name = user_name();
  std::uint64_t deadline_ms = 15'000;
  std::size_t in_flight = 64;
};

/// The commands of the command line, or of standard input.
std::function<std::optional<std::string>()> commands_of(const Flags& flags) {
  if (flags.text == std::vector<std::string>{"-"}) {
    return []() -> std::optional<std::string> {
      std::string line;
      if (!std::getline(std::cin, line)) return std::nullopt;
      return line;
    };
  }
  return [rest = flags.text, next = std::size_t{0}]() mutable -> std::optional<std::string> {
    if (next == rest.size()) return std::nullopt;
    return rest[next++];
  };
}

int propose(const Flags& flags, const Common& common) {
  remember_interrupts();
  LinkNews news(LinkNews::Wanted::trouble);
  ClientOptions options;
  options.name = flags.name;
  options.on_event = [&news](const ClientEvent& event) { news.take(event); };
  auto client = ClusterClient::connect(endpoints_of(common), std::move(options));
  if (!client) return report(client.error());
  const bool many = flags.text.size() > 1 || flags.text.front() == "-";
  Proposals proposals(*std::move(client), {.room = flags.room,
                                           .deadline = std::chrono::milliseconds(flags.deadline_ms),
                                           .in_flight_max = flags.in_flight,
                                           .json = common.json(),
                                           .numbered = many});
  const auto next = commands_of(flags);
  while (const auto command = next()) {
    if (!proposals.propose(*command)) break;
  }
  return proposals.finish();
}

}  // namespace

void add_propose(CLI::App& app, Common& common, Run& run) {
  auto* command = app.add_subcommand("propose", "Put commands into the log, each exactly once");
  command->footer(footer);
  const auto flags = std::make_shared<Flags>();
  command->add_option("TEXT", flags->text, "A command each; or -, for one per line of input")
      ->required()
      ->type_name("");
  add_common(*command, common);
  command->add_option("--room", flags->room, "Room that it belongs to; the default room if empty");
  command->add_option("--name", flags->name, "Who proposes, as observers see it")
      ->capture_default_str();
  add_duration(*command, "--deadline", flags->deadline_ms, "For all attempts of one command");
  command->add_option("--in-flight", flags->in_flight, "Commands sent and not answered, at most")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->callback(
      [&run, &common, flags] { run = [&common, flags] { return propose(*flags, common); }; });
}

}  // namespace kuilt::cli
