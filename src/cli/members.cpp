#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cli/admin_leader.hpp"
#include "cli/admin_members.hpp"
#include "cli/commands.hpp"
#include "cli/json_line.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto notes = R"(Examples:
  kuilt members                                the members, and whether a change is under way
  kuilt members add d                          wait until d, started with --join, votes
  kuilt members remove c                       for good: c stops, and its directory is of no use
  kuilt members replace c                      c has lost its directory: remove it, wait for a new c
  kuilt members replace c --by d               one change: d, a learner, votes instead of c
  kuilt members promote d                      let d vote, which is a learner

Orders go to the server that leads, by the admin listeners. A change goes by joint consensus, one at
a time, while clients go on: new voters first get the log, then both sets of voters decide together,
then the new set alone. Each step is told on standard error.
Exit status: 0 the members are as ordered · 1 refused, or given up: the message says why · 3 no
server answers, there is no leader, or it took too long · 4 it may happen yet.)";

struct Flags {
  Common common;
  std::string admin;
  std::vector<std::string> names;
  std::string name;
  std::string by;
  std::chrono::milliseconds wait = std::chrono::minutes(2);
};

void tell(const std::string& line) { std::fprintf(stderr, "%s\n", line.c_str()); }

constexpr auto row_form = "%-10s %-12s %8s  %-24s %-28s %s";

std::string row_text(const AdminMember& of) {
  char line[512];
  std::snprintf(line, sizeof line, row_form, of.name.c_str(), of.standing.c_str(),
                of.behind ? std::to_string(*of.behind).c_str() : "-", of.peer.c_str(),
                of.client.c_str(), of.id.c_str());
  return line;
}

std::string list_text(const AdminMembers& all) {
  char head[512];
  std::snprintf(head, sizeof head, row_form, "name", "standing", "behind", "peer", "client", "id");
  std::string text = head;
  for (const AdminMember& one : all.members) text += "\n" + row_text(one);
  if (all.stage == "settled") return text + "\nsettled: no change is under way";
  return text + "\na change is under way: " + all.stage;
}

std::string list_json(const AdminMembers& all) {
  std::string text;
  for (const AdminMember& one : all.members) {
    JsonLine line;
    line.add("name", one.name).add("standing", one.standing);
    if (one.behind) line.add("behind", *one.behind);
    line.add("peer", one.peer).add("client", one.client).add("id", one.id);
    text += (text.empty() ? "" : "\n") + line.add("stage", all.stage).text();
  }
  return text;
}

int list(const Flags& flags) {
  const auto all = ask_members(admin_of(flags.admin));
  if (!all) return report(all.error());
  (void)put_line(flags.common.json() ? list_json(*all) : list_text(*all));
  return 0;
}

/// One change, from the order to its end. It asks whoever leads, again and again.
class Following {
 public:
  explicit Following(const Flags& flags)
      : addresses_(admin_of(flags.admin)), deadline_(Clock::now() + flags.wait) {}

  /// Gives the order, once nothing else is under way. `removes`: who is to leave by it.
  Status order(const std::string& query, const std::vector<std::string>& removes) {
    while (true) {
      const auto leading = find_leader(addresses_);
      if (leading && hands_over_first(*leading, removes)) continue;
      Status begun = leading ? give(leading->address, query) : Status(leading.error());
      if (begun) return Done{};
      const ErrorCode code = begun.error().code();
      // Who leads now is known to itself last of all.
      const bool is_news = leading.has_value() || Clock::now() < handed_over_at_ + patience;
      const bool may_pass = code == ErrorCode::no_leader || code == ErrorCode::busy ||
                            (code == ErrorCode::not_leader && is_news);
      if (!may_pass || is_late()) return begun;
      tell_once(begun.error().message());
      rest();
    }
  }

