// One server with a state machine: each command is a point for its author. It starts again from its
// newest snapshot, and applies what follows. Usage: scores HOST:PORT DIRECTORY
#include <iomanip>
#include <map>
#include <sstream>
#include <string>

#include "kuilt/server.hpp"

using namespace kuilt;

struct Scores final : StateMachine {
  std::map<std::string, int> score;
  Bytes apply(const LogEntry& e) override { return Bytes(std::to_string(++score[e.author])); }
  SnapshotWriter freeze() override {       // On the apply thread: a cheap copy,
    return [frozen = score](Sink& sink) {  // which is written elsewhere.
      std::ostringstream text;
      for (const auto& [name, points] : frozen) text << std::quoted(name) << ' ' << points << '\n';
      return sink.write(text.str());
    };
  }
  Status restore(Source& source) override {
    std::istringstream text(std::string(source.read_all().or_throw().text()));
    for (std::string name; text >> std::quoted(name);) text >> score[name];
    return Done{};
  }
};

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  Scores scores;  // Borrowed by the server, and outlives it.
  const ServerOptions options{.data = argv[2], .listen = argv[1], .admin_listen = ""};
  auto server = ServerCluster::open(options, scores).or_throw();
  server.start().or_throw();
  return server.run_until_signal();
}
