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

template <class Message>
void expect_golden_frame(const std::string& name, const Message& message) {
  expect_golden(name, encode(message, Encoding::protobuf));
  expect_file("tests/wire/golden/" + name + ".json",
              std::string(encode(message, Encoding::json).text()) + "\n");
}

/// The first message of each kind that `draw` comes upon, until there are `count` kinds. Each group
/// of messages has its own seed and its own source, so that later ones change no golden file.
template <class Draw>
void expect_first_of_each(const std::string& side, std::uint64_t seed, std::size_t count,
                          Draw draw) {
  Rng rng(seed);
  std::set<std::size_t> kinds;
  while (kinds.size() < count) {
    const auto message = draw(rng);
    if (!kinds.insert(message.index()).second) continue;
    expect_golden_frame(side + std::to_string(message.index()), message);
  }
}

TEST(Golden, ClientMessages) { expect_first_of_each("client_", 41, 5, random_log_client_message); }

TEST(Golden, ServerMessages) { expect_first_of_each("server_", 42, 6, random_log_server_message); }

TEST(Golden, RoomMessages) {
  expect_first_of_each("room_client_", 45, 4, random_room_client_message);
  expect_first_of_each("room_server_", 46, 4, random_room_server_message);
  Rng rng(47);
  expect_golden("room_peer_0", encode(PeerMessage(random_peer_rooms(rng))));
  expect_golden("room_peer_1", encode(PeerMessage(PeerRoomsTaken{rng.next(), 7})));
}

TEST(Golden, ReadMessages) {
  expect_first_of_each("read_client_", 48, 1, random_read_client_message);
  expect_first_of_each("read_server_", 49, 1, random_read_server_message);
  expect_golden_frame(
      "read_server_refused",
      ServerMessage(BarrierAnswer{7, RefusedOutcome{ErrorCode::no_leader, "none was known in time",
                                                    true, std::chrono::milliseconds(100)}}));
  const BootId boot = BootId::named("boot");
  expect_golden("read_peer_0",
                encode(PeerMessage(raft::Message(raft::ReadRequest{Term(3), 9, boot}))));
  expect_golden(
      "read_peer_1",
      encode(PeerMessage(raft::Message(raft::ReadReply{Term(3), 9, boot, true, Index(17)}))));
}

TEST(Golden, PeerMessages) {
  Rng rng(43);
  std::set<std::string> names;
  while (names.size() < 13) {
    const PeerMessage message = random_core_message(rng);
    std::string name = "peer_" + std::to_string(message.index());
    if (const auto* raft_message = std::get_if<raft::Message>(&message)) {
      name += "_" + std::to_string(raft_message->index());
    }
    if (names.insert(name).second) expect_golden(name, encode(message));
  }
}

TEST(Golden, TransferMessages) {
  Rng rng(48);
  expect_golden("transfer_peer_0", encode(random_stand_request(rng)));
  expect_golden("transfer_peer_1", encode(random_transfer_vote(rng)));
}

TEST(Golden, StoredEntries) {
  Rng rng(44);
  expect_golden("stored_command", random_command(rng, {Index(17), Term(3)}).stored);
  const auto configuration = std::make_shared<const raft::Configuration>(random_configuration(rng));
  expect_golden("stored_configuration",
                encode_configuration({Index(1), Term(1)}, LogTime(7), configuration).stored);
}

// Of a source of their own: the files before stay what they are.
TEST(Golden, ChangesOfMembers) {
  Rng rng(48);
  auto joint = random_changing_configuration(rng);
  expect_golden("configuration_changing", encode_configuration_record(joint));
  const raft::VoteReply told{Term(5), true, false, Position{Index(300), Term(4)}};
  expect_golden("peer_vote_reply_to_who_left", encode(PeerMessage(raft::Message(told))));
}

TEST(Golden, JoinMessages) {
  Rng rng(50);
  expect_golden("join_request",
                encode(PeerMessage(JoinRequest{"d", "10.0.0.4:7401", "ws://10.0.0.4:7400"})));
  const Bytes record = encode_configuration_record(random_configuration(rng));
  expect_golden("join_accepted", encode(PeerMessage(JoinReply{JoinAccepted{record}})));
  expect_golden("join_refused", encode(PeerMessage(JoinReply{JoinRefused{
                                    ErrorCode::not_leader, "server a leads", "10.0.0.1:7401"}})));
}

}  // namespace
}  // namespace kuilt::wire
