// What servers say to each other, as bytes.
#include "wire/peer_messages.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "tests/wire/random_messages.hpp"

namespace kuilt::wire {
namespace {

void expect_refused(const Result<PeerMessage>& decoded, ErrorCode code, std::string_view reason) {
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), code) << decoded.error().message();
  EXPECT_NE(decoded.error().message().find(reason), std::string::npos) << decoded.error().message();
}

Bytes octets(std::string_view text) { return Bytes(std::string(text)); }

TEST(PeerMessages, EveryMessageComesBackAsItWent) {
  const std::uint64_t seed = 1;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int round = 0; round < 5000; ++round) {
    const PeerMessage message = random_peer_message(rng);

    const Bytes frame = encode(message);
    const PeerMessage decoded = decode_peer(frame).or_throw();

    ASSERT_EQ(decoded, message) << "round " << round;
    ASSERT_EQ(encode(decoded), frame) << "round " << round;
  }
}

TEST(PeerMessages, EntriesAndCommandsAreSlicesOfTheFrame) {
  Rng rng(2);
  raft::AppendRequest request{Term(4), {Index(9), Term(4)}, Index(8), {}};
  request.entries.push_back(random_command(rng, {Index(10), Term(4)}));

  const Bytes frame = encode(PeerMessage(raft::Message(request)));
  const PeerMessage decoded = decode_peer(frame).or_throw();

  const auto& append = std::get<raft::AppendRequest>(std::get<raft::Message>(decoded));
  const Bytes& stored = append.entries.at(0).stored;
  EXPECT_GE(stored.data(), frame.data());
  EXPECT_LE(stored.data() + stored.size(), frame.data() + frame.size());
}

TEST(PeerMessages, EveryPrefixOfAFrameIsRefusedOrAnotherWholeMessage) {
  Rng rng(3);
  for (int round = 0; round < 200; ++round) {
    const Bytes frame = encode(random_peer_message(rng));
    for (std::size_t size = 0; size < frame.size(); ++size) {
      EXPECT_FALSE(decode_peer(frame.slice(0, size)).has_value());
    }
  }
}

TEST(PeerMessages, NoFlippedByteDoesMoreThanChangeTheMessage) {
  Rng rng(4);
  for (int round = 0; round < 20000; ++round) {
    std::string text(encode(random_peer_message(rng)).text());
    if (text.empty()) continue;
    text[rng.below(text.size())] = static_cast<char>(rng.next() & 0xffU);

    const Result<PeerMessage> decoded = decode_peer(Bytes(text));

    if (!decoded) continue;
    EXPECT_EQ(decode_peer(encode(*decoded)).or_throw(), *decoded);
  }
}

TEST(PeerMessages, AnEntryThatIsNotWhereTheAppendPutsItIsRefused) {
  Rng rng(5);
  raft::AppendRequest request{Term(4), {Index(9), Term(4)}, Index(8), {}};
  request.entries.push_back(random_command(rng, {Index(10), Term(4)}));
  std::string text(encode(PeerMessage(raft::Message(request))).text());
  const std::size_t prev = text.find("\x08\x09");  // Position.index of prev.
  ASSERT_NE(prev, std::string::npos);
  text[prev + 1] = 10;

  expect_refused(decode_peer(Bytes(text)), ErrorCode::bad_frame,
                 "append: entry 11 of term 4: bytes of another position");
}

