// Who can prove that it belongs, who cannot, and the attacks in between. And the secret's file.
#include "server/peer_auth.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/secret.hpp"

namespace kuilt::server {
namespace {

using ::testing::HasSubstr;

Secret secret_of(int seed) {
  std::array<std::byte, Secret::size> bytes{};
  bytes.fill(static_cast<std::byte>(seed));
  return Secret(bytes);
}

wire::PeerHello server(std::string_view name) {
  wire::PeerHello hello;
  hello.cluster = ClusterId::named("cluster");
  hello.history = HistoryId::named("history");
  hello.node = NodeId::named(name);
  hello.boot = BootId::named(name);
  hello.name = name;
  return hello;
}

const Secret ours = secret_of(1);
const Secret theirs = secret_of(2);

/// Both sides' word on one link: the first error, or none.
std::optional<ErrorCode> outcome(PeerInitiator& initiator, PeerAcceptor& acceptor) {
  auto answer = acceptor.on_hello(initiator.hello());
  if (!answer) return answer.error().code();
  auto proof = initiator.on_hello(*answer);
  if (!proof) return proof.error().code();
  const Status proven = acceptor.on_proof(*proof);
  if (!proven) return proven.error().code();
  return std::nullopt;
}
std::optional<ErrorCode> outcome(const wire::PeerHello& a, const wire::PeerHello& b) {
  PeerInitiator initiator(ours, a);
  PeerAcceptor acceptor(ours, b);
  return outcome(initiator, acceptor);
}

TEST(PeerAuth, TwoServersWithOneSecretProveThemselves) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));

  EXPECT_EQ(outcome(initiator, acceptor), std::nullopt);

  EXPECT_EQ(initiator.version(), wire::peer_version_max);
  EXPECT_EQ(acceptor.version(), wire::peer_version_max);
}

TEST(PeerAuth, TheInitiatorNoticesAnAcceptorWithAnotherSecret) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor acceptor(theirs, server("b"));

  const auto proof = initiator.on_hello(*acceptor.on_hello(initiator.hello()));

  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::wrong_secret);
  EXPECT_THAT(proof.error().message(), HasSubstr("\"b\""));
}

TEST(PeerAuth, TheAcceptorNoticesAnInitiatorWithAnotherSecret) {
  PeerInitiator honest(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));
  const auto answer = acceptor.on_hello(honest.hello());
  ASSERT_TRUE(answer);

  // Whoever does not know the secret can only make a proof up.
  wire::PeerProof made_up;
  made_up.proof.fill(std::byte{7});
  const Status proven = acceptor.on_proof(made_up);

  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().code(), ErrorCode::wrong_secret);
  EXPECT_THAT(proven.error().message(), HasSubstr("\"a\""));
}

TEST(PeerAuth, AnAcceptorWithoutAProofIsRefused) {
  PeerInitiator initiator(ours, server("a"));

  const auto proof = initiator.on_hello(server("b"));

  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AServerThatDoesNotKnowCutsIsRefusedByEitherSide) {
  wire::PeerHello old = server("b");
  old.features &= ~wire::peer_feature_cuts;

  PeerAcceptor acceptor(ours, server("a"));
  const auto answer = acceptor.on_hello(old);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::version_unsupported);
  EXPECT_THAT(answer.error().message(), HasSubstr("\"b\" does not know cuts"));

  PeerInitiator initiator(ours, server("a"));
  const auto proof = initiator.on_hello(old);
  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::version_unsupported);

  wire::PeerHello newer = server("b");
  newer.features |= std::uint64_t{1} << 40;
  EXPECT_EQ(outcome(server("a"), newer), std::nullopt) << "the control: more features do no harm";
}

TEST(PeerAuth, EveryBitOfAProofCounts) {
  PeerInitiator initiator(ours, server("a"));
  for (std::size_t bit = 0; bit < 256; ++bit) {
    PeerAcceptor acceptor(ours, server("b"));
    PeerInitiator fresh(ours, server("a"));
    auto proof = fresh.on_hello(*acceptor.on_hello(fresh.hello()));
    ASSERT_TRUE(proof);

    proof->proof[bit / 8] ^= static_cast<std::byte>(1U << (bit % 8));

    EXPECT_FALSE(acceptor.on_proof(*proof)) << bit;
  }
}

