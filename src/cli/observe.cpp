#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"
#include "kuilt/client.hpp"
#include "kuilt/detail/overloaded.hpp"
#include "wire/base64.hpp"

namespace kuilt::cli {
namespace {

constexpr auto footer = R"(Examples:
  kuilt observe                       all that was committed, and all that will be
  kuilt observe --from now            only what is committed from now on
  kuilt observe --from 17 --until 42  these, and end
  kuilt observe -o json | jq .command

Prints INDEX, TERM, AUTHOR and the command, with a tab between each, as soon as it is committed.
Control characters and bytes that are not UTF-8 become \n, \t, \\ or \xHH; with -o json such a
command is base64 in "command_base64". Indexes rise; those of other rooms, and of what the servers
write for themselves, are left out. When a server fails, the next one goes on at the same place.
Ctrl-C ends it (exit status 130), so does a pipe that nobody reads (0).)";

struct Flags {
  std::string room;
  std::string from = "start";
  std::optional<std::uint64_t> until;
  std::optional<std::uint64_t> count;
  std::uint64_t connect_ms = 15'000;
};

std::optional<From> from_of(const std::string& text) {
  if (text == "start") return from_start;
  if (text == "now") return from_now;
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return from_index(index);
}

std::string text_line(const LogEntry& entry) {
  return std::to_string(entry.index.value()) + '\t' + std::to_string(entry.term.value()) + '\t' +
         escaped(entry.author) + '\t' + escaped(entry.command.text());
}

std::string json_line(const LogEntry& entry) {
  nlohmann::ordered_json out = {{"index", entry.index.value()},
                                {"term", entry.term.value()},
                                {"log_time_ns", entry.log_time.value()},
                                {"room", entry.room},
                                {"author", entry.author},
                                {"request_id", entry.request_id.value()}};
  const std::string_view command = entry.command.text();
  if (is_text(command)) {
    out["command"] = command;
  } else {
    out["command_base64"] = wire::to_base64(entry.command);
  }
  return out.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// Prints what it is handed, until it has seen enough.
class Printer {
 public:
  Printer(const Flags& flags, bool json) : until_(flags.until), left_(flags.count), json_(json) {}

  void take(const Committed& piece) {
    const auto on_piece = Overloaded{
        [&](const CommittedEntry& one) { print(one.entry); },
        [&](const CommittedAdvance& one) { reached(one.through.index); },
    };
    std::visit(on_piece, static_cast<const std::variant<CommittedEntry, CommittedAdvance>&>(piece));
  }
  [[nodiscard]] bool is_done() const { return done_; }

 private:
  void print(const LogEntry& entry) {
    if (until_ && entry.index.value() > *until_) {
      done_ = true;
      return;
    }
    if (!put_line(json_ ? json_line(entry) : text_line(entry))) done_ = true;
    if (left_ && --*left_ == 0) done_ = true;
    reached(entry.index);
  }
  void reached(Index index) { done_ = done_ || (until_ && index.value() >= *until_); }

  std::optional<std::uint64_t> until_;
  std::optional<std::uint64_t> left_;
  bool json_;
  bool done_ = false;
};

/// Until enough was seen, the stream ends, or people stop it. Returns the exit status.
int follow(Observer& seen, Printer& printer, const LinkNews& news, const Flags& flags) {
  constexpr auto look_interval = std::chrono::milliseconds(100);
  const auto give_up_at =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(flags.connect_ms);
  while (!printer.is_done()) {
    if (interrupt() != 0) return interrupted_status;
    if (const auto piece = seen.next_for(look_interval)) {
      printer.take(*piece);
      continue;
    }
    if (const auto error = seen.error()) return report(*error);
    if (reader_has_gone()) return 0;
    if (!news.was_connected() && std::chrono::steady_clock::now() > give_up_at) {
      return report(Error(ErrorCode::no_server, "no server admitted this client within " +
                                                    std::to_string(flags.connect_ms) + " ms"));
    }
  }
  return 0;
}

int observe(const Flags& flags, const Common& common) {
  const auto from = from_of(flags.from);
  if (!from) {
    return report(Error(ErrorCode::usage,
                        "--from: \"" + flags.from + "\" is neither start, nor now, nor an index"));
  }
  remember_interrupts();
  LinkNews news(LinkNews::Wanted::everything);
  ClientOptions options;
  options.on_event = [&news](const ClientEvent& event) { news.take(event); };
  auto client = ClusterClient::connect(endpoints_of(common), std::move(options));
  if (!client) return report(client.error());
  auto seen = client->observe(*from, {.room = flags.room});
  if (!seen) return report(seen.error());
  Printer printer(flags, common.json());
  return follow(*seen, printer, news, flags);
}

}  // namespace

void add_observe(CLI::App& app, Common& common, Run& run) {
  auto* command = app.add_subcommand("observe", "Print the committed log, and go on");
  command->footer(footer);
  const auto flags = std::make_shared<Flags>();
  add_common(*command, common);
  command->add_option("--room", flags->room, "Room to observe; the default room if empty");
  command->add_option("--from", flags->from, "Where to begin: start, now, or an index")
      ->type_name("start|now|N")
      ->capture_default_str();
  command->add_option("--until", flags->until, "End once the log has passed this index")
      ->type_name("INDEX");
  command->add_option("--count", flags->count, "End after so many entries")
      ->check(CLI::PositiveNumber)
      ->type_name("N");
  add_duration(*command, "--connect-deadline", flags->connect_ms,
               "Give up if no server has admitted us by then");
  command->callback(
      [&run, &common, flags] { run = [&common, flags] { return observe(*flags, common); }; });
}

}  // namespace kuilt::cli
