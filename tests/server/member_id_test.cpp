#include "server/member_id.hpp"

#include <gtest/gtest.h>

namespace kuilt::server {
namespace {

const auto cluster = *ClusterId::parse("00112233445566778899aabbccddeeff");
const auto secret = *wire::ClientSecret::parse("0123456789abcdef0123456789abcdef");

// Every server computes it, whatever version: docs/protocol.md has the rule.
TEST(MemberId, IsTheSameForEver) {
  EXPECT_EQ(member_id(cluster, "ada", secret).text(), "00065cddffb0986f875b3ad76baac8fd");
}

TEST(MemberId, DependsOnClusterPrincipalAndSecret) {
  const PeerId id = member_id(cluster, "ada", secret);

  EXPECT_NE(member_id(ClusterId::named("another"), "ada", secret), id);
  EXPECT_NE(member_id(cluster, "bob", secret), id);
  EXPECT_NE(member_id(cluster, "ada", wire::ClientSecret::named("another")), id);
}

TEST(MemberId, WithoutASecretIsAnotherEachTime) {
  EXPECT_NE(member_id(cluster, "ada", {}), member_id(cluster, "ada", {}));
  EXPECT_FALSE(member_id(cluster, "ada", {}).is_none());
}

}  // namespace
}  // namespace kuilt::server