// ---- Attacks

TEST(PeerAuth, AProofOfAnEarlierLinkIsWorthNothing) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor first(ours, server("b"));
  const auto proof = initiator.on_hello(*first.on_hello(initiator.hello()));
  ASSERT_TRUE(proof);
  ASSERT_TRUE(first.on_proof(*proof));

  PeerAcceptor second(ours, server("b"));  // The attacker repeats what it overheard.
  ASSERT_TRUE(second.on_hello(initiator.hello()));
  const Status proven = second.on_proof(*proof);

  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AHelloOfAnEarlierAcceptorIsWorthNothing) {
  PeerInitiator first(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));
  const auto overheard = acceptor.on_hello(first.hello());
  ASSERT_TRUE(overheard);
  ASSERT_TRUE(first.on_hello(*overheard));

  PeerInitiator second(ours, server("a"));
  const auto proof = second.on_hello(*overheard);

  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AnAcceptorsProofSentBackIsNoInitiatorsProof) {
  PeerAcceptor acceptor(ours, server("b"));
  const auto answer = acceptor.on_hello(PeerInitiator(theirs, server("a")).hello());
  ASSERT_TRUE(answer);

  const Status proven = acceptor.on_proof(wire::PeerProof{*answer->proof});

  ASSERT_FALSE(proven);
  EXPECT_EQ(proven.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AnInitiatorsHelloSentBackToItIsNoAcceptor) {
  PeerInitiator initiator(ours, server("a"));
  wire::PeerHello mirrored = initiator.hello();
  mirrored.node = NodeId::named("mirror");

  const auto proof = initiator.on_hello(mirrored);

  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AChallengeCannotBeAnsweredByTheServerThatPosedIt) {
  // The attacker dials b, and has b itself answer b's challenge on a second link.
  PeerAcceptor link_one(ours, server("b"));
  const auto challenge = link_one.on_hello(PeerInitiator(theirs, server("a")).hello());
  ASSERT_TRUE(challenge);
  wire::PeerHello relayed = *challenge;
  relayed.node = NodeId::named("a");
  PeerAcceptor link_two(ours, server("b"));
  const auto answer = link_two.on_hello(relayed);
  ASSERT_TRUE(answer);

  EXPECT_FALSE(link_one.on_proof(wire::PeerProof{*answer->proof}));
}

TEST(PeerAuth, AnotherNodeCannotTakeOverAProof) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));
  wire::PeerHello renamed = initiator.hello();
  renamed.node = NodeId::named("c");  // On its way, somebody puts another id in.
  auto answer = acceptor.on_hello(renamed);
  ASSERT_TRUE(answer);

  const auto proof = initiator.on_hello(*answer);

  ASSERT_FALSE(proof);
  EXPECT_EQ(proof.error().code(), ErrorCode::wrong_secret);
}

TEST(PeerAuth, AVersionRangeThatIsNarrowedOnTheWayIsNoticed) {
  wire::PeerHello wide = server("a");
  wide.version_max = 3;
  wire::PeerHello also_wide = server("b");
  also_wide.version_max = 3;
  PeerInitiator initiator(ours, wide);
  PeerAcceptor acceptor(ours, also_wide);
  wire::PeerHello narrowed = initiator.hello();
  narrowed.version_max = 1;
  auto answer = acceptor.on_hello(narrowed);
  ASSERT_TRUE(answer);

  EXPECT_FALSE(initiator.on_hello(*answer));
  EXPECT_EQ(outcome(wide, also_wide), std::nullopt);
}

TEST(PeerAuth, NoncesAreNewForEveryLink) {
  std::set<wire::Nonce> seen;
  for (int i = 0; i < 100; ++i) seen.insert(PeerInitiator(ours, server("a")).hello().nonce);

  EXPECT_EQ(seen.size(), 100U);
}

