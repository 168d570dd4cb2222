// The encoding of one log entry, and the gate that admits one.
#include "wire/entry.hpp"

#include <gtest/gtest.h>

#include "tests/wire/wire_values.hpp"

namespace kuilt::wire {
namespace {

using raft::EntryKind;

Command sample() {
  Command command;
  command.at = {Index(17), Term(3)};
  command.log_time = LogTime(5'000'000'000);
  command.room = "chess";
  command.author = "ada";
  command.request_id = RequestId(9);
  command.body = BytesView("move e2e4");
  command.session = SessionId::named("ada's");
  command.birth = Index(4);
  command.floor = RequestId(8);
  command.digest = command_digest(command.room, command.body);
  return command;
}

raft::SharedConfiguration sample_configuration() {
  raft::Configuration configuration;
  configuration.cluster = ClusterId::named("cluster");
  configuration.history = HistoryId::named("history");
  configuration.members = {{NodeId(1, 1), "a", "h1:7401", "ws://h1:7400", true},
                           {NodeId(2, 2), "b", "h2:7401", "ws://h2:7400", false}};
  configuration.parameters.session_window = 0;
  return std::make_shared<const raft::Configuration>(configuration);
}

void expect_equal(const Command& a, const Command& b) {
  EXPECT_EQ(a.at, b.at);
  EXPECT_EQ(a.log_time, b.log_time);
  EXPECT_EQ(a.log_id, b.log_id);
  EXPECT_EQ(a.room, b.room);
  EXPECT_EQ(a.author, b.author);
  EXPECT_EQ(a.request_id, b.request_id);
  EXPECT_EQ(a.body, b.body);
  EXPECT_EQ(a.session, b.session);
  EXPECT_EQ(a.birth, b.birth);
  EXPECT_EQ(a.floor, b.floor);
  EXPECT_EQ(a.digest, b.digest);
}

/// The refusal of these bytes, which must come with `code` and mention `reason`.
void expect_refused(const Result<raft::Entry>& admitted, ErrorCode code, std::string_view reason) {
  ASSERT_FALSE(admitted.has_value());
  EXPECT_EQ(admitted.error().code(), code) << admitted.error().message();
  EXPECT_NE(admitted.error().message().find(reason), std::string::npos)
      << admitted.error().message();
}

/// The same bytes with the first occurrence of `from` replaced; both must be equally long.
Bytes altered(const Bytes& stored, std::string_view from, std::string_view to) {
  std::string text(stored.text());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos);
  return Bytes(text.replace(at, from.size(), to));
}

TEST(Entry, ACommandComesBackAsItWent) {
  const Command command = sample();

  const raft::Entry entry = encode_command(command);

  EXPECT_EQ(entry.at, command.at);
  EXPECT_EQ(entry.kind, EntryKind::command);
  expect_equal(decode_command(entry).or_throw(), command);
  EXPECT_EQ(log_time_of(entry), command.log_time);
}

TEST(Entry, RandomCommandsComeBackAsTheyWentThroughTheGate) {
  const std::uint64_t seed = 20;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Rng rng(seed);
  for (int round = 0; round < 2000; ++round) {
    const std::string room = random_text(rng, 12);
    const std::string author = random_text(rng, 12);
    const std::string body = random_octets(rng, 300);
    Command command = sample();
    command.at = random_position(rng);
    command.log_time = LogTime(random_number(rng));
    command.log_id = random_number(rng);
    command.room = room;
    command.author = author;
    command.body = BytesView(body);
    command.request_id = RequestId(random_positive(rng));
    command.birth = Index(random_number(rng));
    command.floor = RequestId(random_number(rng));
    command.digest = command_digest(room, command.body);

    const raft::Entry entry = encode_command(command);
    const raft::Entry admitted =
        admit_stored(entry.at, entry.kind, Bytes::copy_of(entry.stored)).or_throw();

    EXPECT_EQ(admitted, entry);
    expect_equal(decode_command(admitted).or_throw(), command);
  }
}

TEST(Entry, AConfigurationComesBackThroughTheGate) {
  const Position at{Index(1), Term(1)};
  const raft::SharedConfiguration configuration = sample_configuration();

  const raft::Entry entry = encode_configuration(at, LogTime(7), configuration);
  const raft::Entry admitted = admit_stored(at, EntryKind::configuration, entry.stored).or_throw();

  ASSERT_NE(admitted.configuration, nullptr);
  EXPECT_EQ(*admitted.configuration, *configuration);
  EXPECT_EQ(admitted.stored, entry.stored);
  EXPECT_EQ(log_time_of(admitted), LogTime(7));
}

TEST(Entry, ANoOpHasNoBytesAndNoTime) {
  const Position at{Index(3), Term(2)};

  const raft::Entry entry = no_op(at);

  EXPECT_TRUE(entry.stored.empty());
  EXPECT_EQ(log_time_of(entry), LogTime());
  EXPECT_EQ(admit_stored(at, EntryKind::no_op, {}).or_throw(), entry);
  expect_refused(admit_stored(at, EntryKind::no_op, Bytes("x")), ErrorCode::bad_frame,
                 "a no-op with bytes");
}

TEST(Entry, ACutHasAPlaceAndAStampAndNothingElse) {
  const Position at{Index(17), Term(3)};

  const raft::Entry cut = encode_cut(at, LogTime(9));

  EXPECT_EQ(cut.kind, EntryKind::cut);
  EXPECT_EQ(log_time_of(cut), LogTime(9));
  EXPECT_EQ(admit_stored(at, EntryKind::cut, cut.stored).or_throw(), cut);
  expect_refused(admit_stored({Index(18), Term(3)}, EntryKind::cut, cut.stored),
                 ErrorCode::bad_frame, "another position");
  expect_refused(admit_stored(at, EntryKind::command, cut.stored), ErrorCode::bad_frame,
                 "another kind");
  expect_refused(admit_stored(at, EntryKind::cut, {}), ErrorCode::bad_frame, "entry");
  const raft::Entry command = encode_command(sample());
  expect_refused(
      admit_stored(command.at, EntryKind::cut, altered(command.stored, "\x10\x03", "\x10\x04")),
      ErrorCode::bad_frame, "only a command has one");
}

TEST(Entry, ThePublicPartIsASliceOfTheStoredBytesAndKeepsTheSecretsOut) {
  const raft::Entry entry = encode_command(sample());

  const Bytes part = public_part(entry);

  EXPECT_GT(part.data(), entry.stored.data());
  EXPECT_LT(part.data() + part.size(), entry.stored.data() + entry.stored.size());
  const SessionId session = sample().session;
  std::string secret(16, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    secret[7 - i] = static_cast<char>(session.high() >> (8 * i) & 0xffU);
    secret[15 - i] = static_cast<char>(session.low() >> (8 * i) & 0xffU);
  }
  EXPECT_NE(entry.stored.text().find(secret), std::string::npos);
  EXPECT_EQ(part.text().find(secret), std::string::npos);
}

TEST(EntryGate, RefusesBytesOfAnotherPosition) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored({Index(18), Term(3)}, entry.kind, entry.stored), ErrorCode::bad_frame,
                 "another position");
  expect_refused(admit_stored({Index(17), Term(4)}, entry.kind, entry.stored), ErrorCode::bad_frame,
                 "another position");
  expect_refused(admit_stored({}, entry.kind, entry.stored), ErrorCode::bad_frame,
                 "without a position");
}

