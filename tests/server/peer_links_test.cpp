// Links between two servers over real sockets: who is let in, and how those come back who are not.
#include "server/peer_links.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <gmock/gmock.h>

#include "server/clock.hpp"
#include "tests/await.hpp"

namespace kuilt::server {
namespace {

using namespace std::chrono_literals;

/// One end, and what happened there.
class End {
 public:
  /// `refuses`: what it says to whoever proves that it knows the secret.
  explicit End(const std::string& name, std::optional<Error> refuses = {})
      : identity_{NodeId::named(name), BootId::named(name), name, ClusterId::named("cluster"),
                  HistoryId::named("history")},
        events_{.on_up = [refuses](const wire::PeerHello&) -> Status {
                  return refuses ? Status(*refuses) : Status(Done{});
                },
                .on_down = [this](NodeId) { note(downs_, {}); },
                .on_message = [](NodeId, const wire::PeerMessage&) {},
                .on_refused = [this](const std::string&,
                                     const Error& error) { note(refusals_, error.code()); }},
        links_(options(), identity_, events_) {
    links_.listen().or_throw();
  }
  void dial(const std::string& name, const End& other) {
    links_.be(identity_, events_, {{name, other.links_.address()}});
  }
  /// As the node that the name stands for.
  [[nodiscard]] static PeerTarget target(const std::string& name, const End& at) {
    return {name, at.links_.address(), NodeId::named(name)};
  }
  void be_linked_with(std::vector<PeerTarget> targets) {
    links_.be(identity_, events_, std::move(targets));
  }
  void follow(std::vector<PeerTarget> targets) { links_.follow(std::move(targets)); }
  /// Waits until it was refused so often; the code of the last time.
  ErrorCode await_refusals(int times) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 30s, [&] { return refusals_ >= times; }));
    return *last_;
  }
  [[nodiscard]] int downs() {
    const std::lock_guard lock(mutex_);
    return downs_;
  }
  [[nodiscard]] std::size_t linked() const { return links_.linked(); }
  [[nodiscard]] std::map<std::string, std::uint64_t> refusals() const { return links_.refusals(); }

 private:
  static PeerLinkOptions options() {
    std::array<std::byte, Secret::size> bytes{};
    bytes.fill(std::byte{7});
    PeerLinkOptions wanted;
    wanted.listen = "127.0.0.1:0";
    wanted.secret = Secret(bytes);
    wanted.redial_min = 1ms;
    wanted.redial_max = 10s;
    wanted.dial_patience = 20ms;
    return wanted;
  }
  void note(int& count, std::optional<ErrorCode> code) {
    const std::lock_guard lock(mutex_);
    ++count;
    if (code) last_ = code;
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int downs_ = 0;
  int refusals_ = 0;
  std::optional<ErrorCode> last_;
  PeerIdentity identity_;
  PeerLinkEvents events_;
  PeerLinks links_;  // Last: its thread uses all of the above.
};

const Error unknown(ErrorCode::unknown_node, "not a member");

TEST(PeerLinks, WhoIsRefusedHearsWhyAndAsksMoreAndMoreRarely) {
  End dialer("a");
  End acceptor("b", unknown);
  const Instant begin = now();

  dialer.dial("b", acceptor);

  EXPECT_EQ(dialer.await_refusals(8), ErrorCode::unknown_node);
  // Seven waits that double from 2 ms on, with jitter: at least half of 254 ms.
  EXPECT_GE(now() - begin, 127ms);
}

TEST(PeerLinks, WhoIsRefusedWasNeverLinked) {
  End dialer("a");
  End acceptor("b", unknown);

  dialer.dial("b", acceptor);
  acceptor.await_refusals(3);

  EXPECT_EQ(acceptor.linked(), 0U);
  EXPECT_EQ(acceptor.downs(), 0) << "who never was up does not go down";
}

TEST(PeerLinks, RefusalsAreCountedByTheirReasonOnBothSides) {
  End dialer("a");
  End acceptor("b", unknown);

  dialer.dial("b", acceptor);
  dialer.await_refusals(3);
  acceptor.await_refusals(3);

  EXPECT_GE(dialer.refusals()["unknown_node"], 3U);
  EXPECT_GE(acceptor.refusals()["unknown_node"], 3U);
  EXPECT_EQ(dialer.refusals().size(), 1U);
}

TEST(PeerLinks, WhoseServerIsStillStartingAsksAgainSoon) {
  End dialer("a");
  End acceptor("b", Error(ErrorCode::busy, "still starting"));
  const Instant begin = now();

  dialer.dial("b", acceptor);

  EXPECT_EQ(dialer.await_refusals(20), ErrorCode::busy);
  EXPECT_LT(now() - begin, 20s) << "twenty waits that doubled would take longer than all patience";
}

TEST(PeerLinks, WhoIsLetInIsLinkedOnBothSides) {
  End dialer("a");
  End acceptor("b");

  dialer.dial("b", acceptor);

  EXPECT_TRUE(comes_true([&] { return dialer.linked() == 1; }));
  EXPECT_TRUE(comes_true([&] { return acceptor.linked() == 1; }));
}

TEST(PeerLinks, TargetsThatComeAndGoLeaveTheOtherLinksAlone) {
  End a("a");
  End b("b");
  End c("c");
  a.be_linked_with({End::target("b", b)});
  ASSERT_TRUE(comes_true([&] { return a.linked() == 1; }));

  a.follow({End::target("b", b), End::target("c", c)});
  ASSERT_TRUE(comes_true([&] { return a.linked() == 2; }));
  a.follow({End::target("c", c)});
  EXPECT_TRUE(comes_true([&] { return a.linked() == 1; })) << "who is no target is not counted";

  EXPECT_EQ(a.downs(), 0) << "it may have yet to hear that it is none";
}

// It may be the only one that knows where the other one is.
TEST(PeerLinks, WhoIsToBeDialedDialsItselfIfThatTakesLong) {
  End first("a");
  End second("b");

  second.be_linked_with({End::target("a", first)});

  EXPECT_TRUE(comes_true([&] { return second.linked() == 1; }));
}

TEST(PeerLinks, TwoThatDialEachOtherEndWithOneLinkThatStays) {
  End first("a");
  End second("b");
  first.be_linked_with({End::target("b", second)});
  second.be_linked_with({End::target("a", first)});
  ASSERT_TRUE(comes_true([&] { return first.linked() == 1 && second.linked() == 1; }));

  const auto is_calm = [&] {
    const int before = first.downs() + second.downs();
    std::this_thread::sleep_for(200ms);  // Ten times the patience.
    return first.downs() + second.downs() == before;
  };
  EXPECT_TRUE(comes_true(is_calm));
  EXPECT_EQ(first.linked(), 1U);
  EXPECT_EQ(second.linked(), 1U);
}

TEST(PeerLinks, AnotherNodeWhereATargetWasIsRefused) {
  End dialer("a");
  End other("c");

  dialer.be_linked_with({End::target("b", other)});

  EXPECT_EQ(dialer.await_refusals(2), ErrorCode::unknown_node);
  EXPECT_EQ(dialer.linked(), 0U);
}

}  // namespace
}  // namespace kuilt::server
