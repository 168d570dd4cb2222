// The conversation with clients, in both encodings.
#include "wire/client_messages.hpp"

#include <gtest/gtest.h>

#include "tests/wire/random_messages.hpp"

namespace kuilt::wire {
namespace {

constexpr Encoding both[] = {Encoding::protobuf, Encoding::json};

Bytes octets(std::string_view text) { return Bytes(std::string(text)); }

template <class Decoded>
void expect_refused(const Decoded& decoded, std::string_view reason) {
  ASSERT_FALSE(decoded.has_value());
  EXPECT_EQ(decoded.error().code(), ErrorCode::bad_frame);
  EXPECT_NE(decoded.error().message().find(reason), std::string::npos) << decoded.error().message();
}

TEST(ClientMessages, WhatAClientSaysComesBackAsItWentInBothEncodings) {
  const std::uint64_t seed = 11;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int round = 0; round < 5000; ++round) {
    const ClientMessage message = random_client_message(rng);
    for (const Encoding encoding : both) {
      const Bytes frame = encode(message, encoding);
      const ClientMessage decoded = decode_client(frame, encoding).or_throw();

      ASSERT_EQ(decoded, message) << "round " << round << ": " << frame.text();
      ASSERT_EQ(encode(decoded, encoding), frame) << "round " << round;
    }
  }
}

TEST(ClientMessages, WhatAServerSaysComesBackAsItWentInBothEncodings) {
  const std::uint64_t seed = 12;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int round = 0; round < 5000; ++round) {
    const ServerMessage message = random_server_message(rng);
    for (const Encoding encoding : both) {
      const Bytes frame = encode(message, encoding);
      const ServerMessage decoded = decode_server(frame, encoding).or_throw();

      ASSERT_EQ(decoded, message) << "round " << round << ": " << frame.text();
      ASSERT_EQ(encode(decoded, encoding), frame) << "round " << round;
    }
  }
}

TEST(ClientMessages, EveryVerdictTravelsAndTheNextNumberIsRefused) {
  for (std::uint8_t number = 1; number <= 9; ++number) {
    const ServerMessage reply = ObserveReply{"", ObserveVerdict(number), {}, 0, "", {}};
    if (ObserveVerdict(number) > ObserveVerdict::refused) {
      expect_refused(decode_server(encode(reply, Encoding::protobuf), Encoding::protobuf),
                     "verdict");
      continue;
    }
    for (const Encoding encoding : both) {
      EXPECT_EQ(decode_server(encode(reply, encoding), encoding).or_throw(), reply);
    }
  }
}

TEST(ClientMessages, TheDigestChainHoldsForEntriesThatTravelledAsJson) {
  Rng rng(13);
  Feed feed = random_feed(rng);
  for (std::uint64_t i = 1; i < 50; ++i) {
    feed.entries.push_back(public_part(random_command(rng, {Index(i), Term(1)})));
  }

  const ServerMessage decoded =
      decode_server(encode(ServerMessage(feed), Encoding::json), Encoding::json).or_throw();

  std::uint64_t sent = 7;
  for (const Bytes& part : feed.entries) sent = chain(sent, part);
  std::uint64_t received = 7;
  for (const Bytes& part : std::get<Feed>(decoded).entries) received = chain(received, part);
  EXPECT_EQ(received, sent);
}

TEST(ClientMessages, AClientCannotSpeakForAnother) {
  Propose propose;
  propose.proposals.emplace_back().author = "mallory";

  for (const Encoding encoding : both) {
    const ClientMessage decoded =
        decode_client(encode(ClientMessage(propose), encoding), encoding).or_throw();

    EXPECT_EQ(std::get<Propose>(decoded).proposals.at(0).author, "");
  }
}

TEST(ClientMessages, NoSideTakesTheFramesOfAnother) {
  Rng rng(14);
  for (int round = 0; round < 1000; ++round) {
    const Bytes client = encode(random_client_message(rng), Encoding::protobuf);
    const Bytes server = encode(random_server_message(rng), Encoding::protobuf);
    const Bytes peer = encode(random_peer_message(rng));

    expect_refused(decode_client(peer, Encoding::protobuf), "unknown message type 1");
    expect_refused(decode_server(peer, Encoding::protobuf), "unknown message type 1");
    expect_refused(decode_client(server, Encoding::protobuf), "unknown message type");
    expect_refused(decode_peer(client), "unknown message type");
    expect_refused(decode_peer(server), "unknown message type");
    expect_refused(decode_server(client, Encoding::protobuf), "unknown message type");
    expect_refused(
        decode_client(encode(random_server_message(rng), Encoding::json), Encoding::json),
        "field message: exactly one of its kinds");
  }
}

