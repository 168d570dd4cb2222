// Proposals at random through a bad network, held against what their clients were told.
#include <gtest/gtest.h>

#include "machine_group.hpp"
#include "wire/entry.hpp"

namespace kuilt::cluster::test {
namespace {

using Request = std::pair<SessionId, RequestId>;

// What was proposed under one id, and by which attempts.
struct Attempted {
  wire::Proposal proposal;
  std::size_t entry_server = 0;
  std::vector<MachineGroup::Key> attempts;
};

class RandomRun {
 public:
  /// `with_state_machine`: it never admits "never", and other commands four times in five.
  RandomRun(std::uint64_t seed, bool with_state_machine)
      : group_(3, options(with_state_machine), seed), rng_(seed) {
    group_.refuses = [this](const AdmissionQuestion& question) {
      const bool refuses = question.command.text() == "never" || rng_.chance(20);
      return refuses ? std::optional<std::string>("not now") : std::nullopt;
    };
    group_.copied_percent = 5;
    group_.lost = [this](const auto&) { return rng_.chance(loss_percent_); };
    group_.late = [this](const auto&) { return Duration(1ms) + 1ms * rng_.below(40); };
  }

  void run() {
    for (int step = 0; step < 400; ++step) {
      if (rng_.chance(3)) group_.isolate(rng_.below(3));
      if (rng_.chance(4)) group_.isolated.clear();
      if (rng_.chance(3)) loss_percent_ = rng_.below(30);
      if (rng_.chance(50)) propose_new();
      if (rng_.chance(20)) repeat_one();
      if (rng_.chance(5)) group_.is_mute = !group_.is_mute;
      if (rng_.chance(5)) group_.stuck_at[rng_.below(3)] = Index(1002 + rng_.below(200));
      if (rng_.chance(10)) group_.stuck_at.clear();
      if (rng_.chance(6)) group_.give(rng_.below(3), TransferLeadership{});
      group_.run_for(20ms);
    }
    heal();
  }

  // The oracle.
  void check() {
    const auto& log = group_.committed(0);
    for (std::size_t i = 1; i < 3; ++i) EXPECT_EQ(group_.committed(i), log);
    std::map<Request, std::vector<Position>> places;
    for (const raft::Entry& entry : log) {
      if (entry.kind != raft::EntryKind::command) continue;
      const auto command = wire::decode_command(entry);
      places[{command->session, command->request_id}].push_back(entry.at);
      EXPECT_NE(command->body.text(), "never") << "no log holds what no state machine admits";
    }
    for (const auto& [request, at] : places) EXPECT_EQ(at.size(), 1U) << "a repeat in the log";
    for (const auto& [request, attempted] : attempted_) check_outcomes(attempted, places[request]);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(group_[i].waiting(), 0U);
      EXPECT_EQ(group_[i].sessions().digest(), group_[0].sessions().digest());
    }
  }

  MachineGroup& group() { return group_; }
  std::uint64_t certain_refusals = 0;
  std::uint64_t uncertain_refusals = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t results = 0;

 private:
  static MachineOptions options(bool with_state_machine) {
    MachineOptions options;
    options.applies = options.admits = with_state_machine;
    options.results_max = 20;
    options.admission_bytes_max = 6000;
    options.raft.append_bytes_max = 1000;
    options.raft.uncommitted_bytes_max = 6000;
    options.forward_window_bytes_max = 4000;
    options.forward_timeout = 200ms;
    options.leader_wait_max = 700ms;
    return options;
  }

