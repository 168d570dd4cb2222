// What people may write in JSON, and what they get to see.
#include <gtest/gtest.h>

#include "tests/wire/random_messages.hpp"
#include "wire/base64.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::wire {
namespace {

Result<ClientMessage> decode(std::string_view json) {
  return decode_client(Bytes(std::string(json)), Encoding::json);
}
std::string encode_text(const ServerMessage& message) {
  return std::string(encode(message, Encoding::json).text());
}

void expect_refused(std::string_view json, std::string_view reason) {
  const Result<ClientMessage> decoded = decode(json);
  ASSERT_FALSE(decoded.has_value()) << json;
  EXPECT_EQ(decoded.error().code(), ErrorCode::bad_frame);
  EXPECT_NE(decoded.error().message().find(reason), std::string::npos) << decoded.error().message();
}

TEST(Json, PeopleWriteOnlyWhatTheyMean) {
  EXPECT_EQ(decode(R"({"hello":{}})").or_throw(), ClientMessage(Hello{}));

  Propose propose;
  propose.proposals.emplace_back().number = 1;
  propose.proposals.back().command = Bytes("hi");
  EXPECT_EQ(decode(R"({"propose":{"proposals":[{"number":1,"command":"hi"}]}})").or_throw(),
            ClientMessage(propose));
}

TEST(Json, AnObserverSaysInOneWordWhereToBegin) {
  const auto from = [](std::string_view text) {
    const ClientMessage message =
        decode(R"({"observe":{"room":"","from":)" + std::string(text) + "}}").or_throw();
    return std::get<Observe>(message).from;
  };

  EXPECT_EQ(from(R"("start")"), ObserveFrom(FromStart{}));
  EXPECT_EQ(from(R"("now")"), ObserveFrom(FromNow{}));
  EXPECT_EQ(from(R"({"index":17})"), ObserveFrom(FromIndex{Index(17)}));
  EXPECT_EQ(from(R"({"cluster":"00000000000000010000000000000002","history":"",)"
                 R"("index":17,"term":3,"digest":"00000000000000ff"})"),
            ObserveFrom(ResumePoint{ClusterId(1, 2), {}, {Index(17), Term(3)}, 255}));
}

TEST(Json, ACommandThatIsNoTextTravelsAsBase64) {
  Propose propose;
  propose.proposals.emplace_back().command = Bytes("\xff\x01");

  EXPECT_EQ(decode(R"({"propose":{"proposals":[{"command_base64":"/wE="}]}})").or_throw(),
            ClientMessage(propose));
  const Bytes frame = encode(ClientMessage(propose), Encoding::json);
  EXPECT_NE(frame.text().find(R"("command_base64":"/wE=")"), std::string::npos) << frame.text();
}

TEST(Json, AResultIsTextOrBase64AndAbsentIsNotEmpty) {
  const auto answer = [](std::optional<Bytes> result) {
    return ServerMessage(Answers{{{1, CommittedOutcome{{Index(17), Term(3)}, false, result}}}});
  };
  const auto begin = std::string(R"({"answers":{"answers":[{"number":1,"committed":{"at":)") +
                     R"({"index":17,"term":3},"duplicate":false)";
  const std::pair<std::optional<Bytes>, std::string> shown[] = {
      {std::nullopt, begin + "}}]}}"},
      {Bytes(), begin + R"(,"result":""}}]}})"},
      {Bytes("ok"), begin + R"(,"result":"ok"}}]}})"},
      {Bytes("\xff\x01"), begin + R"(,"result_base64":"/wE="}}]}})"}};
  for (const auto& [result, json] : shown) {
    EXPECT_EQ(encode_text(answer(result)), json);
    EXPECT_EQ(decode_server(Bytes(json), Encoding::json).or_throw(), answer(result));
  }
  const Bytes both(begin + R"(,"result":"","result_base64":""}}]}})");
  EXPECT_EQ(decode_server(both, Encoding::json).error().message(),
            "field answers.answers[0].committed.result: either it or result_base64 must be given");
}

TEST(Json, NumbersThatJavaScriptWouldRoundAreStrings) {
  const std::uint64_t exact = std::uint64_t{1} << 53;
  Answers answers;
  answers.answers = {{exact, CommittedOutcome{}}, {exact + 1, CommittedOutcome{}}};

  const std::string text = encode_text(answers);

  EXPECT_NE(text.find(R"("number":9007199254740992,)"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("number":"9007199254740993")"), std::string::npos) << text;
  expect_refused(R"({"credit":{"bytes":9007199254740993}})", "field credit.bytes: not a whole");
}

TEST(Json, ADurationIsRoundedUpSoThatItNeverBecomesZero) {
  const Goodbye goodbye{ErrorCode::busy, "", Duration(1), {}};

  EXPECT_EQ(encode_text(goodbye),
            R"({"goodbye":{"code":"busy","message":"","retry_after_ms":1,"endpoints":[]}})");
}

TEST(Json, EntriesAreObjects) {
  Command command;
  command.at = {Index(17), Term(3)};
  command.log_time = LogTime(5);
  command.room = "chess";
  command.author = "ada";
  command.request_id = RequestId(9);
  command.body = BytesView("e2e4");
  command.session = SessionId::named("s");
  command.digest = command_digest(command.room, command.body);
  const Feed feed{"chess", {}, command.at, 255, {public_part(encode_command(command))}};

  EXPECT_EQ(
      encode_text(feed),
      R"({"feed":{"room":"chess","prev":{"index":0,"term":0},"through":{"index":17,"term":3},)"
      R"("digest":"00000000000000ff","entries":[{"index":17,"term":3,"log_time_ns":5,)"
      R"("log_id":0,"room":"chess","author":"ada","request_id":9,"command":"e2e4"}]}})");
}

TEST(Json, RefusalsSayWhichFieldAndWhy) {
  expect_refused("", "field frame: not JSON at byte 1");
  expect_refused(R"({"hello":{})", "field frame: not JSON at byte 12");
  expect_refused(R"({"hello":{}} x)", "field frame: not JSON at byte 14");
  expect_refused("[]", "field frame: not an object with one member");
  expect_refused(R"({"hello":{},"hello2":{}})", "field frame: not an object with one member");
  expect_refused(R"({"helo":{}})", "field message: exactly one of its kinds");
  expect_refused(R"({"hello":3})", "field hello: not an object");
  expect_refused(R"({"hello":{"name":3}})", "field hello.name: not a string");
  expect_refused(R"({"hello":{"link":4294967296}})", "field hello.link: out of range");
  expect_refused(R"({"hello":{"link":-1}})", "field hello.link: not a whole number");
  expect_refused(R"({"hello":{"link":1.0}})", "field hello.link: not a whole number");
  expect_refused(R"({"hello":{"link":"1x"}})", "field hello.link: not a whole number");
  expect_refused(R"({"hello":{"cluster":"12"}})", "field hello.cluster: not 32 hexadecimal digits");
  expect_refused(R"({"observe":{"room":"a"}})", "field observe.from: missing");
  expect_refused(R"({"observe":{"from":"later"}})", "field observe.from: not \"start\"");
  expect_refused(R"({"observe":{"from":{"cluster":"","digest":"1"}}})",
                 "field observe.from.digest: not 16 hexadecimal digits");
  expect_refused(R"({"propose":{"proposals":{}}})", "field propose.proposals: not an array");
  expect_refused(R"({"propose":{"proposals":[{"command":"a"},{"comand":"b"}]}})",
                 "field propose.proposals[1].command: either it or command_base64 must be given");
  expect_refused(R"({"propose":{"proposals":[{"command":"a","command_base64":""}]}})",
                 "field propose.proposals[0].command: either it or");
  expect_refused(R"({"propose":{"proposals":[{"command_base64":"/wF="}]}})",
                 "field propose.proposals[0].command_base64: not base64");
  expect_refused("{\"unobserve\":{\"room\":\"\xff\"}}", "field frame: not JSON at byte");
}

TEST(Json, AMemberGivenTwiceIsRefused) {
  expect_refused(R"({"hello":{"name":"ann","name":"bob"}})",
                 "field frame: the member \"name\" is given twice");
  expect_refused(R"({"hello":{"name":"ann","n\u0061me":"bob"}})",
                 "the member \"name\" is given twice");
  expect_refused(R"({"hello":{},"hello":{}})", "the member \"hello\" is given twice");
  expect_refused(R"({"hello":{"unknown":1,"unknown":1}})", "\"unknown\" is given twice");
  // The same name elsewhere is another member.
  EXPECT_TRUE(decode(R"({"propose":{"proposals":[{"number":1,"command":"a"},)"
                     R"({"number":2,"command":"b"}],"number":3}})"));
}

TEST(Json, WhatAServerSaysIsCheckedToo) {
  const auto refusal = [](std::string_view json) {
    return decode_server(Bytes(std::string(json)), Encoding::json).error().message();
  };

  EXPECT_EQ(refusal(R"({"goodbye":{}})"), "field goodbye.code: missing");
  EXPECT_EQ(refusal(R"({"goodbye":{"code":"tired"}})"), "field goodbye.code: no such value");
  EXPECT_EQ(refusal(R"({"goodbye":{"code":"busy","retry_after_ms":9007199254740992}})"),
            "field goodbye.retry_after_ms: too long");
  EXPECT_EQ(refusal(R"({"answers":{"answers":[{"number":1}]}})"),
            "field answers.answers[0].outcome: exactly one of its kinds must be given");
}

TEST(Json, DepthAndCountAreBoundedBeforeAnythingIsBuilt) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  std::string many = "{\"hello\":{\"later\":[0";
  for (std::size_t i = 0; i < (std::size_t{1} << 20); ++i) many += ",0";

  expect_refused(deep, "nested more than 16 deep");
  expect_refused(many + "]}}", "more than 1048576 values");
}

TEST(Json, ControlCharactersAndQuotesInNamesAreEscaped) {
  const ServerMessage heartbeat = ServerHeartbeat{{}, "a\"\\\n\r\t\x01\x1f€"};

  EXPECT_EQ(encode_text(heartbeat),
            R"({"heartbeat":{"commit":{"index":0,"term":0},"leader":"a\"\\\n\r\t\u0001\u001f€"}})");
}

TEST(Base64, AgreesWithTheExamplesOfItsDefinition) {
  const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                          {"f", "Zg=="},
                                                          {"fo", "Zm8="},
                                                          {"foo", "Zm9v"},
                                                          {"foob", "Zm9vYg=="},
                                                          {"fooba", "Zm9vYmE="},
                                                          {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : examples) {
    EXPECT_EQ(to_base64(BytesView(bytes)), text);
    EXPECT_EQ(from_base64(text), bytes);
  }
}

TEST(Base64, RefusesWhatItWouldNotWrite) {
  for (const char* text : {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm=v", "Zm9v\n", "Zm 9"}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace kuilt::wire
