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

constexpr auto notes = R"(Examples:
  kuilt propose 'action:move=1'                  one command; what belongs together stands in quotes
  kuilt propose first second third               three commands, in this order
  seq 1000 | kuilt propose - --in-flight 64      one command per line of standard input
  kuilt propose -o json hello                    {"line":1,"index":17,"term":3,...}
  kuilt propose --session mine 'action:move=2'   repeat it after a crash: it happens once

Prints `committed INDEX term TERM in TIME`, or `duplicate of INDEX`: an attempt before had done it;
behind it `: RESULT`, where the servers have a state machine. Commands enter the log in their order
unless a server fails meanwhile. After the first failure no more are sent; those in flight are
waited for.

With --session, a command is in FILE before it is sent and until its outcome is printed. What an
earlier run left there is finished first. A command that equals one of those is taken for the same
one: after exit status 4, or a crash, repeat it with the same session to hear what became of it.
After exit status 5 the last lines say how to go on: FILE goes on by itself, unless a command that
was sent may be in the log, and nobody can say so any more.

Exit status: 0 all committed · 1 refused, certainly not in the log · 3 no server or no quorum,
nothing sent · 4 outcome unknown · 5 session expired · 130 interrupted.)";

struct Flags {
  Common common;
  std::vector<std::string> text;
  std::string room;
  std::string session;
  std::string name = user_name();
  std::chrono::milliseconds deadline = std::chrono::seconds(15);
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

int propose(const Flags& flags) {
  remember_interrupts();
  LinkNews news(LinkNews::Wanted::trouble);
  ClientOptions options;
  options.name = flags.name;
  options.on_event = [&news](const ClientEvent& event) { news.take(event); };
  auto client = ClusterClient::connect(endpoints_of(flags.common), std::move(options));
  if (!client) return report(client.error());
  std::optional<ProposeSession> session;
  if (!flags.session.empty()) {
    auto opened = client->open_session(flags.session, flags.deadline);
    if (!opened) return report(opened.error());
    session.emplace(*std::move(opened), flags.session);
    if (const int status = session->finish_earlier(flags.deadline); status != 0) return status;
  }
  const bool many = flags.text.size() > 1 || flags.text.front() == "-";
  Proposals proposals(*std::move(client), std::move(session),
                      {.room = flags.room,
                       .deadline = flags.deadline,
                       .in_flight_max = flags.in_flight,
                       .json = flags.common.json(),
                       .numbered = many});
  const auto next = commands_of(flags);
  while (const auto command = next()) {
    if (!proposals.propose(*command)) break;
  }
  return proposals.finish();
}

}  // namespace

Command propose_command() {
  const auto flags = std::make_shared<Flags>();
  return {.name = "propose",
          .about = "Put commands into the log, each exactly once",
          .notes = notes,
          .arguments = {{.name = "TEXT",
                         .value = list(flags->text, "TEXT"),
                         .help = "A command each; or -, for one per line of input"}},
          .flags = {endpoints_flag(flags->common),
                    output_flag(flags->common),
                    {.name = "--room",
                     .value = text(flags->room, "ROOM"),
                     .help = "Room that it belongs to; the default room if empty"},
                    {.name = "--session",
                     .value = file(flags->session),
                     .help = "Keeps what has no outcome in FILE, so that a crash repeats nothing"},
                    {.name = "--name",
                     .value = text(flags->name, "NAME"),
                     .help = "Who proposes, as observers see it"},
                    {.name = "--deadline",
                     .value = duration(flags->deadline),
                     .help = "For all attempts of one command"},
                    {.name = "--in-flight",
                     .value = number(flags->in_flight, 1, 4096),
                     .help = "Commands sent and not answered, at most"}},
          .run = [flags](Command&) { return propose(*flags); }};
}

}  // namespace kuilt::cli
