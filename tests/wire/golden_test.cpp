// Bytes that must never change: a message of each type, as tests/wire/golden/*.hex has it.
#include <set>

#include "tests/wire/golden_file.hpp"
#include "tests/wire/random_messages.hpp"

namespace kuilt::wire {
namespace {

std::string hex_of(BytesView bytes) {
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto octet = std::to_integer<unsigned>(bytes[i]);
    out += "0123456789abcdef"[octet >> 4];
    out += "0123456789abcdef"[octet & 15U];
    if (i % 32 == 31) out += '\n';
  }
  return out + "\n";
}
void expect_golden(const std::string& name, BytesView bytes) {
  expect_file("tests/wire/golden/" + name + ".hex", hex_of(bytes));
}

TEST(Golden, ClientMessages) {
  Rng rng(41);
  std::set<std::size_t> kinds;
  while (kinds.size() < std::variant_size_v<ClientMessage>) {
    const ClientMessage message = random_client_message(rng);
    if (!kinds.insert(message.index()).second) continue;
    const std::string name = "client_" + std::to_string(message.index());
    expect_golden(name, encode(message, Encoding::protobuf));
    expect_file("tests/wire/golden/" + name + ".json",
                std::string(encode(message, Encoding::json).text()) + "\n");
  }
}

TEST(Golden, ServerMessages) {
  Rng rng(42);
  std::set<std::size_t> kinds;
  while (kinds.size() < std::variant_size_v<ServerMessage>) {
    const ServerMessage message = random_server_message(rng);
    if (!kinds.insert(message.index()).second) continue;
    const std::string name = "server_" + std::to_string(message.index());
    expect_golden(name, encode(message, Encoding::protobuf));
    expect_file("tests/wire/golden/" + name + ".json",
                std::string(encode(message, Encoding::json).text()) + "\n");
  }
}

TEST(Golden, PeerMessages) {
  Rng rng(43);
  std::set<std::string> names;
  while (names.size() < 13) {
    const PeerMessage message = random_peer_message(rng);
    std::string name = "peer_" + std::to_string(message.index());
    if (const auto* raft_message = std::get_if<raft::Message>(&message)) {
      name += "_" + std::to_string(raft_message->index());
    }
    if (names.insert(name).second) expect_golden(name, encode(message));
  }
}

TEST(Golden, StoredEntries) {
  Rng rng(44);
  expect_golden("stored_command", random_command(rng, {Index(17), Term(3)}).stored);
  const auto configuration = std::make_shared<const raft::Configuration>(random_configuration(rng));
  expect_golden("stored_configuration",
                encode_configuration({Index(1), Term(1)}, LogTime(7), configuration).stored);
}

}  // namespace
}  // namespace kuilt::wire