  void propose_new() {
    const std::string session = "session" + std::to_string(rng_.below(5));
    const std::uint64_t id = ++last_id_[session];
    const std::string command = group_.options().admits && rng_.chance(10) ? "never" : "x";
    Attempted made{proposal(session, id, 1, command), rng_.below(3), {}};
    attempt(attempted_[{made.proposal.session, made.proposal.request_id}] = made);
  }
  void repeat_one() {
    if (attempted_.empty()) return;
    auto chosen = attempted_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(rng_.below(attempted_.size())));
    chosen->second.entry_server = rng_.below(3);
    attempt(chosen->second);
  }
  void attempt(Attempted& attempted) {
    const LinkId link(1 + attempted.entry_server);
    attempted.proposal.number = ++last_number_;
    attempted.attempts.emplace_back(link, last_number_);
    group_.submit(attempted.entry_server, link.value(), attempted.proposal);
  }
  void heal() {
    loss_percent_ = 0;
    group_.isolated.clear();
    group_.copied_percent = 0;
    group_.late = nullptr;
    group_.is_mute = false;
    group_.stuck_at.clear();
    group_.refuses = [](const AdmissionQuestion& question) {
      return question.command.text() == "never" ? std::optional<std::string>("no") : std::nullopt;
    };
    group_.run_for(5s);
    // Whatever has been heard of by then: an entry of the last term, so that all logs are equal.
    group_.submit(0, 99, proposal("last", 1));
    group_.run_for(2s);
    EXPECT_TRUE(group_.answer(99).has_value());
  }

  void check_outcomes(const Attempted& attempted, const std::vector<Position>& places) {
    bool all_refused = true;
    for (const auto& [link, number] : attempted.attempts) {
      const auto outcome = group_.answer(link.value(), number);
      ASSERT_TRUE(outcome.has_value()) << "every attempt ends";
      if (const auto* committed = std::get_if<wire::CommittedOutcome>(&*outcome)) {
        ++acknowledged;
        EXPECT_EQ(places, std::vector{committed->at}) << "acknowledged means in the log";
        check_result(*committed);
      }
      const auto* refused = std::get_if<wire::RefusedOutcome>(&*outcome);
      const bool certain = refused != nullptr && refused->certain;
      all_refused = all_refused && certain;
      if (refused != nullptr) ++(certain ? certain_refusals : uncertain_refusals);
    }
    EXPECT_TRUE(places.empty() || !all_refused) << "refused for certain, and yet in the log";
  }

  void check_result(const wire::CommittedOutcome& outcome) {
    if (outcome.result) {
      ++results;
      EXPECT_EQ(outcome.result->text(), result_of(outcome.at.index));
    } else {
      EXPECT_TRUE(outcome.duplicate || !group_.options().applies) << "a commit has its result";
    }
  }

  MachineGroup group_;
  Rng rng_;
  std::uint64_t loss_percent_ = 5;
  std::map<std::string, std::uint64_t> last_id_;
  std::uint64_t last_number_ = 0;
  std::map<Request, Attempted> attempted_;
};

class MachinesAtRandom : public ::testing::TestWithParam<bool> {};

TEST_P(MachinesAtRandom, NoRequestIsInTheLogTwiceAndEveryAnswerIsTrue) {
  std::map<std::string, std::uint64_t> seen;
  for (std::uint64_t seed = 1; seed <= 60 && !HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomRun run(seed, GetParam());
    run.run();
    run.check();
    seen["acknowledged"] += run.acknowledged;
    seen["certain refusals"] += run.certain_refusals;
    seen["uncertain refusals"] += run.uncertain_refusals;
    seen["truncations"] += run.group().count(&Counters::truncations);
    seen["lost forwards"] += run.group().count(&Counters::lost_forwards);
    seen["reforwards"] += run.group().count(&Counters::reforwards);
    seen["stale answers"] += run.group().count(&Counters::stale_answers);
    seen["joined repeats"] += run.group().count(&Counters::joined_repeats);
    seen["committed repeats"] += run.group().count(&Counters::committed_repeats);
    if (!GetParam()) continue;
    seen["results"] += run.results;
    seen["not admitted"] += run.group().count(&Counters::not_admitted);
  }
  for (const auto& [what, times] : seen) EXPECT_GT(times, 0U) << what << " never happened";
}

INSTANTIATE_TEST_SUITE_P(WithAndWithout, MachinesAtRandom, ::testing::Bool(),
                         [](const auto& tested) {
                           return tested.param ? "StateMachine" : "NoStateMachine";
                         });

}  // namespace
}  // namespace kuilt::cluster::test