TEST(ClientMessages, NoFlippedByteDoesMoreThanChangeTheMessage) {
  Rng rng(15);
  for (int round = 0; round < 20000; ++round) {
    const Encoding encoding = both[round % 2];
    const auto flip = [&](const Bytes& frame) {
      std::string text(frame.text());
      text[rng.below(text.size())] = static_cast<char>(rng.next() & 0xffU);
      return Bytes(text);
    };

    const auto client = decode_client(flip(encode(random_client_message(rng), encoding)), encoding);
    const auto server = decode_server(flip(encode(random_server_message(rng), encoding)), encoding);

    if (client) {
      EXPECT_EQ(decode_client(encode(*client, encoding), encoding).or_throw(), *client);
    }
    if (server && encoding == Encoding::json) {
      EXPECT_EQ(decode_server(encode(*server, encoding), encoding).or_throw(), *server);
    }
  }
}

TEST(ClientMessages, NoPrefixOfAFrameIsAMessage) {
  Rng rng(16);
  for (int round = 0; round < 100; ++round) {
    for (const Encoding encoding : both) {
      const Bytes client = encode(random_client_message(rng), encoding);
      const Bytes server = encode(random_server_message(rng), encoding);
      for (std::size_t size = 0; size < client.size(); ++size) {
        EXPECT_FALSE(decode_client(client.slice(0, size), encoding).has_value());
      }
      for (std::size_t size = 0; size < server.size(); ++size) {
        EXPECT_FALSE(decode_server(server.slice(0, size), encoding).has_value());
      }
    }
  }
}

TEST(ClientMessages, AnUnknownFieldIsSkippedInBothEncodings) {
  const ClientMessage unobserve = Unobserve{"a"};

  EXPECT_EQ(decode_client(octets("\x2a\x07\x0a\x01\x61\x7a\x02hi"), Encoding::protobuf).or_throw(),
            unobserve);
  EXPECT_EQ(decode_client(octets(R"({"unobserve":{"room":"a","later":[1,{}]}})"), Encoding::json)
                .or_throw(),
            unobserve);
}

TEST(ClientMessages, SubprotocolsNameTheirEncodings) {
  for (const Encoding encoding : both) EXPECT_EQ(encoding_of(subprotocol_of(encoding)), encoding);
  EXPECT_EQ(encoding_of("kuilt.v1.json"), Encoding::json);
  EXPECT_EQ(encoding_of("kuilt.v2"), std::nullopt);
}

TEST(ClientMessages, ALimitLeavesRoomForTheLargestCommandInBothEncodings) {
  const std::size_t command_bytes = std::size_t{1} << 20;
  for (const char filling : {'"', '\n', '\x01', 'x', '\xff'}) {
    Propose propose;
    propose.proposals.emplace_back().command = Bytes(std::string(command_bytes, filling));
    propose.proposals.back().room = std::string(1024, '"');
    for (const Encoding encoding : both) {
      EXPECT_LE(encode(ClientMessage(propose), encoding).size(),
                client_frame_bytes_max(command_bytes));
    }
  }
}

TEST(ClientMessages, ANameLongerThanItsLimitIsRefused) {
  for (const Encoding encoding : both) {
    const Bytes longest = encode(ClientMessage(Unobserve{std::string(1024, 'r')}), encoding);
    const Bytes longer = encode(ClientMessage(Unobserve{std::string(1025, 'r')}), encoding);

    EXPECT_TRUE(decode_client(longest, encoding).has_value());
    expect_refused(decode_client(longer, encoding), "longer than 1024 bytes");
  }
}

TEST(ClientMessages, AMessageThatIsNotTextIsCutRatherThanRefused) {
  const ServerMessage goodbye = Goodbye{ErrorCode::io, "open \xff\xfe", {}, {}};
  for (const Encoding encoding : both) {
    const ServerMessage decoded = decode_server(encode(goodbye, encoding), encoding).or_throw();

    EXPECT_EQ(std::get<Goodbye>(decoded).message, "open ");
  }
}

TEST(FeedEntries, AreDecodedWithTheirCommandAsASlice) {
  Rng rng(17);
  const Bytes part = public_part(random_command(rng, {Index(5), Term(2)}));

  const FeedEntry entry = decode_feed_entry(part).or_throw();

  EXPECT_EQ(entry.at, (Position{Index(5), Term(2)}));
  EXPECT_GE(entry.command.data(), part.data());
  EXPECT_EQ(encode_feed_entry(entry), part);
}

TEST(FeedEntries, OfAnotherKindOrFormatAreRefused) {
  const Bytes configuration = octets({"\x08\x01\x10\x02", 4});
  const Bytes format = octets({"\x08\x02\x10\x03", 4});

  expect_refused(decode_feed_entry(configuration), "not a command");
  EXPECT_EQ(decode_feed_entry(format).error().code(), ErrorCode::unsupported_format);
}

}  // namespace
}  // namespace kuilt::wire
