#include "tests/raft/scenario.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace kuilt::raft::test {
namespace {

using explore::Action;
using explore::EventKind;
using explore::Slot;
using Lines = std::vector<std::string>;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

std::uint64_t number(const std::string& text) {
  std::size_t used = 0;
  const std::uint64_t value = std::stoull(text, &used);
  if (used != text.size()) throw std::runtime_error("no number: " + text);
  return value;
}

// "term=2" is the setting of "term".
std::optional<std::string> setting_in(const std::vector<std::string>& words,
                                      const std::string& name) {
  for (const std::string& word : words) {
    if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  }
  return std::nullopt;
}

std::string terms_of(const explore::Server& server) {
  std::string terms;
  for (const Entry& entry : server.log()) {
    terms += (terms.empty() ? "" : ",") + std::to_string(entry.at.term.value());
  }
  return terms;
}

const std::vector<std::pair<std::string, EventKind>> simple_events{
    {"timeout", EventKind::time_out}, {"beat", EventKind::beat}, {"again", EventKind::send_again}};

enum class Line : std::uint8_t { first, comment, quiet, event };

// Of a line that a person wrote.
std::optional<Line> kind_of(const std::string& line) {
  if (line.starts_with("#")) return Line::comment;
  if (!line.starts_with("> ")) return std::nullopt;
  for (const char* quiet : {"> servers ", "> disk ", "> expect "}) {
    if (line.starts_with(quiet)) return Line::quiet;
  }
  return Line::event;
}

// So that a transcript reads in paragraphs.
bool gap_between(Line before, Line now) {
  if (before == Line::first || before == Line::comment) return false;
  return now == Line::event || now == Line::comment;
}

void append(Lines& lines, const Lines& more) {
  lines.insert(lines.end(), more.begin(), more.end());
}

}  // namespace

Slot Scenario::slot(const Words& words, std::size_t place) const {
  if (place >= words.size() || words[place].size() != 1)
    throw std::runtime_error("no server named");
  const auto slot = static_cast<Slot>(words[place][0] - 'a');
  if (slot >= disks_.size()) throw std::runtime_error("no such server: " + words[place]);
  return slot;
}

std::string Scenario::run(const std::string& text) {
  std::string out;
  Line before = Line::first;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    const auto kind = kind_of(line);
    if (!kind) continue;  // It was recorded.
    if (gap_between(before, *kind)) out += "\n";
    before = *kind;
    out += line + "\n";
    if (*kind == Line::comment) continue;
    for (const std::string& told : obey_line(line)) out += told + "\n";
    if (group_ && group_->violation() && complaints_.empty()) {
      complaints_.push_back(line + ": violated: " + std::string(*group_->violation()));
    }
  }
  return out;
}

Lines Scenario::obey_line(const std::string& line) {
  try {
    return obey(split(line.substr(2), ' '));
  } catch (const std::exception& trouble) {
    throw std::runtime_error(line + ": " + trouble.what());
  }
}

explore::Group& Scenario::group() {
  if (!group_) group_.emplace(setting_, disks_);
  return *group_;
}

void Scenario::start(const Words& words) {
  disks_.resize(number(words.at(1)));
  setting_ = std::make_shared<explore::Setting>(explore::setting_of(disks_.size()));
  raft::Options& options = setting_->options;
  if (const auto bytes = setting_in(words, "append")) options.append_bytes_max = number(*bytes);
  if (const auto bytes = setting_in(words, "window")) options.window_bytes_max = number(*bytes);
  // Between the silence after which entries are sent again and that before an election.
  if (std::ranges::find(words, "stall") != words.end())
    options.disk_stall_max = std::chrono::seconds(10);
  if (const auto complaint = complaint_about(options)) throw std::runtime_error(*complaint);
}

void Scenario::prepare_disk(const Words& words) {
  explore::Disk& disk = disks_.at(slot(words, 1));
  for (const std::string& term : split(setting_in(words, "log").value_or(""), ',')) {
    const Position at{Index(disk.entries.size() + 1), Term(number(term))};
    disk.entries.push_back({at, EntryKind::command, Bytes("of" + term), {}});
  }
  disk.hard.term = Term(number(setting_in(words, "term").value_or("0")));
  if (const auto vote = setting_in(words, "vote"))
    disk.hard.vote = explore::node_id(slot({*vote}, 0));
  disk.commit = Index(number(setting_in(words, "commit").value_or("0")));
}

