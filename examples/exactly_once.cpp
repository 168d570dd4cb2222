// Proposes each line of its input, exactly once even if it is killed in between and run again.
// Usage: exactly_once FILE ws://host:port [ws://host:port ...]
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "kuilt/client.hpp"

int main(int argc, char** argv) {
  const kuilt::ClusterEndpoints servers(std::vector<std::string>(argv + 2, argv + argc));
  auto client = kuilt::ClusterClient::connect(servers).or_throw();
  auto mine = client.open_session(argv[1]).or_throw();
  const auto settle = [&](kuilt::RequestId id) {
    auto outcome = mine.submit(id).get();
    if (!outcome && outcome.error().code() == kuilt::ErrorCode::session_expired) {
      mine.renew().or_throw();  // Throws while an outcome is lost: look for it in the log.
      outcome = mine.submit(id).get();
    }
    const bool unknown = !outcome && outcome.error().effect() == kuilt::Effect::unknown;
    if (unknown) return;  // It stays unfinished: the next run asks again.
    const char* known = !outcome ? "refused" : outcome->duplicate ? "duplicate" : "committed";
    std::printf("%d %s\n", static_cast<int>(id.value()), known);
    std::fflush(stdout);  // Here it is written down: from now on it may be forgotten.
    mine.acknowledge(id).or_throw();
  };
  for (const auto& left : mine.unfinished()) settle(left.id);  // After a crash: the same ids.
  for (std::string line; std::getline(std::cin, line);) settle(mine.record(line).or_throw());
  return 0;
}
