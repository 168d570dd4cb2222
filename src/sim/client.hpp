// client.hpp: one simulated client: the real client core, and an application that proposes,
// observes, crashes and comes back.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/client_core.hpp"
#include "sim/alarm.hpp"
#include "sim/scene.hpp"

namespace kuilt::sim {

class Client final : public LinkEnd {
 public:
  Client(Scene& scene, std::size_t number, Rng rng, std::vector<LinkEnd*> servers);

  void start();
  /// The process dies and comes back: what it had written down survives, the rest does not.
  void crash();
  /// A pause under way stays as it is, as for a server.
  void pause(Instant until) {
    if (!paused()) paused_until_ = until;
  }
  /// No new proposals; those under way go on.
  void calm_down() { calm_ = true; }
  /// One more proposal, which must succeed. Pre: calm.
  void propose_last();

  [[nodiscard]] bool has_pending() const { return !calls_.empty() || !durable_.unfinished.empty(); }
  [[nodiscard]] bool observes_the_end() const;
  [[nodiscard]] bool last_is_done() const { return last_done_; }
  /// For people, when a run does not end.
  [[nodiscard]] std::string state() const;
  void settle_counters();

  [[nodiscard]] bool accepts() const override { return false; }
  void link_opened(LinkNumber link, wire::Encoding encoding) override;
  void link_frame(LinkNumber link, Bytes frame) override;
  void link_broken(LinkNumber link) override;
  void link_drained(LinkNumber link) override;

 private:
  struct Call {
    ProposalNumber proposal = 0;
    std::optional<RequestId> durable;
    SessionId session;  ///< Of the durable one.
    bool is_last = false;
  };
  /// A command of the durable session whose outcome is not yet written down.
  struct Unfinished {
    ProposalNumber proposal = 0;
    RoomName room;
    std::size_t bytes = 0;
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
  struct Observed {
    ObserverNumber observer = 0;
    std::optional<wire::ResumePoint> point;
    bool in_this_life = false;
  };

  void when_awake(Instant when, std::function<void()> action);
  void step(client::Input input);
  void carry_out(client::Duty& duty);
  void dial(const client::Dial& dial);
  void close(const client::Close& close);
  void resolved(const client::Resolved& resolved);
  void hold_receipt(ProposalNumber proposal);
  void resolved_durable(const Call& call, const Result<wire::CommittedOutcome>& result);
  void delivered(const client::Delivered& delivered);
  void advanced(const client::Advanced& advanced);
  void observe_ended(const client::ObserveEnded& ended);
  void told(const client::Event& event);

  void propose_on();
  void propose();
  void propose_own(RoomName room, std::size_t bytes, Duration patience, bool is_last);
  void propose_durable(RoomName room, std::size_t bytes);
  void submit_durable(RequestId id);
  void observe(const RoomName& room);
  [[nodiscard]] RequestId floor() const;
  [[nodiscard]] Duration patience();
  [[nodiscard]] client::ClientOptions draw_options();
  [[nodiscard]] Instant local_now() const { return scene_.now() + clock_offset_; }
  [[nodiscard]] bool paused() const { return scene_.now() < paused_until_; }

  Scene& scene_;
  const std::size_t number_;
  Rng rng_;
  std::vector<LinkEnd*> servers_;
  std::uint64_t incarnation_ = 0;
  Duration clock_offset_{};
  Instant paused_until_{};
  bool calm_ = false;
  bool last_wanted_ = false;
  bool last_done_ = false;
  wire::Encoding encoding_{};
  std::optional<client::ClientCore> core_;
  std::unique_ptr<Alarm> alarm_;
  std::map<client::DialId, LinkNumber> links_;
  std::map<LinkNumber, client::DialId> dials_;
  std::string last_event_;    ///< Of the core, for people.
  std::string last_refusal_;  ///< Of the last proposal, for people.
  std::uint64_t last_call_ = 0;
  std::map<client::CallId, Call> calls_;
  Durable durable_;
  std::map<RoomName, Observed> observed_;
};

}  // namespace kuilt::sim
