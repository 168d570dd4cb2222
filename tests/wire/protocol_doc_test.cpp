// docs/protocol.md shows live frames: this test makes them again.
#include "tests/wire/golden_file.hpp"
#include "tests/wire/random_messages.hpp"

namespace kuilt::wire {
namespace {

constexpr std::string_view begin_mark =
    "<!-- frames: made by tests/wire/protocol_doc_test.cpp -->\n";
constexpr std::string_view end_mark = "<!-- end of frames -->\n";

std::string hex_of(BytesView bytes) {
  std::string out;
  for (const std::byte octet : bytes) {
    out += "0123456789abcdef"[std::to_integer<unsigned>(octet) >> 4];
    out += "0123456789abcdef"[std::to_integer<unsigned>(octet) & 15U];
  }
  return out;
}

template <class Message>
std::string shown(const std::string& who, const Message& message) {
  return who + ":\n\n```json\n" + std::string(encode(message, Encoding::json).text()) +
         "\n```\n\n```\n" + hex_of(encode(message, Encoding::protobuf)) + "\n```\n\n";
}

Command move() {
  Command command;
  command.at = {Index(17), Term(3)};
  command.log_time = LogTime(5'000'000'000);
  command.room = "chess";
  command.author = "ada";
  command.request_id = RequestId(9);
  command.body = BytesView("e2e4");
  command.session = SessionId::named("session");
  command.digest = command_digest(command.room, command.body);
  return command;
}

RoomMember ada() { return {PeerId::named("ada"), "ada"}; }
RoomMember bob() { return {PeerId::named("bob"), "bob"}; }

std::string frames() {
  Hello hello;
  hello.features = feature_rooms;
  hello.name = "ada";
  Welcome welcome;
  welcome.server = NodeId::named("a");
  welcome.server_name = welcome.leader = "a";
  welcome.cluster = ClusterId::named("cluster");
  welcome.history = HistoryId::named("history");
  welcome.commit = {Index(16), Term(3)};
  welcome.leader_url = "ws://a:7400";
  welcome.endpoints = {"ws://a:7400", "ws://b:7400"};
  welcome.heartbeat_interval = std::chrono::seconds(1);
  welcome.limits = {1 << 20, client_frame_bytes_max(1 << 20), 1 << 20, 1024};
  welcome.features = feature_rooms | feature_reads;
  welcome.principal = "ada";
  welcome.member = ada().id;
  Propose propose;
  propose.proposals.resize(1);
  Proposal& proposal = propose.proposals.front();
  proposal.number = 1;
  proposal.session = SessionId::named("session");
  proposal.birth = Index(16);
  proposal.request_id = RequestId(9);
  proposal.floor = RequestId(8);
  proposal.room = "chess";
  proposal.command = Bytes("e2e4");
  const Bytes part = public_part(encode_command(move()));
  const Feed feed{"chess", {Index(16), Term(3)}, {Index(17), Term(3)}, chain(0, part), {part}};
  const RefusedOutcome busy{ErrorCode::busy, "the queue is full", true,
                            std::chrono::milliseconds(20)};
  return shown("Client", ClientMessage(hello)) + shown("Server", ServerMessage(welcome)) +
         shown("Client", ClientMessage(Observe{"chess", FromStart{}, 0})) +
         shown("Server",
               ServerMessage(ObserveReply{"chess", ObserveVerdict::resumed, {}, 0, "", {}})) +
         shown("Client", ClientMessage(propose)) + shown("Server", ServerMessage(feed)) +
         shown("Server", ServerMessage(Answers{
                             {{1, CommittedOutcome{{Index(17), Term(3)}, false, Bytes("legal")}},
                              {2, busy}}})) +
         shown("Server", ServerMessage(ServerHeartbeat{{Index(17), Term(3)}, "a"})) +
         shown("Client", ClientMessage(ReadBarrier{1})) +
         shown("Server", ServerMessage(BarrierAnswer{1, Reached{Index(17)}})) +
         shown("Client", ClientMessage(Join{"chess", 1})) +
         shown("Server", ServerMessage(Roster{"chess", RosterReset{{ada()}}})) +
         shown("Server", ServerMessage(Roster{"chess", RosterChange{{{true, bob()}}}})) +
         shown("Client", ClientMessage(RoomMessage{"chess", "chat", bob().id, Bytes("hello"), 1})) +
         shown("Server", ServerMessage(Delivery{"chess", "chat", bob().id, Bytes("well met"), 7})) +
         shown("Client", ClientMessage(LeaveRoom{"chess"})) +
         shown("Server", ServerMessage(Goodbye{
                             ErrorCode::draining, "restart", Duration(0), {"ws://b:7400"}}));
}

TEST(ProtocolDocument, ShowsLiveFrames) {
  const std::filesystem::path file = std::filesystem::path(KUILT_SOURCE_DIR) / "docs/protocol.md";
  std::ifstream in(file, std::ios::binary);
  ASSERT_TRUE(in.good());
  std::ostringstream found;
  found << in.rdbuf();
  const std::string text = found.str();
  const std::size_t begin = text.find(begin_mark);
  const std::size_t end = text.find(end_mark);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos && begin < end);

  expect_file("docs/protocol.md",
              text.substr(0, begin + begin_mark.size()) + "\n" + frames() + text.substr(end));
}

}  // namespace
}  // namespace kuilt::wire
