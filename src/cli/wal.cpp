// wal.cpp: what is in a server's log on disk. Reads only, also the log of a server that runs.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/output.hpp"
#include "storage/posix_disk.hpp"
#include "storage/survey.hpp"
#include "wire/entry.hpp"

namespace kuilt::cli {
namespace {

constexpr auto notes = R"(Examples:
  kuilt wal inspect ./kuilt-data             segments, terms, how it ends, and a verdict
  kuilt wal verify ./kuilt-data && echo ok   the verdict alone
  kuilt wal dump ./kuilt-data --from 100     the entries, one to a line

DIRECTORY is that of a server (kuilt serve --data), or the folder log in it. All checksums and the
whole chain are read. Nothing is written, so it may be that of a server that runs: what it writes
meanwhile can then look cut off.
Exit status: 0 sound (a torn end is: a crash leaves one, and the next start drops it) · 2 it can't
be read · 7 damaged; the message names file, offset, and the last sound index.)";

struct Flags {
  Common common;
  std::string directory;
  std::uint64_t from = 0;
  std::optional<std::uint64_t> until;
};

/// Prints the entries that were asked for. Those that are no commands have "-" for an author.
class Dump {
 public:
  explicit Dump(const Flags& flags) : flags_(flags) {}

  Status take(const raft::Entry& entry, bool committed) {
    const std::uint64_t index = entry.at.index.value();
    if (index < flags_.from || (flags_.until && index > *flags_.until)) return Done{};
    std::optional<wire::Command> command;
    if (entry.kind == raft::EntryKind::command) {
      auto decoded = wire::decode_command(entry);
      if (!decoded) return std::move(decoded).error();
      command = *std::move(decoded);
    }
    const std::string line =
        flags_.common.json() ? json(entry, command, committed) : text(entry, command, committed);
    if (put_line(line)) return Done{};
    return Error(ErrorCode::cancelled, "nobody reads any more");
  }

 private:
  static const char* name_of(raft::EntryKind kind) {
    switch (kind) {
      case raft::EntryKind::no_op: return "no_op";
      case raft::EntryKind::configuration: return "configuration";
      case raft::EntryKind::command: return "command";
      case raft::EntryKind::cut: return "cut";
    }
    return "?";
  }
  static std::string text(const raft::Entry& entry, const std::optional<wire::Command>& command,
                          bool committed) {
    std::string line = std::to_string(entry.at.index.value()) + '\t' +
                       std::to_string(entry.at.term.value()) + '\t' + name_of(entry.kind) +
                       (committed ? "" : "?") + '\t' + (command ? escaped(command->author) : "-");
    if (command) line += '\t' + escaped(command->body.text());
    return line;
  }
  static std::string json(const raft::Entry& entry, const std::optional<wire::Command>& command,
                          bool committed) {
    JsonLine out;
    out.add("index", entry.at.index.value())
        .add("term", entry.at.term.value())
        .add("kind", name_of(entry.kind))
        .add("committed", committed);
    if (command) {
      out.add("room", command->room).add("author", command->author);
      out.add_bytes("command", command->body);
    }
    return out.text();
  }

