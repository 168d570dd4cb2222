// A server's own committed stream: the whole log, without a link.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "kuilt/client.hpp"
#include "kuilt/server.hpp"

namespace kuilt {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr auto patience = 20s;  // Far more than anything here takes.

class OwnStream : public ::testing::Test {
 protected:
  OwnStream()
      : cluster_(ServerCluster::in_process({.voters = 1, .directory = ""}).or_throw()),
        client_([this] {
          cluster_.start().or_throw();
          return ClusterClient::connect(cluster_.endpoints()).or_throw();
        }()) {}

  Receipt propose(const std::string& command, const RoomName& room = "") {
    ProposeOptions options;
    options.room = room;
    return client_.propose(command, options).get_for(patience).value().or_throw();
  }
  /// The next commands, and where the stream stands after them.
  static std::vector<std::string> next(CommittedStream& stream, std::size_t count) {
    std::vector<std::string> texts;
    while (texts.size() < count) {
      const auto piece = stream.next_for(patience);
      if (!piece) break;
      if (const auto* entry = std::get_if<Committed::Entry>(&*piece)) {
        texts.push_back(entry->entry.room + ":" + std::string(entry->entry.command.text()));
      }
    }
    return texts;
  }

  ServerCluster cluster_;
  ClusterClient client_;
};

TEST_F(OwnStream, ShowsAllRoomsFromTheStartAndWhatFollows) {
  propose("one");
  propose("two", "chess");
  auto stream = cluster_.committed().or_throw();
  EXPECT_THAT(next(stream, 2), ElementsAre(":one", "chess:two"));

  propose("three");

  EXPECT_THAT(next(stream, 1), ElementsAre(":three"));
  EXPECT_FALSE(stream.error());
}

TEST_F(OwnStream, BeginsAfterTheIndexThatIsGivenAndPassesWhatIsNoCommand) {
  const Receipt first = propose("one");
  const Receipt second = propose("two");
  auto stream = cluster_.committed(first.index).or_throw();

  const auto entry = stream.next_for(patience);
  const auto advance = stream.next_for(patience);

  ASSERT_TRUE(entry && std::holds_alternative<Committed::Entry>(*entry));
  EXPECT_EQ(std::get<Committed::Entry>(*entry).entry.index, second.index);
  ASSERT_TRUE(advance && std::holds_alternative<Committed::Advance>(*advance));
  EXPECT_EQ(std::get<Committed::Advance>(*advance).through.index, second.index);
  EXPECT_FALSE(stream.next_for(1ms)) << "nothing more, for now";
  EXPECT_FALSE(stream.error());
}

TEST_F(OwnStream, TwoStreamsAreTwoCursorsAndASlowOneHoldsUpNobody) {
  auto slow = cluster_.committed().or_throw();
  auto quick = cluster_.committed().or_throw();
  const std::string large(100'000, 'x');
  std::vector<std::string> wanted;
  for (int i = 0; i < 200; ++i) {  // 20 MB: more than memory keeps.
    wanted.push_back(":" + std::to_string(i) + large);
    propose(std::to_string(i) + large);
    ASSERT_EQ(next(quick, 1), std::vector{wanted.back()});
  }

  EXPECT_EQ(next(slow, 200), wanted);
}

TEST_F(OwnStream, EndsWithItsServerAndSaysSo) {
  auto stream = cluster_.committed().or_throw();
  propose("one");
  ASSERT_THAT(next(stream, 1), ElementsAre(":one"));
  std::thread stopping([this] { cluster_.stop("a").or_throw(); });

  while (stream.next()) {
  }

  stopping.join();
  ASSERT_TRUE(stream.error());
  EXPECT_EQ(stream.error()->code(), ErrorCode::stopped);
}

TEST_F(OwnStream, BeginsOnlyWhereTheServerIs) {
  const auto beyond = cluster_.committed(Index(1000));
  const auto nobody = cluster_.committed({}, "z");

  ASSERT_FALSE(beyond);
  EXPECT_EQ(beyond.error().code(), ErrorCode::invalid_argument);
  EXPECT_THAT(beyond.error().message(), ::testing::HasSubstr("index 1000 is not committed"));
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message(), ::testing::HasSubstr("no server \"z\""));
}

}  // namespace
}  // namespace kuilt
