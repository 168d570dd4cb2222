// A durable session as values, and the file that it is kept in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "client/client_core_session.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {
namespace {

using ::testing::HasSubstr;

SessionBegins begins() {
  return {SessionKey{SessionId::named("mine"), Index(7)}, ClusterId::named("cluster"),
          HistoryId::named("history"), RequestId(0)};
}
CommandRecorded recorded(std::uint64_t id, std::string command, bool submitted = false) {
  return {RequestId(id), "chess", Bytes(std::move(command)), submitted};
}

/// A session and its file, record by record.
struct Written {
  DurableSessionState state{begins()};
  std::string file = session_file(state);
  std::vector<std::size_t> ends = {file.size()};  ///< Of each record.

  void add(const SessionRecord& record) {
    file += session_record(begins().key.session, file.size(), record);
    ends.push_back(file.size());
    EXPECT_TRUE(state.take(record));
  }
};

Written three_commands() {
  Written written;
  written.add(recorded(1, "one"));
  written.add(CommandSubmitted{RequestId(1)});
  written.add(recorded(2, "two", true));
  written.add(recorded(3, "three"));
  written.add(CommandAcknowledged{RequestId(2)});
  return written;
}

/// "7: 1* 3 of 3", a star for what was submitted.
std::string summary(const DurableSessionState& state) {
  std::string out = std::to_string(state.begins().key.birth.value()) + ":";
  for (const auto& [id, command] : state.unfinished()) {
    out += " " + std::to_string(id.value()) + "=" + std::string(command.command.text()) +
           (command.submitted ? "*" : "");
  }
  return out + " of " + std::to_string(state.last().value());
}

TEST(SessionFormat, WhatWasWrittenReadsBack) {
  const Written written = three_commands();

  const auto appended = read_session_file(written.file);
  const auto rewritten = read_session_file(session_file(written.state));

  ASSERT_TRUE(appended) << appended.error().message();
  ASSERT_TRUE(rewritten) << rewritten.error().message();
  EXPECT_EQ(summary(appended->state), "7: 1=one* 3=three of 3");
  EXPECT_EQ(summary(rewritten->state), summary(appended->state));
  EXPECT_EQ(appended->torn_bytes, 0U);
  EXPECT_EQ(appended->state.unfinished().at(RequestId(1)).room, "chess");
  EXPECT_EQ(appended->state.begins().history, HistoryId::named("history"));
}

TEST(SessionFormat, WhatIsWithdrawnIsAsIfItHadNeverBeenSubmitted) {
  Written written = three_commands();
  written.add(CommandWithdrawn{RequestId(1)});
  const auto withdrawn = read_session_file(written.file);
  written.add(CommandSubmitted{RequestId(1)});
  const auto again = read_session_file(written.file);

  ASSERT_TRUE(withdrawn) << withdrawn.error().message();
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(summary(withdrawn->state), "7: 1=one 3=three of 3");
  EXPECT_EQ(summary(again->state), "7: 1=one* 3=three of 3");
}

TEST(SessionFormat, AnIdIsNotGivenOutAgainWhenNothingIsUnfinished) {
  Written written;
  written.add(recorded(5, "x"));
  written.add(CommandAcknowledged{RequestId(5)});

  const auto read = read_session_file(session_file(written.state));

  ASSERT_TRUE(read);
  EXPECT_EQ(summary(read->state), "7: of 5");
  EXPECT_EQ(read->state.floor(), RequestId(5));
}

TEST(SessionFormat, WhereverACrashCutsTheLastRecordTheOnesBeforeStay) {
  const Written written = three_commands();
  const std::size_t begin = written.ends[written.ends.size() - 2];
  for (std::size_t cut = begin; cut < written.file.size(); ++cut) {
    std::string torn = written.file.substr(0, cut);
    const auto shorter = read_session_file(torn);
    torn.resize(written.file.size(), '\0');  // The length is there, and not all the bytes.
    const auto zeroed = read_session_file(torn);

    ASSERT_TRUE(shorter) << cut << ": " << shorter.error().message();
    EXPECT_EQ(summary(shorter->state), "7: 1=one* 2=two* 3=three of 3");
    EXPECT_EQ(shorter->torn_bytes, cut - begin);
    ASSERT_TRUE(zeroed) << cut << ": " << zeroed.error().message();
    EXPECT_EQ(summary(zeroed->state), summary(shorter->state));
  }
}

TEST(SessionFormat, DamageAnywhereElseIsRefusedByName) {
  const Written written = three_commands();
  const std::size_t last = written.ends[written.ends.size() - 2];
  for (std::size_t at = 0; at < last; ++at) {
    std::string damaged = written.file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);

    const auto read = read_session_file(damaged);

    ASSERT_FALSE(read) << at;
    const bool format = at == 7;
    EXPECT_EQ(read.error().code(), format ? ErrorCode::unsupported_format : ErrorCode::corrupt);
    EXPECT_EQ(read.error().effect(), Effect::none);
  }
}