  /// Looks until `is_done` says so of settled members; tells what changes meanwhile.
  template <class IsDone>
  Result<AdminMembers> await(IsDone is_done) {
    std::optional<AdminMembers> last;
    Clock::time_point answered = Clock::now();
    while (true) {
      const auto all = ask_members(addresses_);
      if (all) {
        answered = Clock::now();
        last = *all;
        if (all->stage != "settled") tell_once(progress_of(*all));
        const auto done = is_done(*all);
        if (!done) return done.error();
        if (*done) return *all;
      } else if (Clock::now() > answered + patience) {
        return Error(all.error().code(), Effect::unknown, all.error().message());
      }
      if (is_late()) {
        return Error(ErrorCode::timed_out,
                     last && last->stage != "settled" ? Effect::unknown : Effect::none,
                     "the members were not as ordered in time (--wait)");
      }
      rest();
    }
  }

  void tell_once(const std::string& line) {
    if (line != told_) tell(line);
    told_ = line;
  }
  [[nodiscard]] const std::vector<std::string>& addresses() const { return addresses_; }

 private:
  // A leader that leaves takes the word of its end with it: so another one leads first, if that is
  // where it can be asked.
  bool hands_over_first(const Leading& leading, const std::vector<std::string>& removes) {
    const bool leaves = std::ranges::find(removes, leading.name) != removes.end();
    if (!leaves || addresses_.size() < 2 || std::exchange(has_handed_over_, true)) return false;
    tell_once("server " + leading.name + " leads, and hands over first");
    handed_over_at_ = Clock::now();
    return give_order(leading.address, "/transfer").has_value();
  }
  static Status give(const std::string& address, const std::string& query) {
    const auto answer = give_order(address, "/change-members?" + query);
    return answer ? Status(Done{}) : Status(answer.error());
  }
  static std::string progress_of(const AdminMembers& all) {
    std::string text = all.stage;
    for (const AdminMember& one : all.members) {
      if (one.standing != "catching up") continue;
      text += ", " + one.name + " lacks " +
              (one.behind ? std::to_string(*one.behind) : std::string("?")) + " entries";
    }
    return text;
  }
  [[nodiscard]] bool is_late() const { return Clock::now() >= deadline_; }
  static void rest() { std::this_thread::sleep_for(std::chrono::milliseconds(50)); }

  // For the leader to be found again, when it was another one.
  static constexpr auto patience = std::chrono::seconds(5);
  const std::vector<std::string> addresses_;
  const Clock::time_point deadline_;
  Clock::time_point handed_over_at_{};
  std::string told_;
  bool has_handed_over_ = false;
};

std::string query_of(const char* key, const std::string& name) {
  return std::string(key) + "=" + percent_encoded(name);
}

const AdminMember* named(const AdminMembers& all, const std::string& name) {
  for (const AdminMember& one : all.members) {
    if (one.name == name) return &one;
  }
  return nullptr;
}

Error given_up(const std::string& name) {
  return Error(ErrorCode::change_given_up, Effect::none,
               "server " + name + " is a learner still: it was silent, or did not catch up");
}

int finish(const Flags& flags, const Result<AdminMembers>& end, const std::string& words) {
  if (!end) return report(end.error());
  const std::size_t voters = static_cast<std::size_t>(
      std::ranges::count(end->members, std::string("voter"), &AdminMember::standing));
  if (flags.common.json()) {
    (void)put_line(JsonLine()
                       .add("done", words)
                       .add("members", std::uint64_t{end->members.size()})
                       .add("voters", std::uint64_t{voters})
                       .text());
  } else {
    (void)put_line(words + "; the cluster has " + std::to_string(voters) + " voters");
  }
  return 0;
}

/// Until that server votes. It is promoted, should it be a learner and nobody is at it.
Result<AdminMembers> await_voter(Following& following, const std::string& name,
                                 const std::string& hint) {
  bool promoted = false;
  return following.await([&](const AdminMembers& all) -> Result<bool> {
    const AdminMember* member = named(all, name);
    if (member == nullptr) {
      following.tell_once(hint);
      return false;
    }
    if (all.stage != "settled") return false;
    if (member->standing == "voter") return true;
    if (std::exchange(promoted, true)) return given_up(name);
    const Status begun = following.order(query_of("promote", name), {});
    if (!begun) return begun.error();
    return false;
  });
}

std::string how_to_join(const std::string& name) {
  return "waiting for " + name + ": start it with kuilt serve --name " + name +
         " --join HOST:PORT --secret-file FILE";
}

int add(const Flags& flags) {
  Following following(flags);
  const auto end = await_voter(following, flags.name, how_to_join(flags.name));
  return finish(flags, end, flags.name + " votes");
}

