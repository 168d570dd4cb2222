// drawn_program.hpp: kuilt-sim's own application: it proposes, observes and comes back as the seed
// has it.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "sim/client.hpp"

namespace kuilt::sim {

class DrawnProgram final : public Program {
 public:
  DrawnProgram(Client& client, Rng rng)
      : client_(client), scene_(client.scene()), rng_(rng), reads_rng_(rng_.next()) {}

  void started() override;
  void died() override {
    calls_.clear();
    last_read_.reset();
  }
  void resolved(const client::Resolved& resolved) override;
  void read_resolved(const client::BarrierResolved& resolved) override;
  void delivered(const client::Delivered& delivered) override;
  void advanced(const client::Advanced& advanced) override;
  void observe_ended(const client::ObserveEnded& ended) override;
  /// No new proposals; those under way go on.
  void faults_are_over() override { calm_ = true; }
  /// One more proposal, and one more read, which must succeed.
  void finish() override;
  [[nodiscard]] bool has_pending() const override { return !durable_.unfinished.empty(); }
  [[nodiscard]] bool is_finished() const override { return last_done_ && last_read_done_; }
  [[nodiscard]] std::string state() const override;

 private:
  /// A call whose end decides what follows: one of the durable session, or the last of all.
  struct Call {
    ProposalNumber proposal = 0;
    std::optional<RequestId> durable = std::nullopt;
    SessionId session = {};  ///< Of the durable one.
  };
  /// A command of the durable session whose outcome is not yet written down.
  struct Unfinished {
    ProposalNumber proposal = 0;
    bool sent = false;  ///< Written down before the first call for it.
    int unknown_ends = 0;
    bool under_way = false;
  };
  /// What the application keeps on its own disk.
  struct Durable {
    std::optional<client::SessionKey> key;
    RequestId last;
    std::map<RequestId, Unfinished> unfinished;
  };

  void read_on();
  void read_last();
  void propose_on();
  void propose();
  void propose_own(RoomName room, Duration patience, bool is_last);
  void propose_durable(RoomName room);
  void submit_durable(RequestId id);
  void resolved_last(const Result<wire::CommittedOutcome>& result);
  void resolved_durable(const Call& call, const Result<wire::CommittedOutcome>& result);
  void observe(const RoomName& room);
  [[nodiscard]] std::string draw_command();
  [[nodiscard]] RequestId floor() const;
  [[nodiscard]] Duration patience();

  Client& client_;
  Scene& scene_;
  Rng rng_;
  Rng reads_rng_;
  bool calm_ = false;
  bool last_wanted_ = false;
  bool last_done_ = false;
  std::optional<client::CallId> last_read_;  ///< While it is under way.
  bool last_read_done_ = false;
  std::string last_refusal_;  ///< Of the last proposal, for people.
  std::map<client::CallId, Call> calls_;
  Durable durable_;
  std::map<RoomName, wire::ResumePoint> points_;  ///< Where to go on observing, after a crash too.
};

}  // namespace kuilt::sim
