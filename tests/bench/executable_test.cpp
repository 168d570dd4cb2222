// `kuilt bench` from outside: the shape of what it prints, never how fast this machine is.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

namespace kuilt::bench {
namespace {

struct Ended {
  std::string output;
  int status = -1;
};

Ended run(const std::string& arguments) {
  const std::string line = std::string(KUILT_BINARY) + " bench " + arguments;
  std::FILE* pipe = ::popen(line.c_str(), "r");
  Ended ended;
  std::array<char, 4096> buffer;
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.output.append(buffer.data(), got);
  }
  ended.status = ::pclose(pipe);
  return ended;
}

nlohmann::json report_of(const std::string& arguments) {
  const Ended ended = run(arguments);
  EXPECT_EQ(ended.status, 0) << ended.output;
  auto report = nlohmann::json::parse(ended.output, nullptr, false);
  EXPECT_TRUE(report.is_object()) << ended.output;
  return report;
}

double number(const nlohmann::json& report, const std::string& path) {
  const nlohmann::json::json_pointer place(path);
  EXPECT_TRUE(report.contains(place) && report.at(place).is_number()) << path << " in " << report;
  return report.value(place, -1.0);
}

TEST(BenchPropose, ReportsBothLoopsBesideTheirLimit) {
  const auto report = report_of("propose --clients 4 --voters 1 --seconds 1 --json");

  EXPECT_EQ(report.value("bench", ""), "propose");
  EXPECT_TRUE(report.value("fsync", false));
  for (const std::string loop : {"/closed_loop", "/open_loop"}) {
    EXPECT_GT(number(report, loop + "/proposals_per_second"), 0);
    EXPECT_GT(number(report, loop + "/latency_us/p50"), 0);
    EXPECT_GE(number(report, loop + "/latency_us/p999"), number(report, loop + "/latency_us/p99"));
    EXPECT_EQ(number(report, loop + "/refused"), 0);
    EXPECT_GT(number(report, loop + "/usage/servers/0/fdatasyncs"), 0);
    EXPECT_GT(number(report, loop + "/usage/servers/0/entries_per_fdatasync"), 0);
    EXPECT_GT(number(report, loop + "/usage/servers/0/cpu_percent"), 0);
  }
  EXPECT_GT(number(report, "/limit/proposals_per_second"), 0);
  EXPECT_GT(number(report, "/limit/fdatasync_us"), 0);
  EXPECT_GT(number(report, "/ratio/proposals_per_second"), 0);
  EXPECT_GT(number(report, "/ratio/latency_p50"), 0);
}

TEST(BenchFanout, ReportsBothPhasesBesideTheirLimit) {
  const auto report = report_of("fanout --learners 20 --rate 200 --seconds 0.5 --json");

  EXPECT_EQ(report.value("bench", ""), "fanout");
  EXPECT_GT(number(report, "/idle/server_bytes_each"), 0);
  for (const std::string phase : {"/paced", "/saturated"}) {
    EXPECT_GT(number(report, phase + "/entries_per_second"), 0);
    EXPECT_GE(number(report, phase + "/entries_per_frame"), 1);
    EXPECT_GT(number(report, phase + "/first_to_last_us/p50"), 0);
    EXPECT_GT(number(report, phase + "/propose_to_last_us/p50"),
              number(report, phase + "/first_to_last_us/p50"));
    EXPECT_GT(number(report, phase + "/limit/entries_per_second"), 0);
    EXPECT_GT(number(report, phase + "/ratio/entries_per_second"), 0);
  }
}

TEST(BenchFanout, LearnersOfThreeServersSeeOneHistory) {
  const auto report =
      report_of("fanout --learners 9 --voters 3 --spread --rate 100 --seconds 0.5 --json");

  // The load refuses a feed with a gap, and waits until all have what was committed.
  EXPECT_GT(number(report, "/saturated/entries_per_second"), 0);
  EXPECT_EQ(report.at("saturated").at("usage").at("servers").size(), 3U);
}

TEST(BenchRooms, ReportsMessagesAndCommandsBesideTheirLimit) {
  const auto report = report_of("rooms --rooms 5 --members 4 --seconds 0.5 --json");

  EXPECT_EQ(report.value("bench", ""), "rooms");
  for (const std::string phase : {"/messages", "/commands"}) {
    EXPECT_GT(number(report, phase + "/said_per_second"), 0);
    EXPECT_GE(number(report, phase + "/heard_per_second"),
              number(report, phase + "/said_per_second"));
    EXPECT_GT(number(report, phase + "/to_last_us/p50"), 0);
    EXPECT_EQ(number(report, phase + "/lost"), 0);
    EXPECT_GT(number(report, phase + "/limit/frames_per_second"), 0);
    EXPECT_GT(number(report, phase + "/ratio"), 0);
  }
}

TEST(Bench, HelpHasExamples) {
  for (const std::string command : {"propose", "fanout", "rooms"}) {
    const Ended ended = run(command + " --help");
    EXPECT_EQ(ended.status, 0);
    EXPECT_NE(ended.output.find("kuilt bench " + command), std::string::npos);
    EXPECT_NE(ended.output.find("--seconds"), std::string::npos);
  }
}

TEST(Bench, MoreLearnersThanOpenFilesIsRefusedByName) {
  const Ended ended = run("fanout --learners 100000 2>&1");

  EXPECT_NE(ended.status, 0);
  EXPECT_NE(ended.output.find("ulimit -Hn"), std::string::npos) << ended.output;
}

}  // namespace
}  // namespace kuilt::bench