// ---- What is refused besides

TEST(PeerAuth, AnotherClusterIsRefused) {
  wire::PeerHello stranger = server("b");
  stranger.cluster = ClusterId::named("another");

  EXPECT_EQ(outcome(server("a"), stranger), ErrorCode::wrong_cluster);
  EXPECT_EQ(outcome(stranger, server("a")), ErrorCode::wrong_cluster);
}

TEST(PeerAuth, AnotherHistoryIsRefused) {
  wire::PeerHello recovered = server("b");
  recovered.history = HistoryId::named("another");

  EXPECT_EQ(outcome(server("a"), recovered), ErrorCode::wrong_cluster);
}

TEST(PeerAuth, AServerWithoutAClusterMayFoundWithAnyThatKnowsTheSecret) {
  wire::PeerHello fresh = server("b");
  fresh.cluster = {};
  fresh.history = {};

  EXPECT_EQ(outcome(server("a"), fresh), std::nullopt);
  EXPECT_EQ(outcome(fresh, server("a")), std::nullopt);
}

TEST(PeerAuth, AServerDoesNotTalkToItself) {
  EXPECT_EQ(outcome(server("a"), server("a")), ErrorCode::not_allowed);
}

TEST(PeerAuth, VersionsWithoutOverlapAreRefusedNamingBoth) {
  wire::PeerHello newer = server("b");
  newer.version_min = 2;
  newer.version_max = 4;
  PeerAcceptor acceptor(ours, newer);

  const auto answer = acceptor.on_hello(PeerInitiator(ours, server("a")).hello());

  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code(), ErrorCode::version_unsupported);
  EXPECT_THAT(answer.error().message(), HasSubstr("versions 1 to 1"));
  EXPECT_THAT(answer.error().message(), HasSubstr("2 to 4"));
}

TEST(PeerAuth, TheHighestCommonVersionIsChosen) {
  wire::PeerHello to_three = server("a");
  to_three.version_max = 3;
  wire::PeerHello from_two = server("b");
  from_two.version_min = 2;
  from_two.version_max = 4;
  PeerInitiator initiator(ours, to_three);
  PeerAcceptor acceptor(ours, from_two);

  EXPECT_EQ(outcome(initiator, acceptor), std::nullopt);

  EXPECT_EQ(initiator.version(), 3U);
  EXPECT_EQ(acceptor.version(), 3U);
}

TEST(PeerAuth, MessagesOutOfTurnAreRefused) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));

  EXPECT_EQ(acceptor.on_proof({}).error().code(), ErrorCode::hello_expected);
  const auto answer = acceptor.on_hello(initiator.hello());
  ASSERT_TRUE(answer);
  EXPECT_EQ(acceptor.on_hello(initiator.hello()).error().code(), ErrorCode::hello_expected);
  const auto proof = initiator.on_hello(*answer);
  ASSERT_TRUE(proof);
  EXPECT_EQ(initiator.on_hello(*answer).error().code(), ErrorCode::hello_expected);
  ASSERT_TRUE(acceptor.on_proof(*proof));
  EXPECT_EQ(acceptor.on_proof(*proof).error().code(), ErrorCode::hello_expected);
}

TEST(PeerAuth, AWrongProofCannotBeTriedAgain) {
  PeerInitiator initiator(ours, server("a"));
  PeerAcceptor acceptor(ours, server("b"));
  const auto proof = initiator.on_hello(*acceptor.on_hello(initiator.hello()));
  ASSERT_TRUE(proof);

  EXPECT_EQ(acceptor.on_proof({}).error().code(), ErrorCode::wrong_secret);
  EXPECT_EQ(acceptor.on_proof(*proof).error().code(), ErrorCode::hello_expected);
}

TEST(PeerAuthDeathTest, NoSecretIsABugOfOurs) {
  EXPECT_DEATH(PeerInitiator(Secret(), server("a")), "is_none");
  EXPECT_DEATH(PeerAcceptor(Secret(), server("a")), "is_none");
}