TEST(EntryGate, RefusesBytesOfAnotherKind) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored(entry.at, EntryKind::configuration, entry.stored),
                 ErrorCode::bad_frame, "another kind");
}

TEST(EntryGate, RefusesAnUnknownKindAsALaterVersion) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored(entry.at, static_cast<EntryKind>(9), entry.stored),
                 ErrorCode::unsupported_format, "kind 9");
  expect_refused(admit_stored(entry.at, entry.kind, altered(entry.stored, "\x10\x03", "\x10\x09")),
                 ErrorCode::unsupported_format, "no such value: 9");
}

TEST(EntryGate, RefusesAnotherFormatAsALaterVersion) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored(entry.at, entry.kind, altered(entry.stored, "\x08\x01", "\x08\x02")),
                 ErrorCode::unsupported_format, "entry format 2");
}

TEST(EntryGate, RefusesABodyThatItsDigestDoesNotCover) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored(entry.at, entry.kind, altered(entry.stored, "e2e4", "e2e5")),
                 ErrorCode::bad_frame, "digest of another room or body");
  expect_refused(admit_stored(entry.at, entry.kind, altered(entry.stored, "chess", "chest")),
                 ErrorCode::bad_frame, "digest of another room or body");
}

TEST(EntryGate, RefusesACommandWithoutItsOriginOrItsRequestId) {
  const raft::Entry entry = encode_command(sample());
  const Bytes part = public_part(entry);
  const Bytes only_public = entry.stored.slice(0, 2 + part.size());

  expect_refused(admit_stored(entry.at, entry.kind, only_public), ErrorCode::bad_frame,
                 "without a session");
  expect_refused(
      admit_stored(entry.at, entry.kind, altered(entry.stored, "\x48\x09", {"\x48\x00", 2})),
      ErrorCode::bad_frame, "without a request id");
  expect_refused(admit_stored(entry.at, entry.kind, {}), ErrorCode::bad_frame, "entry: missing");
}

TEST(EntryGate, RefusesAnAuthorThatIsNotText) {
  const raft::Entry entry = encode_command(sample());

  expect_refused(admit_stored(entry.at, entry.kind, altered(entry.stored, "ada", "a\xff\x61")),
                 ErrorCode::bad_frame, "field author at byte 39: not UTF-8");
}