int promote(const Flags& flags) {
  Following following(flags);
  if (const Status begun = following.order(query_of("promote", flags.name), {}); !begun) {
    return report(begun.error());
  }
  const auto is_done = [&](const AdminMembers& all) -> Result<bool> {
    if (all.stage != "settled") return false;
    const AdminMember* member = named(all, flags.name);
    if (member == nullptr || member->standing != "voter") return given_up(flags.name);
    return true;
  };
  return finish(flags, following.await(is_done), flags.name + " votes");
}

/// Once these have left, and nothing is under way.
Result<AdminMembers> remove_all(Following& following, const std::vector<std::string>& names,
                                const std::string& promoted = {}) {
  std::string query = promoted.empty() ? "" : query_of("promote", promoted);
  for (const std::string& name : names) {
    query += (query.empty() ? "" : "&") + query_of("remove", name);
  }
  if (const Status begun = following.order(query, names); !begun) return begun.error();
  return following.await([&](const AdminMembers& all) -> Result<bool> {
    if (all.stage != "settled") return false;
    for (const std::string& name : names) {
      if (named(all, name) == nullptr) continue;
      return Error(ErrorCode::change_given_up, Effect::none,
                   "server " + name + " is a member still: the change was given up");
    }
    return true;
  });
}

int remove(const Flags& flags) {
  Following following(flags);
  return finish(flags, remove_all(following, flags.names), joined(flags.names, ", ") + " removed");
}

int replace(const Flags& flags) {
  Following following(flags);
  auto end = remove_all(following, {flags.name}, flags.by);
  if (!flags.by.empty() || !end) {
    return finish(flags, end, flags.by + " votes instead of " + flags.name);
  }
  tell("the old " + flags.name + " is removed");
  end = await_voter(following, flags.name, how_to_join(flags.name));
  return finish(flags, end, flags.name + " votes, with its new directory");
}

Argument server_name(Flags& flags) {
  return {.name = "NAME", .value = text(flags.name), .help = "Of the server"};
}

Flag wait_flag(Flags& flags) {
  return {.name = "--wait",
          .value = duration(flags.wait),
          .help = "How long to follow the change; it goes on without"};
}

}  // namespace

Command members_command() {
  const auto flags = std::make_shared<Flags>();
  const std::vector<Flag> following = {admin_flag(flags->admin), wait_flag(*flags),
                                       output_flag(flags->common)};
  const std::vector<Flag> looking = {admin_flag(flags->admin), output_flag(flags->common)};
  std::vector<Flag> replacing = following;
  replacing.push_back(
      {.name = "--by",
       .value = text(flags->by, "NAME"),
       .help = "A learner that votes instead; without it: a new server of the name"});
  return {.name = "members",
          .about = "The members of the cluster: see them, and change them",
          .notes = notes,
          .flags = looking,
          .commands = {{.name = "list",
                        .about = "All members, and where a change of them stands",
                        .notes = notes,
                        .flags = looking,
                        .run = [flags](Command&) { return list(*flags); }},
                       {.name = "add",
                        .about = "Wait until a server that joins votes",
                        .notes = notes,
                        .arguments = {server_name(*flags)},
                        .flags = following,
                        .run = [flags](Command&) { return add(*flags); }},
                       {.name = "remove",
                        .about = "Remove servers, for good",
                        .notes = notes,
                        .arguments = {{.name = "NAME",
                                       .value = list(flags->names, "NAME"),
                                       .help = "Of the servers, all removed by one change"}},
                        .flags = following,
                        .run = [flags](Command&) { return remove(*flags); }},
                       {.name = "replace",
                        .about = "Remove a server, and let another one vote instead",
                        .notes = notes,
                        .arguments = {server_name(*flags)},
                        .flags = replacing,
                        .run = [flags](Command&) { return replace(*flags); }},
                       {.name = "promote",
                        .about = "Let a learner vote",
                        .notes = notes,
                        .arguments = {server_name(*flags)},
                        .flags = following,
                        .run = [flags](Command&) { return promote(*flags); }}},
          .run = [flags](Command&) { return list(*flags); }};
}

}  // namespace kuilt::cli