  const Flags& flags_;
};

Result<storage::Survey> read(const Flags& flags, const storage::Wal::EntrySink& sink) {
  namespace fs = std::filesystem;
  const fs::path given = flags.directory;
  std::error_code failed;
  const bool is_server = fs::is_directory(given / "log", failed);
  auto disk = storage::PosixDisk::look(is_server ? given / "log" : given);
  if (!disk) return std::move(disk).error();
  return storage::survey(**disk, sink);
}

std::string verdict_on(const storage::Survey& survey) {
  const std::string through = std::to_string(survey.last.value());
  if (survey.damage) return "DAMAGED: " + survey.damage->message();
  std::string text = "sound: entries through " + through + ", committed through at least " +
                     std::to_string(survey.commit.value()) + ", in " +
                     std::to_string(survey.segments.size()) + " segments";
  if (survey.torn_bytes > 0) {
    text += "; a torn batch of " + std::to_string(survey.torn_bytes) +
            " bytes at the end, which the next start drops";
  }
  if (survey.leftover) {
    text += "; " + survey.leftover->name + " was begun and not used, the next start removes it";
  }
  return text;
}

int exit_status_of(const storage::Survey& survey) {
  constexpr int damaged = 7;
  return survey.damage ? damaged : 0;
}

std::string identity_text(const storage::Survey& survey) {
  if (!survey.identity) return "node      ?";
  const storage::Identity& who = *survey.identity;
  return "node      " + who.node.text() + "\ncluster   " + who.cluster.text() + "\nhistory   " +
         who.history.text();
}

std::string terms_text(const storage::Survey& survey) {
  constexpr std::size_t shown_max = 5;
  const auto& terms = survey.terms;
  std::string text;
  const std::size_t begin = terms.size() > shown_max ? terms.size() - shown_max : 0;
  if (begin > 0) text = std::to_string(begin) + " earlier, ";
  for (std::size_t i = begin; i < terms.size(); ++i) {
    if (i > begin) text += ", ";
    text +=
        std::to_string(terms[i].term.value()) + " from " + std::to_string(terms[i].first.value());
  }
  return text.empty() ? "none" : text;
}

void print_table(const storage::Survey& survey) {
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%s\n", identity_text(survey).c_str());
  std::printf("base      index %llu, term %llu\n", number(survey.base.index.value()),
              number(survey.base.term.value()));
  std::printf("terms     %s\n", terms_text(survey).c_str());
  std::printf("vote      term %llu, for %s\n\n", number(survey.hard.term.value()),
              survey.hard.vote.is_none() ? "nobody" : survey.hard.vote.text().c_str());
  std::printf("%-20s  %12s  %12s  %9s  %12s  %s\n", "segment", "bytes", "used", "batches",
              "through", "");
  for (const storage::ScannedSegment& segment : survey.segments) {
    const std::uint64_t through = segment.last.value();
    std::printf("%-20s  %12llu  %12llu  %9zu  %12s  %s\n", segment.file.name.c_str(),
                number(segment.file.bytes), number(segment.end), segment.batches,
                through == 0 ? "-" : std::to_string(through).c_str(),
                segment.sealed ? "sealed" : "open");
  }
  std::printf("\n");
}

std::string json_of(const storage::Survey& survey) {
  JsonLine out;
  out.add("sound", !survey.damage.has_value());
  if (survey.identity) {
    out.add("node", survey.identity->node.text())
        .add("cluster", survey.identity->cluster.text())
        .add("history", survey.identity->history.text());
  }
  out.add("base", survey.base.index.value())
      .add("last", survey.last.value())
      .add("commit", survey.commit.value())
      .add("term", survey.hard.term.value())
      .add("segments", static_cast<std::uint64_t>(survey.segments.size()))
      .add("batches", static_cast<std::uint64_t>(survey.batches))
      .add("torn_bytes", survey.torn_bytes);
  if (survey.damage) out.add("damage", survey.damage->message());
  return out.text();
}

/// Decodes every command too: a sound checksum says nothing about what was written.
Status decode(const raft::Entry& entry, bool /*committed*/) {
  if (entry.kind != raft::EntryKind::command) return Done{};
  const auto command = wire::decode_command(entry);
  if (command) return Done{};
  return Error(command.error()).within("index " + std::to_string(entry.at.index.value()));
}

int report_on(const Flags& flags, bool table) {
  const auto survey = read(flags, decode);
  if (!survey) return report(survey.error());
  if (flags.common.json()) {
    (void)put_line(json_of(*survey));
  } else {
    if (table) print_table(*survey);
    (void)put_line(verdict_on(*survey));
  }
  return exit_status_of(*survey);
}

int dump(const Flags& flags) {
  Dump out(flags);
  const auto survey = read(flags, [&out](const raft::Entry& entry, bool committed) {
    return out.take(entry, committed);
  });
  if (!survey && survey.error().code() == ErrorCode::cancelled) return 0;
  if (!survey) return report(survey.error());
  if (survey->damage) std::fprintf(stderr, "%s\n", verdict_on(*survey).c_str());
  return exit_status_of(*survey);
}

}  // namespace

Command wal_command() {
  const auto flags = std::make_shared<Flags>();
  const auto directory = [&] {
    return Argument{.name = "DIRECTORY",
                    .value = folder(flags->directory),
                    .help = "Of a server, or the folder log in it"};
  };
  return {
      .name = "wal",
      .about = "What is in a server's log on disk, and whether it is sound",
      .notes = notes,
      .commands = {{.name = "inspect",
                    .about = "Segments, terms, how it ends, and a verdict",
                    .notes = notes,
                    .arguments = {directory()},
                    .flags = {output_flag(flags->common)},
                    .run = [flags](Command&) { return report_on(*flags, true); }},
                   {.name = "verify",
                    .about = "The verdict alone",
                    .notes = notes,
                    .arguments = {directory()},
                    .flags = {output_flag(flags->common)},
                    .run = [flags](Command&) { return report_on(*flags, false); }},
                   {.name = "dump",
                    .about = "Its entries: INDEX, TERM, KIND (with ? if perhaps not committed), "
                             "AUTHOR, TEXT",
                    .notes = notes,
                    .arguments = {directory()},
                    .flags = {output_flag(flags->common),
                              {.name = "--from",
                               .value = number(flags->from),
                               .help = "The first index to print"},
                              {.name = "--until",
                               .value = number(flags->until),
                               .help = "The last index to print"}},
                    .run = [flags](Command&) { return dump(*flags); }}}};
}

}  // namespace kuilt::cli
