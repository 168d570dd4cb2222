// A counter that many share. Each addition counts once, also if this program is killed meanwhile.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kuilt/client.hpp"

constexpr int times_max = 1000;  // A session has at most 1024 commands that are unfinished.
constexpr auto usage =
    "usage: counter FILE TIMES ws://host:port [ws://host:port ...]\n"
    "Adds one, TIMES times (1 to 1000), and prints the sum of all. FILE remembers what is under "
    "way:\nif this program is killed, the next one with the same FILE finishes it first.\n";

std::optional<int> times_of(std::string_view text) {
  int times = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), times);
  const bool is_number = error == std::errc() && end == text.data() + text.size();
  if (!is_number || times < 1 || times > times_max) return std::nullopt;
  return times;
}

/// Submits all that is recorded. Where the last of it is in the log.
kuilt::Index settle(kuilt::DurableSession& mine) {
  std::vector<std::pair<kuilt::RequestId, kuilt::Pending<kuilt::Receipt>>> pending;
  for (const auto& left : mine.unfinished()) pending.emplace_back(left.id, mine.submit(left.id));
  kuilt::Index last;
  for (auto& [id, receipt] : pending) {
    last = std::max(last, receipt.get().or_throw().index);  // Thrown: it stays unfinished.
    mine.acknowledge(id).or_throw();
  }
  return last;
}

int sum_through(kuilt::ClusterClient& client, kuilt::Index last) {
  auto seen = client.observe(kuilt::from_start, {.room = "counter"}).or_throw();
  int sum = 0;
  while (const auto piece = seen.next()) {
    const auto* found = std::get_if<kuilt::Committed::Entry>(&*piece);
    if (found == nullptr) continue;
    ++sum;
    if (found->entry.index == last) break;
  }
  return sum;
}

int count(const std::string& file, int times, const kuilt::ClusterEndpoints& servers) {
  auto client = kuilt::ClusterClient::connect(servers).or_throw();
  auto mine = client.open_session(file).or_throw();
  if (const auto left = mine.unfinished(); !left.empty()) {
    std::cout << left.size() << " were left unfinished" << std::endl;
    settle(mine);
  }
  for (int i = 0; i < times; ++i) mine.record("+1", "counter").or_throw();
  std::cout << "the counter is at " << sum_through(client, settle(mine)) << std::endl;
  return 0;
}

int main(int argc, char** argv) {
  const auto times = argc > 3 ? times_of(argv[2]) : std::nullopt;
  if (!times) {
    std::fputs(usage, stderr);
    return 2;
  }
  try {
    return count(argv[1], *times, kuilt::ClusterEndpoints({argv + 3, argv + argc}));
  } catch (const kuilt::Failure& failure) {
    std::cerr << "counter: " << failure.what() << "; run it again to finish" << std::endl;
    return 1;
  }
}