TEST(EntryGate, RefusesEveryPrefixAndSurvivesEveryFlippedByte) {
  const raft::Entry entry = encode_command(sample());

  for (std::size_t size = 0; size < entry.stored.size(); ++size) {
    EXPECT_FALSE(admit_stored(entry.at, entry.kind, entry.stored.slice(0, size))) << size;
  }
  for (std::size_t at = 0; at < entry.stored.size(); ++at) {
    std::string text(entry.stored.text());
    text[at] = static_cast<char>(text[at] ^ 0x5a);
    const auto admitted = admit_stored(entry.at, entry.kind, Bytes(text));
    if (!admitted) continue;
    EXPECT_EQ(decode_command(*admitted).or_throw().body, sample().body);
  }
}

TEST(EntryGate, SkipsAFieldOfALaterVersionAndRefusesAFieldGivenTwice) {
  const raft::Entry entry = encode_command(sample());
  const std::string later = std::string(entry.stored.text()) + "\x7a\x03new";
  const std::string twice = std::string(entry.stored.text()) + std::string("\x12\x00", 2);

  EXPECT_TRUE(admit_stored(entry.at, entry.kind, Bytes(later)));
  expect_refused(admit_stored(entry.at, entry.kind, Bytes(twice)), ErrorCode::bad_frame,
                 "field origin at byte 92: given twice");
}

TEST(EntryGate, RefusesAConfigurationWhoseMembersAreOutOfOrderOrTwice) {
  const Position at{Index(1), Term(1)};
  for (const NodeId second : {NodeId(1, 0), NodeId(1, 1), NodeId()}) {
    auto configuration = std::make_shared<raft::Configuration>(*sample_configuration());
    configuration->members[1].id = second;
    const raft::Entry entry = encode_configuration(at, LogTime(), configuration);

    expect_refused(admit_stored(at, EntryKind::configuration, entry.stored), ErrorCode::bad_frame,
                   "not in the order of their ids");
  }
}

TEST(EntryGate, RefusesAChangeInWhichNothingCouldBeDecided) {
  const Position at{Index(1), Term(1)};
  const auto refused = [&](const raft::Configuration& configuration, const std::string& why) {
    const raft::Entry entry = encode_configuration(
        at, LogTime(), std::make_shared<const raft::Configuration>(configuration));
    expect_refused(admit_stored(at, EntryKind::configuration, entry.stored), ErrorCode::bad_frame,
                   why);
  };
  const raft::Configuration sound = *sample_configuration();
  raft::Configuration joint = sound;
  joint.outgoing = sound.members;
  raft::Configuration waits = sound;
  waits.wanted = sound.members;
  for (const raft::Configuration& control : {joint, waits}) {
    const auto shared = std::make_shared<const raft::Configuration>(control);
    const raft::Entry entry = encode_configuration(at, LogTime(), shared);
    EXPECT_EQ(*admit_stored(at, EntryKind::configuration, entry.stored).or_throw().configuration,
              control);
  }

  raft::Configuration broken = joint;
  broken.outgoing[0].voter = false;
  refused(broken, "field outgoing: no voter among them");
  broken = joint;
  broken.members[0].voter = false;
  refused(broken, "field members: no voter among them");
  broken = waits;
  broken.wanted[0].voter = false;
  refused(broken, "field wanted: no voter among them");
  broken = joint;
  std::swap(broken.outgoing[0], broken.outgoing[1]);
  refused(broken, "field outgoing: not in the order of their ids");
  broken = waits;
  std::swap(broken.wanted[0], broken.wanted[1]);
  refused(broken, "field wanted: not in the order of their ids");
}

TEST(Chain, DependsOnEveryEntryAndOnTheirOrder) {
  const std::uint64_t ab = chain(chain(0, BytesView("a")), BytesView("b"));

  EXPECT_NE(ab, chain(chain(0, BytesView("b")), BytesView("a")));
  EXPECT_NE(ab, chain(0, BytesView("b")));
  EXPECT_EQ(ab, chain(chain(0, BytesView("a")), BytesView("b")));
}

TEST(Chain, IsTheSameOnEveryMachineForEver) {
  EXPECT_EQ(chain(0, BytesView("")), 0x2d06800538d394c2U);  // XXH3-64 of nothing.
  EXPECT_NE(command_digest("a", BytesView("b")), command_digest("", BytesView("ab")));
}

TEST(EntryDeathTest, EncodingACommandThatNoServerWouldAdmitIsABug) {
  Command command = sample();
  command.digest ^= 1U;

  EXPECT_DEATH(static_cast<void>(encode_command(command)), "flaw_of");
}

}  // namespace
}  // namespace kuilt::wire
