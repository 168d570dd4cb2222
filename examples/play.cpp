// A client with a frame loop of its own: callbacks run inside poll, and nowhere else.
// Usage: play ws://host:port [ws://host:port ...]
#include <cstdio>
#include <deque>
#include <string>
#include <thread>
#include <vector>

#include "kuilt/client.hpp"

struct Game {
  std::deque<std::string> moves = {"left", "right", "quit"};
  bool running = true;
  void take(const kuilt::Committed& piece) {
    const auto* seen = std::get_if<kuilt::Committed::Entry>(&piece);
    if (seen == nullptr) return;
    std::printf("%s\n", std::string(seen->entry.command.text()).c_str());
    running = seen->entry.command.text() != "quit";
  }
};

int main(int argc, char** argv) {
  const kuilt::ClusterEndpoints all(std::vector<std::string>(argv + 1, argv + argc));
  Game game;
  auto client = kuilt::ClusterClient::connect(all, {.dispatch = kuilt::Dispatch::poll}).or_throw();
  client.on_committed(kuilt::from_start, [&](const auto& piece) { game.take(piece); }).or_throw();
  for (; game.running; std::this_thread::sleep_for(std::chrono::milliseconds(5))) {
    client.poll(std::chrono::milliseconds(2));
    if (game.moves.empty()) continue;
    client.propose(game.moves.front()).then([](const kuilt::Result<kuilt::Receipt>& done) {
      if (!done) std::printf("refused: %s\n", done.error().message().c_str());
    });
    game.moves.pop_front();
  }
  return 0;
}