TEST(PeerMessages, AnAppendAfterTheLastPossibleIndexIsRefused) {
  raft::AppendRequest request{Term(4), {Index(8), Term(4)}, Index(8), {no_op({Index(9), Term(4)})}};
  std::string text(encode(PeerMessage(raft::Message(request))).text());
  const std::size_t prev = text.find("\x12\x04\x08\x08");
  ASSERT_NE(prev, std::string::npos);
  text.replace(prev, 4, "\x12\x0d\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13);
  text[2] = static_cast<char>(text[2] + 9);

  expect_refused(decode_peer(Bytes(text)), ErrorCode::bad_frame, "field prev: no index can follow");
}

TEST(PeerMessages, AnEntryOfALaterKindIsUnsupportedAndNotMerelyBad) {
  const Bytes frame = octets({"\xa2\x08\x06\x22\x04\x08\x01\x10\x07", 9});

  expect_refused(decode_peer(frame), ErrorCode::unsupported_format,
                 "field kind at byte 8: no such value: 7");
}

TEST(PeerMessages, RefusalsSayWhichFieldAndWhere) {
  // A vote request (130) whose term is cut off, of another wire type, given twice.
  expect_refused(decode_peer(octets({"\x92\x08\x02\x08\x80", 5})), ErrorCode::bad_frame,
                 "field term at byte 4: cut off");
  expect_refused(decode_peer(octets({"\x92\x08\x02\x0a\x00", 5})), ErrorCode::bad_frame,
                 "field term at byte 4: of another wire type");
  expect_refused(decode_peer(octets({"\x92\x08\x04\x08\x01\x08\x01", 7})), ErrorCode::bad_frame,
                 "field term at byte 6: given twice");
  expect_refused(decode_peer(octets({"\x92\x08\x05\x08", 4})), ErrorCode::bad_frame,
                 "field vote_request at byte 2: longer than what is left");
  expect_refused(decode_peer(octets({"\x8a\x08\x00", 3})), ErrorCode::bad_frame,
                 "field proof at byte 3: missing");
  expect_refused(decode_peer(octets({"\x92\x08\x00\x92\x08\x00", 6})), ErrorCode::bad_frame,
                 "field vote_request at byte 5: given twice");
  expect_refused(decode_peer({}), ErrorCode::bad_frame, "field message at byte 0: missing");
}

TEST(PeerMessages, AnUnknownFieldIsSkippedAndAnUnknownMessageIsNot) {
  const PeerMessage vote = raft::Message(raft::VoteReply{Term(5), false, true});

  EXPECT_EQ(decode_peer(octets({"\x9a\x08\x08\x08\x05\x18\x01\x7a\x02hi", 11})).or_throw(), vote);
  expect_refused(decode_peer(octets({"\xba\x09\x00", 3})), ErrorCode::bad_frame,
                 "unknown message type 151");
}

TEST(PeerMessages, AFrameOfManyEmptyItemsIsRefusedBeforeItCostsMemory) {
  std::string proposals;
  for (std::size_t i = 0; i < 65537; ++i) proposals += std::string("\x12\x00", 2);
  std::string frame("\xc2\x08", 2);
  for (std::size_t left = proposals.size(); left > 0; left >>= 7) {
    frame += static_cast<char>(left >= 0x80U ? left | 0x80U : left);
  }

  expect_refused(decode_peer(Bytes(frame + proposals)), ErrorCode::bad_frame,
                 "more than 65536 items");
}

TEST(PeerMessages, ALimitLeavesRoomForTheLargestEntry) {
  Command command;
  const std::string body(std::size_t{1} << 20, 'x');
  const std::string name(1024, 'n');
  command.at = {Index(10), Term(4)};
  command.room = command.author = name;
  command.request_id = RequestId(1);
  command.session = SessionId::named("s");
  command.body = BytesView(body);
  command.digest = command_digest(name, command.body);
  const raft::Entry entry = encode_command(command);
  const raft::AppendRequest request{Term(4), {Index(9), Term(4)}, Index(8), {entry}};

  EXPECT_LT(entry.stored.size(), body.size() + 4096);
  EXPECT_LT(encode(PeerMessage(raft::Message(request))).size(), peer_frame_bytes_max(body.size()));
}

TEST(PeerProof, IsOfOneSideOnlyAndCoversAllThatDecides) {
  Rng rng(6);
  const PeerHello initiator = random_peer_hello(rng);
  const PeerHello acceptor = random_peer_hello(rng);
  const Bytes input = proof_input(true, initiator, acceptor, 1);

  EXPECT_NE(input, proof_input(false, initiator, acceptor, 1));
  EXPECT_NE(input, proof_input(true, acceptor, initiator, 1));
  EXPECT_NE(input, proof_input(true, initiator, acceptor, 2));
  const auto covers = [&](const auto& change) {
    PeerHello other = acceptor;
    change(other);
    EXPECT_NE(input, proof_input(true, initiator, other, 1));
  };
  covers([](PeerHello& h) { h.version_min ^= 1U; });
  covers([](PeerHello& h) { h.version_max ^= 1U; });
  covers([](PeerHello& h) { h.features ^= 1U; });
  covers([](PeerHello& h) { h.cluster = ClusterId::named("x"); });
  covers([](PeerHello& h) { h.history = HistoryId::named("x"); });
  covers([](PeerHello& h) { h.node = NodeId::named("x"); });
  covers([](PeerHello& h) { h.boot = BootId::named("x"); });
  covers([](PeerHello& h) { h.nonce[31] ^= std::byte{1}; });
}

TEST(PeerMessagesDeathTest, AnAppendWithAGapIsABug) {
  const raft::AppendRequest request{
      Term(4), {Index(9), Term(4)}, Index(8), {no_op({Index(11), Term(4)})}};

  EXPECT_DEATH(static_cast<void>(encode(PeerMessage(raft::Message(request)))), "entry.at.index");
}

}  // namespace
}  // namespace kuilt::wire
