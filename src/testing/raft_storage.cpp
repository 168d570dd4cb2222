// raft_storage.cpp: what a RaftStorage promises, tried out on one.
#include <algorithm>
#include <utility>

#include "kuilt/testing.hpp"

namespace kuilt::testing {
namespace {

using Complaint = std::optional<std::string>;

constexpr std::size_t plenty = std::size_t{1} << 30;
constexpr std::uint64_t appends = 40;
constexpr std::uint64_t entries_per_append = 25;

bool equal(const LogEntry& a, const LogEntry& b) {
  return a.index == b.index && a.term == b.term && a.command == b.command && a.author == b.author &&
         a.request_id == b.request_id && a.log_time == b.log_time && a.room == b.room;
}

std::string text_of(Index index) { return std::to_string(index.value()); }

// Indexes of a room have gaps: the others are of other rooms, or of nobody. Commands are of all
// sizes, none among them, and of all bytes.
LogEntry entry_at(Index index) {
  std::string command(index.value() % 7 * (index.value() % 50), 'x');
  if (!command.empty()) command.back() = static_cast<char>(index.value() % 256);
  if (command.size() > 2) command[1] = '\0';
  return {index,
          Term(1 + index.value() / 100),
          Bytes(std::move(command)),
          "ann \"the first\"\n",
          RequestId(index.value() * 3),
          LogTime(index.value() * 1'000'000'007),
          "chess"};
}

ResumeToken token_at(Index index) {
  return {ClusterId::named("cluster"),
          HistoryId::named("history"),
          {index, Term(1 + index.value() / 100)},
          ~index.value()};
}

// A storage, and what it must hold by now.
class Trial {
 public:
  explicit Trial(const std::function<std::shared_ptr<RaftStorage>()>& open)
      : open_(open), storage_(open()) {}

  Complaint run() {
    if (!storage_) return "a storage can be opened";
    if (auto broken = check_everything("an empty storage")) return broken;
    if (auto broken = append({}, Index(4))) return broken;
    if (auto broken = check_everything("after an append of no entries")) return broken;
    if (auto broken = append({entry_at(Index(5)), entry_at(Index(7))}, Index(9))) return broken;
    if (auto broken = check_everything("after an append")) return broken;
    if (auto broken = append_much()) return broken;
    if (auto broken = check_everything("after many appends")) return broken;
    storage_.reset();
    storage_ = open_();
    if (!storage_) return "a storage can be opened again";
    if (auto broken = check_everything("opened again")) return broken;
    const Index next = through_->position.index.next();
    if (auto broken = append({entry_at(next)}, next)) return broken;
    return check_everything("after an append to one that was opened again");
  }

 private:
  Complaint append(const std::vector<LogEntry>& entries, Index through) {
    const ResumeToken token = token_at(through);
    if (const Status done = storage_->append(entries, token); !done) {
      return "append: " + done.error().message();
    }
    kept_.insert(kept_.end(), entries.begin(), entries.end());
    through_ = token;
    return std::nullopt;
  }

  Complaint append_much() {
    Index index = through_->position.index;
    for (std::uint64_t i = 0; i < appends; ++i) {
      std::vector<LogEntry> entries;
      for (std::uint64_t k = 0; k < entries_per_append; ++k) {
        index = Index(index.value() + 1 + k % 3);
        entries.push_back(entry_at(index));
      }
      if (auto broken = append(entries, index)) return broken;
    }
    return std::nullopt;
  }

  Complaint check_everything(const std::string& when) const {
    auto broken = check_load();
    if (!broken) broken = check_read(Index(), plenty);
    if (!broken && !kept_.empty()) broken = check_places();
    if (!broken) broken = check_pieces();
    if (!broken) return std::nullopt;
    return when + ": " + *broken;
  }

  Complaint check_load() const {
    const auto loaded = storage_->load();
    if (!loaded) return "load: " + loaded.error().message();
    if (*loaded == through_) return std::nullopt;
    if (!through_) return "load gives nothing before the first append";
    return "load gives the token of the last append, of index " + text_of(through_->position.index);
  }

  // At an entry, between two, at the last, and behind all.
  Complaint check_places() const {
    const Index middle = kept_[kept_.size() / 2].index;
    const Index last = kept_.back().index;
    for (const Index after : {kept_.front().index, middle, Index(middle.value() - 1),
                              Index(last.value() - 1), last, last.next()}) {
      if (auto broken = check_read(after, plenty)) return broken;
    }
    return std::nullopt;
  }

  // As a node reads it: a piece at a time, the next after the last entry of the one before.
  Complaint check_pieces() const {
    for (const std::size_t bytes_max :
         {std::size_t{0}, std::size_t{1}, std::size_t{1000}, plenty}) {
      Index after;
      while (!kept_.empty() && after < kept_.back().index) {
        if (auto broken = check_read(after, bytes_max)) return broken;
        after = storage_->read(after, bytes_max)->back().index;
      }
      if (auto broken = check_read(after, bytes_max)) return broken;
    }
    return std::nullopt;
  }

  Complaint check_read(Index after, std::size_t bytes_max) const {
    const std::string what =
        "read after " + text_of(after) + " of " + std::to_string(bytes_max) + " bytes ";
    const auto found = storage_->read(after, bytes_max);
    if (!found) return what + "fails: " + found.error().message();
    auto expected = std::ranges::upper_bound(kept_, after, {}, &LogEntry::index);
    const auto left = static_cast<std::size_t>(kept_.end() - expected);
    if (found->empty() != (left == 0)) {
      return what + (left == 0 ? "finds nothing, for there is nothing"
                               : "finds one entry at least, if there is one");
    }
    std::size_t bytes = 0;
    for (const LogEntry& entry : *found) {
      if (expected == kept_.end() || entry.index != expected->index) {
        return what + "finds entries in order and without a gap, not " + text_of(entry.index) +
               " here";
      }
      if (!equal(entry, *expected)) {
        return what + "finds entry " + text_of(entry.index) + " as it was appended";
      }
      if (bytes > bytes_max) return what + "finds little more than that many";
      bytes += entry.command.size();
      ++expected;
    }
    return std::nullopt;
  }

  const std::function<std::shared_ptr<RaftStorage>()>& open_;
  std::shared_ptr<RaftStorage> storage_;
  std::vector<LogEntry> kept_;
  std::optional<ResumeToken> through_;
};

}  // namespace

std::optional<std::string> complaint_about_storage(
    const std::function<std::shared_ptr<RaftStorage>()>& open) {
  return Trial(open).run();
}

}  // namespace kuilt::testing