// ---- The file

class SecretFile : public ::testing::Test {
 protected:
  SecretFile() {
    std::string pattern = ::testing::TempDir() + "/secret-XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) ADD_FAILURE() << "no directory to test in";
    directory_ = pattern;
    path_ = directory_ + "/cluster.secret";
  }
  ~SecretFile() override { std::filesystem::remove_all(directory_); }

  void write(const std::string& text, mode_t mode = 0600) {
    std::ofstream(path_) << text;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }
  std::string refusal() {
    const auto secret = load_secret(path_);
    if (secret) return "";
    EXPECT_EQ(secret.error().code(), ErrorCode::invalid_argument);
    EXPECT_THAT(secret.error().message(), HasSubstr(path_));
    return secret.error().message();
  }

  std::string directory_;
  std::string path_;
};

const std::string good(64, 'a');

TEST_F(SecretFile, WhatIsCreatedIsLoaded) {
  ASSERT_TRUE(create_secret(path_));

  const auto secret = load_secret(path_);

  ASSERT_TRUE(secret) << secret.error().message();
  EXPECT_FALSE(secret->is_none());
  PeerInitiator initiator(*secret, server("a"));
  PeerAcceptor acceptor(*load_secret(path_), server("b"));
  EXPECT_EQ(outcome(initiator, acceptor), std::nullopt);
}

TEST_F(SecretFile, OnlyItsOwnerMayReadIt) {
  const mode_t before = umask(0);
  ASSERT_TRUE(create_secret(path_));
  umask(before);

  struct stat facts{};
  ASSERT_EQ(stat(path_.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_EQ(facts.st_size, 65);
}

TEST_F(SecretFile, IsNeverOverwritten) {
  write(good);

  const Status again = create_secret(path_);

  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(again.error().message(), HasSubstr("never overwritten"));
  EXPECT_EQ(refusal(), "");
}

TEST_F(SecretFile, TwoAreNeverTheSame) {
  ASSERT_TRUE(create_secret(path_));
  ASSERT_TRUE(create_secret(path_ + ".2"));

  EXPECT_NE(load_secret(path_)->bytes(), load_secret(path_ + ".2")->bytes());
}

TEST_F(SecretFile, ADirectoryThatIsMissingIsSaid) {
  EXPECT_THAT(create_secret(directory_ + "/none/x").error().message(), HasSubstr("No such file"));
}

TEST_F(SecretFile, ThatOthersMayReadIsRefusedWithTheCommandToRun) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0666U}) {
    write(good, mode);

    EXPECT_THAT(refusal(), HasSubstr("chmod 600 " + path_)) << mode;
  }
  write(good, 0400);
  EXPECT_EQ(refusal(), "");
}

TEST_F(SecretFile, ThatIsMissingEmptyOrOfAnotherShapeIsRefused) {
  EXPECT_THAT(refusal(), HasSubstr("does not exist"));
  write("");
  EXPECT_THAT(refusal(), HasSubstr("is empty"));
  write("\n");
  EXPECT_THAT(refusal(), HasSubstr("is empty"));
  for (const std::string& text :
       {good.substr(1), good + "a", good + "\n" + good, good.substr(1) + "g", std::string(64, '0'),
        std::string(100'000, 'a')}) {
    write(text);
    EXPECT_THAT(refusal(), HasSubstr("64 hexadecimal digits")) << text.substr(0, 100);
  }
  EXPECT_THAT(load_secret(directory_).error().message(), HasSubstr("is not a file"));
  EXPECT_THAT(load_secret("").error().message(), HasSubstr("--secret-file"));
}

TEST_F(SecretFile, ALineEndOfAnySystemIsAccepted) {
  for (const std::string end : {"", "\n", "\r\n"}) {
    write(good + end);
    EXPECT_EQ(refusal(), "");
  }
}

}  // namespace
}  // namespace kuilt::server
