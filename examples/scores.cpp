// One server with rules of its own: only "score NAME" gets into the log, and each answer says how
// many NAME has by then. Usage: scores [host:port [directory]]
#include <cstdio>
#include <map>
#include <string>

#include "kuilt/server.hpp"

struct Scores final : kuilt::StateMachine {
  std::map<std::string, int> score;
  kuilt::Status admit(const std::string& /*author*/, kuilt::BytesView command) override {
    if (command.text().starts_with("score ")) return kuilt::Done{};
    return kuilt::Error(kuilt::ErrorCode::invalid_argument, "say: score NAME");
  }
  kuilt::Bytes apply(const kuilt::LogEntry& entry) override {
    const std::string name(entry.command.text().substr(6));
    return kuilt::Bytes(name + " has " + std::to_string(++score[name]));
  }
};

int main(int argc, char** argv) {
  kuilt::ServerOptions options;
  if (argc > 1) options.listen = argv[1];
  if (argc > 2) options.data = argv[2];
  options.admin_listen = "";
  Scores scores;  // Borrowed by the server, and outlives it.
  auto server = kuilt::ServerCluster::open(options, scores).or_throw();
  server.start().or_throw();
  std::printf("scores are kept at %s\n", server.endpoints().urls().front().c_str());
  std::fflush(stdout);
  return server.run_until_signal();
}
