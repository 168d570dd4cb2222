// What people read: bytes, times, what happens to links, and what counts as refused.
#include <chrono>
#include <string>

#include <gmock/gmock.h>

#include "cli/commands.hpp"
#include "cli/link_news.hpp"
#include "cli/output.hpp"

namespace kuilt::cli {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(Output, EscapedBytesStayOneLineAndLoseNothing) {
  EXPECT_EQ(escaped("plain caf\xc3\xa9"), "plain caf\xc3\xa9");
  EXPECT_EQ(escaped("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
  EXPECT_EQ(escaped(std::string_view("\0\x1b[2J\x7f", 6)), "\\x00\\x1b[2J\\x7f");
  EXPECT_EQ(escaped("\xff\xc3"), "\\xff\\xc3");
  EXPECT_EQ(escaped("\\x00"), "\\\\x00") << "differs from a zero byte";
}

TEST(Output, TextIsUtf8WithoutControlCharacters) {
  EXPECT_TRUE(is_text("caf\xc3\xa9\t\r\n"));
  EXPECT_FALSE(is_text("\x01"));
  EXPECT_FALSE(is_text("\xff"));
}

TEST(Output, TimesHaveThreeDigitsAtMost) {
  EXPECT_EQ(text_of(1'840us), "1.8 ms");
  EXPECT_EQ(text_of(9'960us), "10 ms");
  EXPECT_EQ(text_of(212ms), "212 ms");
  EXPECT_EQ(text_of(15s), "15 s");
}

TEST(Output, WhatMayHaveHappenedIsNeitherRefusedNorUnsent) {
  EXPECT_EQ(exit_status_of(Error(ErrorCode::stopped, Effect::unknown, "")), 4);
  EXPECT_EQ(exit_status_of(Error(ErrorCode::stopped, Effect::none, "")), 1);
  EXPECT_EQ(exit_status_of(Error(ErrorCode::no_leader, Effect::none, "")), 3);
  EXPECT_EQ(exit_status_of(Error(ErrorCode::timed_out, Effect::unknown, "")), 4);
  EXPECT_EQ(exit_status_of(Error(ErrorCode::session_expired, Effect::unknown, "")), 5);
}

TEST(LinkNews, AResumeSaysWhereWhenAndThatNothingIsMissed) {
  LinkNews news(LinkNews::Wanted::everything);
  testing::internal::CaptureStderr();

  news.take({.kind = ClientEventKind::resumed,
             .endpoint = "ws://b:1",
             .text = "b",
             .at = {Index(17), Term(3)},
             .after = 212ms});

  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "resumed on b at 17 after 212 ms, nothing missed\n");
}

TEST(LinkNews, AnEndpointThatGoesOnRefusingIsToldOnce) {
  LinkNews news(LinkNews::Wanted::everything);
  const ClientEvent refused{.kind = ClientEventKind::refused,
                            .endpoint = "ws://b:1",
                            .text = "Connection refused",
                            .at = {},
                            .after = {}};
  ClientEvent busy = refused;
  busy.text = "too_many_clients";
  testing::internal::CaptureStderr();

  for (const ClientEvent& event : {refused, refused, busy, busy}) news.take(event);

  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "no link to ws://b:1: Connection refused; trying on\n"
            "no link to ws://b:1: too_many_clients; trying on\n");
  EXPECT_FALSE(news.was_connected());
}

}  // namespace
}  // namespace kuilt::cli
