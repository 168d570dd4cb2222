#include <charconv>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/commands.hpp"
#include "cli/entry_command.hpp"
#include "cli/json_line.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"
#include "kuilt/client.hpp"
#include "kuilt/detail/overloaded.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt observe                       all that was committed, and all that will be
  kuilt observe --from now            only what is committed from now on
  kuilt observe --from 17 --until 42  these, and end
  kuilt observe -o json | jq .command
  kuilt observe --from now -- sh -c 'echo "$KUILT_INDEX by $KUILT_AUTHOR"; cat'

Prints INDEX, TERM, AUTHOR and the command, with a tab between each, as soon as it is committed.
Control characters and bytes that are not UTF-8 become \n, \t, \\ or \xHH; with -o json such a
command is base64 in "command_base64". Indexes rise; those of other rooms, and of what the servers
write for themselves, are left out. When a server fails, the next one goes on at the same place.

With -- CMD nothing is printed: CMD runs for each entry, one after the other, with the command on
its standard input (-o json: the whole entry) and KUILT_INDEX, KUILT_TERM, KUILT_AUTHOR and
KUILT_ROOM in its environment. If it ends with another status than 0, so does observe (8), and says
from which index to go on: that entry was handed over, and may have had an effect. SIGINT and
SIGTERM are passed on to it.

Exit status: 0 it has seen enough, or nobody reads any more · 2 usage · 3 no server · 7 the history
is another one, or damaged · 8 CMD failed · 130 interrupted.)";

struct Flags {
  Common common;
  std::string room;
  std::string from = "start";
  std::optional<std::uint64_t> until;
  std::optional<std::uint64_t> count;
  std::chrono::milliseconds connect_deadline = std::chrono::seconds(15);
  std::vector<std::string> command;
};

std::optional<From> from_of(const std::string& text) {
  if (text == "start") return from_start;
  if (text == "now") return from_now;
  std::uint64_t index = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return from_index(index);
}

Value from_value(std::string& target) {
  Value value = text(target, "start|now|N");
  value.set = [&target](const std::vector<std::string>& words) -> Status {
    if (!from_of(words.back())) {
      return Error(ErrorCode::usage, "is neither start, nor now, nor an index");
    }
    target = words.back();
    return Done{};
  };
  value.offer = Offer::words;
  value.words = {"start", "now"};
  return value;
}

std::string text_line(const LogEntry& entry) {
  return std::to_string(entry.index.value()) + '\t' + std::to_string(entry.term.value()) + '\t' +
         escaped(entry.author) + '\t' + escaped(entry.command.text());
}

std::string json_line(const LogEntry& entry) {
  JsonLine out;
  out.add("index", entry.index.value())
      .add("term", entry.term.value())
      .add("log_time_ns", entry.log_time.value())
      .add("room", entry.room)
      .add("author", entry.author)
      .add("request_id", entry.request_id.value());
  return out.add_bytes("command", entry.command).text();
}

/// What is done with an entry. Answers with the exit status, if it was the last one.
using Handler = std::function<std::optional<int>(const LogEntry&)>;

Handler printer(bool json) {
  return [json](const LogEntry& entry) -> std::optional<int> {
    if (!put_line(json ? json_line(entry) : text_line(entry))) return 0;
    return std::nullopt;
  };
}

/// Where an observer that stopped at an entry can begin again.
void tell_how_to_go_on(const std::string& what, Index at) {
  std::fprintf(stderr, "%s\n  with it: kuilt observe --from %llu; past it: --from %llu\n",
               what.c_str(), static_cast<unsigned long long>(at.value()),
               static_cast<unsigned long long>(at.next().value()));
}

Handler runner(EntryCommand command, bool json) {
  return [command = std::move(command), json](const LogEntry& entry) -> std::optional<int> {
    constexpr int command_failed = 8;
    const std::string in_json = json ? json_line(entry) + "\n" : "";
    const auto status = command.run(entry, json ? in_json : entry.command.text());
    if (!status) return report(status.error());
    const std::string how = command.name() + " ended with status " + std::to_string(*status) +
                            " at index " + std::to_string(entry.index.value());
    if (interrupt() != 0) {
      tell_how_to_go_on("interrupted: " + how, entry.index);
      return interrupted_status;
    }
    if (*status == 0) return std::nullopt;
    tell_how_to_go_on("error: " + how + "; nothing after it was handed over", entry.index);
    return command_failed;
  };
}