TEST(SessionFormat, AFileCutBeforeTheEndOfItsFirstRecordIsDamagedNotNew) {
  const Written written;
  for (std::size_t cut = 0; cut < written.file.size(); ++cut) {
    const auto read = read_session_file(BytesView(written.file).slice(0, cut));

    ASSERT_FALSE(read) << cut;
    EXPECT_EQ(read.error().code(), ErrorCode::corrupt);
    EXPECT_THAT(read.error().message(), HasSubstr("byte "));
  }
}

TEST(SessionFormat, ARecordOfAnotherPlaceOrSessionIsNotTaken) {
  const Written written;
  const SessionRecord record = recorded(1, "x");
  const SessionId session = begins().key.session;

  for (const std::string& stray :
       {session_record(session, written.file.size() + 1, record),
        session_record(SessionId::named("another"), written.file.size(), record)}) {
    const auto read = read_session_file(written.file + stray);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->torn_bytes, stray.size());
    EXPECT_TRUE(read->state.unfinished().empty());
  }
  const auto own =
      read_session_file(written.file + session_record(session, written.file.size(), record));
  ASSERT_TRUE(own);
  EXPECT_EQ(own->state.unfinished().size(), 1U);
}

TEST(SessionFormat, RecordsThatDoNotFollowAreRefused) {
  for (const SessionRecord& stray : std::vector<SessionRecord>{
           begins(), CommandSubmitted{RequestId(9)}, CommandAcknowledged{RequestId(9)},
           CommandWithdrawn{RequestId(9)}, recorded(1, "again"), recorded(0, "zero")}) {
    Written written;
    written.add(recorded(1, "one"));
    written.file += session_record(begins().key.session, written.file.size(), stray);

    const auto read = read_session_file(written.file);

    ASSERT_FALSE(read) << stray.index();
    EXPECT_EQ(read.error().code(), ErrorCode::corrupt);
    EXPECT_THAT(read.error().message(), HasSubstr("does not follow"));
  }
}

TEST(SessionFormat, WhateverAFileHoldsItIsReadOrRefused) {
  const Written written = three_commands();
  Rng rng(1);
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string file = written.file;
    for (std::uint64_t left = 1 + rng.below(3); left > 0; --left) {
      const std::size_t at = rng.below(file.size());
      switch (rng.below(3)) {
        case 0: file[at] = static_cast<char>(rng.next() & 0xffU); break;
        case 1: file.erase(at, 1 + rng.below(8)); break;
        case 2: file.insert(at, file.substr(rng.below(file.size()), 1 + rng.below(40))); break;
      }
      if (file.empty()) break;
    }

    const auto read = read_session_file(file);

    refused += read ? 0 : 1;
    if (!read) continue;
    const auto again = read_session_file(session_file(read->state));
    ASSERT_TRUE(again) << again.error().message();
    ASSERT_EQ(summary(again->state), summary(read->state));
  }
  EXPECT_GT(refused, 10'000);
}