Lines Scenario::obey(const Words& words) {
  const std::string& verb = words.at(0);
  if (verb == "servers") return start(words), Lines{};
  if (verb == "disk") return prepare_disk(words), Lines{};
  for (const auto& [name, kind] : simple_events) {
    if (verb == name) return group().act(explore::event_at(slot(words, 1), kind));
  }
  if (verb == "crash") {
    const std::size_t survivors = words.size() > 2 ? number(words[2]) : 0;
    return group().act(explore::event_at(slot(words, 1), EventKind::crash, survivors));
  }
  if (verb == "propose") return group().propose(slot(words, 1), words.at(2));
  if (verb == "link-lost") return group().lose_link(slot(words, 1), slot(words, 2));
  if (verb == "stall") return group().stall(slot(words, 1));
  if (verb == "write") return write(words);
  if (verb == "settle") return settle(words);
  if (verb == "expect") return expect(words);
  return move_messages(words);
}

Lines Scenario::move_messages(const Words& words) {
  const std::vector<std::pair<std::string, Action::What>> fates{
      {"deliver", Action::What::deliver},
      {"late", Action::What::deliver_after_silence},
      {"lose", Action::What::lose},
      {"repeat", Action::What::repeat}};
  const auto fate =
      std::ranges::find(fates, words[0], [](const auto& named) { return named.first; });
  if (fate == fates.end()) throw std::runtime_error("no such command: " + words[0]);
  const Slot from = slot(words, 1);
  const Slot to = slot(words, 2);
  const bool all = words.size() > 3 && words[3] == "all";
  const std::size_t place = words.size() > 3 && !all ? number(words[3]) - 1 : 0;
  std::size_t count = all ? group().on_the_way(from, to).size() : 1;
  Lines lines;
  for (; count > 0; --count) {
    if (place >= group().on_the_way(from, to).size())
      throw std::runtime_error("nothing on the way");
    append(lines, group().tell(explore::message_to(to, from, fate->second, place)));
  }
  return lines;
}

Lines Scenario::write(const Words& words) {
  const Slot at = slot(words, 1);
  const bool all = words.size() > 2 && words[2] == "all";
  if (group().server(at).disk().queue.empty()) throw std::runtime_error("no write waits");
  Lines lines;
  do {
    append(lines, group().act(explore::event_at(at, EventKind::finish_write)));
  } while (all && !group().server(at).disk().queue.empty());
  return lines;
}

// One step of each disk and link. Tells the messages only: there are many states on the way.
bool Scenario::settle_once(const std::vector<Slot>& present, Lines& lines) {
  bool moved = false;
  const auto is_present = [&](Slot slot) {
    return std::ranges::find(present, slot) != present.end();
  };
  for (Slot from = 0; from < disks_.size(); ++from) {
    if (is_present(from) && !group().server(from).disk().queue.empty()) {
      static_cast<void>(group().act(explore::event_at(from, EventKind::finish_write)));
      moved = true;
    }
    for (Slot to = 0; to < disks_.size(); ++to) {
      if (from == to || group().on_the_way(from, to).empty()) continue;
      const bool lost = !is_present(from) || !is_present(to);
      const auto fate = lost ? Action::What::lose : Action::What::deliver;
      const Lines told = group().tell(explore::message_to(to, from, fate));
      if (!lost) lines.push_back(told.front());
      moved = true;
    }
  }
  return moved;
}

Lines Scenario::settle(const Words& words) {
  std::vector<Slot> present;
  for (std::size_t i = 1; i < words.size(); ++i) present.push_back(slot(words, i));
  for (Slot slot = 0; words.size() == 1 && slot < disks_.size(); ++slot) present.push_back(slot);
  Lines lines;
  for (int rounds = 0; settle_once(present, lines); ++rounds) {
    if (rounds > 1000) throw std::runtime_error("it does not settle");
  }
  for (const Slot slot : present) {
    lines.push_back(std::string("  ") + explore::letter(slot) + ": " + group().server(slot).text());
  }
  return lines;
}

Lines Scenario::expect(const Words& words) {
  if (holds(words)) return {};
  std::string line = "expected, and is not so:";
  for (const std::string& word : words) line += " " + word;
  complaints_.push_back(line);
  return {line};
}

bool Scenario::holds(const Words& words) {
  const std::string& what = words.at(1);
  if (what == "nobody-leads") {
    for (Slot slot = 0; slot < disks_.size(); ++slot) {
      if (group().server(slot).leads()) return false;
    }
    return true;
  }
  const explore::Server& server = group().server(slot(words, 2));
  const Core& core = server.core();
  if (what == "leads") return server.leads() && core.term() == Term(number(words.at(3)));
  if (what == "follows") return core.leader() == explore::node_id(slot(words, 3));
  if (what == "term") return core.term() == Term(number(words.at(3)));
  if (what == "commit") return core.commit_index() == Index(number(words.at(3)));
  if (what == "durable") return core.durable_index() == Index(number(words.at(3)));
  if (what == "log") return terms_of(server) == (words.size() > 3 ? words[3] : "");
  throw std::runtime_error("no such expectation: " + what);
}

}  // namespace kuilt::raft::test
