#include "server/mailbox.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kuilt::server {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BlockingMailbox, WhatCameBeforeItWasClosedIsTakenAndNothingAfter) {
  BlockingMailbox<int> mailbox;
  mailbox.put(1);
  mailbox.put(2);

  mailbox.close();
  mailbox.put(3);

  EXPECT_THAT(mailbox.wait(Instant::max()), ElementsAre(1, 2));
  EXPECT_THAT(mailbox.wait(Instant::max()), IsEmpty());
}

}  // namespace
}  // namespace kuilt::server