/// Hands on what it is given, until it has seen enough.
class Reader {
 public:
  Reader(const Flags& flags, Handler handler)
      : handler_(std::move(handler)), until_(flags.until), left_(flags.count) {}

  void take(const Committed& piece) {
    const auto on_piece = Overloaded{
        [&](const CommittedEntry& one) { handle(one.entry); },
        [&](const CommittedAdvance& one) { reached(one.through.index); },
    };
    std::visit(on_piece, static_cast<const std::variant<CommittedEntry, CommittedAdvance>&>(piece));
  }
  /// The exit status, once it is done.
  [[nodiscard]] std::optional<int> status() const { return status_; }

 private:
  void handle(const LogEntry& entry) {
    if (until_ && entry.index.value() > *until_) {
      status_ = 0;
      return;
    }
    status_ = handler_(entry);
    if (!status_ && left_ && --*left_ == 0) status_ = 0;
    reached(entry.index);
  }
  void reached(Index index) {
    if (!status_ && until_ && index.value() >= *until_) status_ = 0;
  }

  Handler handler_;
  std::optional<std::uint64_t> until_;
  std::optional<std::uint64_t> left_;
  std::optional<int> status_;
};

/// Until enough was seen, the stream ends, or people stop it. Returns the exit status.
int follow(Observer& seen, Reader& reader, const LinkNews& news, const Flags& flags) {
  constexpr auto look_interval = std::chrono::milliseconds(100);
  const auto give_up_at = std::chrono::steady_clock::now() + flags.connect_deadline;
  while (!reader.status()) {
    if (interrupt() != 0) return interrupted_status;
    if (const auto piece = seen.next_for(look_interval)) {
      reader.take(*piece);
      continue;
    }
    if (const auto error = seen.error()) return report(*error);
    if (flags.command.empty() && reader_has_gone()) return 0;
    if (!news.was_connected() && std::chrono::steady_clock::now() > give_up_at) {
      return report(Error(ErrorCode::no_server, "no server admitted this client within " +
                                                    text_of(flags.connect_deadline) +
                                                    " (--connect-deadline)"));
    }
  }
  return *reader.status();
}

Result<Handler> handler_of(const Flags& flags) {
  if (flags.command.empty()) return printer(flags.common.json());
  auto command = EntryCommand::find(flags.command);
  if (!command) return std::move(command).error().within("-- CMD");
  return runner(*std::move(command), flags.common.json());
}

int observe(const Flags& flags) {
  auto handler = handler_of(flags);
  if (!handler) return report(handler.error());
  remember_interrupts();
  LinkNews news(LinkNews::Wanted::everything);
  ClientOptions options;
  options.on_event = [&news](const ClientEvent& event) { news.take(event); };
  auto client = ClusterClient::connect(endpoints_of(flags.common), std::move(options));
  if (!client) return report(client.error());
  auto seen = client->observe(*from_of(flags.from), {.room = flags.room});
  if (!seen) return report(seen.error());
  Reader reader(flags, *std::move(handler));
  return follow(*seen, reader, news, flags);
}

Argument command_argument(Flags& flags) {
  Value value = list(flags.command, "CMD");
  value.offer = Offer::programs;
  return {.name = "CMD [ARGS]",
          .value = value,
          .help = "A program to run for each entry, in place of printing it",
          .is_required = false};
}

}  // namespace

Command observe_command() {
  const auto flags = std::make_shared<Flags>();
  return {.name = "observe",
          .about = "Print the committed log, and go on",
          .notes = notes,
          .after_dashes = command_argument(*flags),
          .flags = {endpoints_flag(flags->common),
                    output_flag(flags->common),
                    {.name = "--room",
                     .value = text(flags->room, "ROOM"),
                     .help = "Room to observe; the default room if empty"},
                    {.name = "--from",
                     .value = from_value(flags->from),
                     .help = "Where to begin: start, now, or an index"},
                    {.name = "--until",
                     .value = number(flags->until),
                     .help = "End once the log has passed this index"},
                    {.name = "--count",
                     .value = number(flags->count, 1),
                     .help = "End after so many entries"},
                    {.name = "--connect-deadline",
                     .value = duration(flags->connect_deadline),
                     .help = "Give up if no server has admitted us by then"}},
          .run = [flags](Command&) { return observe(*flags); }};
}

}  // namespace kuilt::cli
