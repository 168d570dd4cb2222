// kuilt-demo: three servers, ten clients, one log, and it survives a kill. Run by scripts/demo.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cli/commands.hpp"
#include "cli/local_cluster.hpp"
#include "cli/witness.hpp"
#include "kuilt/client.hpp"

namespace kuilt::cli {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

struct DemoFlags {
  std::string kuilt;
  std::size_t clients = 10;
  unsigned seconds = 10;
  std::string directory;
};

/// One client of the demo: proposes without pause, and writes down what it is told and what it
/// sees.
class DemoClient {
 public:
  DemoClient(std::size_t number, ClusterClient client, Witness& witness)
      : number_(number), client_(std::move(client)), witness_(witness) {}

  Status observe() {
    return client_.on_committed(from_start, [this](const Committed& committed) {
      const auto* seen = std::get_if<Committed::Entry>(&committed);
      if (seen == nullptr) return;
      const LogEntry& entry = seen->entry;
      witness_.observed(number_, entry.index.value(), entry.term.value(),
                        std::string(entry.command.text()));
    });
  }
  void propose_until(const std::atomic<bool>& stop) {
    for (std::uint64_t i = 1; !stop; ++i) {
      const std::string command =
          "client " + std::to_string(number_) + " move " + std::to_string(i);
      witness_.proposed(command);
      const Result<Receipt> receipt = client_.propose(command).get();
      if (receipt) {
        witness_.acknowledged(command, receipt->index.value(), receipt->term.value(),
                              receipt->duplicate);
      } else if (receipt.error().effect() == Effect::none) {
        witness_.refused(command);
      } else {
        unknown_ += 1;
      }
    }
  }
  [[nodiscard]] std::size_t unknown() const { return unknown_; }