TEST(SessionFormat, TheExampleOfTheDocumentIsWhatIsWritten) {
  Written written;
  written.add(recorded(1, "move 1"));
  written.add(CommandSubmitted{RequestId(1)});
  std::ostringstream dump;
  for (std::size_t i = 0; i < written.file.size(); ++i) {
    const auto byte = static_cast<unsigned char>(written.file[i]);
    dump << (i % 16 == 0 ? "\n" : " ") << "0123456789abcdef"[byte >> 4]
         << "0123456789abcdef"[byte & 15U];
  }

  std::ifstream document(KUILT_SOURCE_DIR "/docs/session-format.md");
  const std::string text(std::istreambuf_iterator<char>(document), {});

  EXPECT_THAT(text, HasSubstr(dump.str() + "\n"));
}

// The rules of ids.

TEST(DurableSessionState, TheFloorIsBelowTheFirstUnfinishedId) {
  Written written;
  EXPECT_EQ(written.state.floor(), RequestId(0));
  for (std::uint64_t id = 1; id <= 3; ++id) written.add(recorded(id, "x"));
  EXPECT_EQ(written.state.floor(), RequestId(0));
  written.add(CommandAcknowledged{RequestId(2)});
  EXPECT_EQ(written.state.floor(), RequestId(0));
  written.add(CommandAcknowledged{RequestId(1)});
  EXPECT_EQ(written.state.floor(), RequestId(2));
  written.add(CommandAcknowledged{RequestId(3)});
  EXPECT_EQ(written.state.floor(), RequestId(3));
}

ErrorCode refusal(const Status& status) {
  return status ? ErrorCode::usage : status.error().code();  // Nothing here answers usage.
}

TEST(DurableSessionState, IdsOnlyRise) {
  Written written;
  written.add(recorded(42, "x"));
  const auto may = [&](std::uint64_t id) {
    return refusal(written.state.may_record(RequestId(id), "chess", "y"));
  };

  EXPECT_EQ(may(0), ErrorCode::invalid_argument);
  EXPECT_EQ(may(41), ErrorCode::below_floor);
  EXPECT_EQ(may(42), ErrorCode::request_id_reused);
  EXPECT_EQ(may(43), ErrorCode::usage);
  written.add(CommandAcknowledged{RequestId(42)});
  EXPECT_EQ(may(42), ErrorCode::below_floor);
  EXPECT_EQ(refusal(written.state.may_submit(RequestId(42))), ErrorCode::below_floor);
  EXPECT_EQ(refusal(written.state.may_submit(RequestId(43))), ErrorCode::invalid_argument);
}

TEST(DurableSessionState, WhatIsUnfinishedHasABoundInIdsAndInBytes) {
  Written many;
  for (std::uint64_t id = 1; id <= 1024; ++id) EXPECT_TRUE(many.state.take(recorded(id, "x")));
  EXPECT_EQ(refusal(many.state.may_record(RequestId(1025), "", "x")), ErrorCode::window_full);
  EXPECT_TRUE(many.state.take(CommandAcknowledged{RequestId(1)}));
  EXPECT_TRUE(many.state.may_record(RequestId(1025), "", "x"));

  Written large;
  const std::string mebibyte(std::size_t{1} << 20, 'x');
  for (std::uint64_t id = 1; id <= 15; ++id) EXPECT_TRUE(large.state.take(recorded(id, mebibyte)));
  EXPECT_EQ(refusal(large.state.may_record(RequestId(16), "", mebibyte)), ErrorCode::busy);
  EXPECT_TRUE(large.state.take(CommandAcknowledged{RequestId(7)}));
  EXPECT_TRUE(large.state.may_record(RequestId(16), "", mebibyte));
}

TEST(DurableSessionState, ARoomThatNoServerWouldTakeIsNotRecorded) {
  const DurableSessionState state(begins());
  const RequestId id(1);
  EXPECT_EQ(refusal(state.may_record(id, "\xff", "x")), ErrorCode::invalid_argument);
  EXPECT_EQ(refusal(state.may_record(id, std::string(129, 'r'), "x")), ErrorCode::invalid_argument);
  EXPECT_TRUE(state.may_record(id, std::string(128, 'r'), "x"));
}

}  // namespace
}  // namespace kuilt::client
