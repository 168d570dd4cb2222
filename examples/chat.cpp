// A chat: rooms on one log. Who comes late reads all that was said before.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>
#include <variant>
#include <vector>

#include "kuilt/client.hpp"

constexpr auto usage =
    "usage: chat NAME ROOM ws://host:port [ws://host:port ...]\n"
    "Each line of input is said in ROOM, by NAME. The end of input, Ctrl-D, is the end.\n";

/// In one piece: callbacks print from a thread of their own.
void print(std::ostream& where, const std::string& line) { where << line + '\n' << std::flush; }

/// Prints what is said, and remembers how far the room was read.
class Room {
 public:
  void take(const kuilt::Committed& piece) {
    if (const auto* said = std::get_if<kuilt::Committed::Entry>(&piece)) {
      const auto& entry = said->entry;
      print(std::cout, entry.author + ": " + std::string(entry.command.text()));
    } else if (const auto* advance = std::get_if<kuilt::Committed::Advance>(&piece)) {
      read_ = advance->through.index.value();
      read_.notify_all();
    }
  }
  void await(kuilt::Index index) const {
    for (auto read = read_.load(); read < index.value(); read = read_.load()) read_.wait(read);
  }

 private:
  std::atomic<std::uint64_t> read_ = 0;
};

int chat(const std::string& name, const std::string& room_name,
         const kuilt::ClusterEndpoints& servers) {
  Room room;
  kuilt::ClientOptions options;
  options.name = name;
  options.on_event = [](const kuilt::ClientEvent& event) {
    if (event.kind == kuilt::ClientEventKind::connected)
      print(std::cerr, "(in touch with " + event.text + ")");
  };
  auto client = kuilt::ClusterClient::connect(servers, options).or_throw();
  const auto take = [&room](const kuilt::Committed& piece) { room.take(piece); };
  client.on_committed(kuilt::from_start, take, {.room = room_name}).or_throw();

  kuilt::Index last;
  for (std::string line; std::getline(std::cin, line);) {
    if (line.empty()) continue;
    const auto said = client.propose(line, {.room = room_name}).get();
    if (said) {
      last = said->index;
    } else {
      print(std::cerr, "(not said: " + said.error().message() + ")");
    }
  }
  room.await(last);
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fputs(usage, stderr);
    return 2;
  }
  try {
    return chat(argv[1], argv[2], kuilt::ClusterEndpoints({argv + 3, argv + argc}));
  } catch (const kuilt::Failure& failure) {
    std::cerr << "chat: " << failure.what() << std::endl;
    return 1;
  }
}