 private:
  std::size_t number_;
  ClusterClient client_;
  Witness& witness_;
  std::size_t unknown_ = 0;
};

Result<std::vector<std::unique_ptr<DemoClient>>> connect(const LocalCluster& cluster,
                                                         std::size_t count, Witness& witness) {
  std::vector<std::unique_ptr<DemoClient>> clients;
  for (std::size_t i = 0; i < count; ++i) {
    // Each begins at another server: clients live on followers as well as on the leader.
    std::vector<std::string> urls = cluster.endpoints().urls();
    std::rotate(urls.begin(), urls.begin() + static_cast<std::ptrdiff_t>(i % urls.size()),
                urls.end());
    ClientOptions options;
    options.name = "client-" + std::to_string(i);
    auto client = ClusterClient::connect(ClusterEndpoints(std::move(urls)), options);
    if (!client) return std::move(client).error();
    clients.push_back(std::make_unique<DemoClient>(i, *std::move(client), witness));
    if (Status status = clients.back()->observe(); !status) return std::move(status).error();
  }
  return clients;
}

/// Kills the leader in full flow, and brings it back a while later.
Status kill_and_restart(LocalCluster& cluster, const Witness& witness, Clock::duration flow) {
  auto leader = cluster.await_leader(10s);
  if (!leader) return std::move(leader).error();
  std::this_thread::sleep_for(flow / 3);
  const std::string name = cluster.servers().at(*leader).name;
  std::printf("%zu entries observed; SIGKILL to the leader, %s\n", witness.count(0), name.c_str());
  if (auto killed = cluster.signal(*leader, SIGKILL); !killed) return std::move(killed).error();
  auto next = cluster.await_leader(10s);
  if (!next) return std::move(next).error();
  std::printf("%s leads now\n", cluster.servers().at(*next).name.c_str());
  std::this_thread::sleep_for(flow / 3);
  std::printf("%zu entries observed; %s starts again on its data\n", witness.count(0),
              name.c_str());
  if (Status status = cluster.start(*leader); !status) return status;
  std::this_thread::sleep_for(flow / 3);
  return Done{};
}

void await_observers(const Witness& witness, std::uint64_t through) {
  const auto deadline = Clock::now() + 15s;
  while (!witness.caught_up(through) && Clock::now() < deadline) std::this_thread::sleep_for(20ms);
}

int summary(const Witness::Verdict& verdict, std::size_t unknown) {
  std::printf("\nproposed          %zu\nacknowledged      %zu\n", verdict.proposed,
              verdict.acknowledged);
  if (unknown > 0) std::printf("outcome unknown   %zu\n", unknown);
  if (verdict.observed_least == verdict.observed_most) {
    std::printf("observed by each  %zu\n", verdict.observed_most);
  } else {
    std::printf("observed by each  %zu to %zu\n", verdict.observed_least, verdict.observed_most);
  }
  std::printf("gaps              %zu\nrepeats           %zu\n", verdict.gaps, verdict.repeats);
  std::printf("out of order      %zu\nlost              %zu\nphantoms          %zu\n",
              verdict.disorders, verdict.lost, verdict.phantoms);
  std::printf("longest time without a commit  %lld ms\n",
              static_cast<long long>(verdict.longest_pause.count()));
  for (const std::string& fault : verdict.faults) std::printf("  %s\n", fault.c_str());
  const bool sound = verdict.sound() && verdict.acknowledged > 0;
  std::printf("\n%s\n", sound ? "One history, seen by all; nothing lost, nothing repeated."
                              : "FAILED: this is not one history.");
  return sound ? 0 : 8;
}

int demo(const DemoFlags& flags) {
  auto prepared = LocalCluster::prepare(
      {.binary = flags.kuilt, .directory = flags.directory, .servers = 3, .extra_flags = {}});
  if (!prepared) return report(prepared.error());
  LocalCluster& cluster = *prepared;
  if (Status status = cluster.start_all(); !status) return report(status.error());
  const auto leader = cluster.await_leader(30s);
  if (!leader) return report(leader.error());
  for (const LocalServer& server : cluster.servers()) {
    std::printf("server %s  pid %d  ws://%s  data %s\n", server.name.c_str(), server.pid,
                server.client_address.c_str(), server.data.c_str());
  }
  std::printf("%s leads; %zu clients propose and observe for %u s\n",
              cluster.servers().at(*leader).name.c_str(), flags.clients, flags.seconds);

  Witness witness(flags.clients);
  auto clients = connect(cluster, flags.clients, witness);
  if (!clients) return report(clients.error());
  std::atomic<bool> stop = false;
  std::vector<std::thread> threads;
  for (const auto& client : *clients) {
    threads.emplace_back([&client, &stop] { client->propose_until(stop); });
  }
  const Status status = kill_and_restart(cluster, witness, std::chrono::seconds(flags.seconds));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  if (!status) return report(status.error());
  const std::uint64_t through = witness.told_through();
  await_observers(witness, through);
  std::size_t unknown = 0;
  for (const auto& client : *clients) unknown += client->unknown();
  return summary(witness.verdict(through), unknown);
}

/// In a directory of its own unless told otherwise; it stays if there is something to look at.
int demo_somewhere(DemoFlags& flags) {
  const bool own_directory = flags.directory.empty();
  if (own_directory) {
    std::string pattern = (std::filesystem::temp_directory_path() / "kuilt-demo-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      return report(Error(ErrorCode::directory_unwritable, "make directory " + pattern));
    }
    flags.directory = pattern;
  }
  const int result = demo(flags);
  if (own_directory && result == 0) {
    std::error_code ignored;
    std::filesystem::remove_all(flags.directory, ignored);
  } else {
    std::printf("data and logs: %s\n", flags.directory.c_str());
  }
  return result;
}

Command demo_command(DemoFlags& flags) {
  return {.name = "kuilt-demo",
          .about = "Three servers, ten clients, one log, and it survives a kill",
          .arguments = {{.name = "KUILT", .value = file(flags.kuilt), .help = "The executable"}},
          .flags = {{.name = "--clients",
                     .value = number(flags.clients, 1, 1000),
                     .help = "How many clients"},
                    {.name = "--seconds",
                     .value = number(flags.seconds, 1, 3600),
                     .help = "How long they propose"},
                    {.name = "--dir",
                     .value = folder(flags.directory),
                     .help = "Data of the servers; a new one by default"}},
          .run = [&flags](Command&) { return demo_somewhere(flags); }};
}

}  // namespace
}  // namespace kuilt::cli

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  kuilt::cli::DemoFlags flags;
  return kuilt::cli::run_command_line(kuilt::cli::demo_command(flags), argc, argv);
}
