// What is known of an id while several submits of it begin, wait and end.
#include <gtest/gtest.h>

#include "client/durable_session.hpp"

namespace kuilt::detail {
namespace {

constexpr RequestId the_id{7};

TEST(Submits, OneThatWaitsForASessionIsNotInDoubtAndNotRefusedEither) {
  Submits submits;
  const auto one = submits.begin(the_id, false);
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::while_under_way);

  submits.hold(the_id, one);
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::none);
  EXPECT_FALSE(submits.all_refused(the_id));
  submits.release(the_id, one);
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::while_under_way);

  EXPECT_TRUE(submits.end(the_id, one, true));
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::none);
  EXPECT_TRUE(submits.all_refused(the_id));
}

TEST(Submits, OneThatEndedWithoutARefusalIsInDoubtForGood) {
  Submits submits;
  const auto one = submits.begin(the_id, false);
  const auto other = submits.begin(the_id, true);

  EXPECT_FALSE(submits.end(the_id, one, false));
  EXPECT_FALSE(submits.end(the_id, other, true));

  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::for_good);
  EXPECT_FALSE(submits.all_refused(the_id));
  EXPECT_TRUE(submits.refused().empty());
}

TEST(Submits, WhatEndedWhileItWaitedIsNotReleasedAnyMore) {
  Submits submits;
  const auto one = submits.begin(the_id, false);
  submits.hold(the_id, one);
  EXPECT_TRUE(submits.end(the_id, one, true));

  submits.release(the_id, one);

  EXPECT_TRUE(submits.all_refused(the_id));
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::none);
}

TEST(Submits, AnIdThatAnEarlierProcessHasSentIsInDoubtForGood) {
  Submits submits;
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::for_good);
  const auto one = submits.begin(the_id, true);
  EXPECT_FALSE(submits.end(the_id, one, true));
  EXPECT_EQ(submits.doubt(the_id), Submits::Doubt::for_good);
}

}  // namespace
}  // namespace kuilt::detail
