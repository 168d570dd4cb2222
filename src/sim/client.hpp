// client.hpp: one simulated client process: the real client core over simulated links, and the
// program that uses it.
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
#include "sim/clock.hpp"
#include "sim/guest.hpp"
#include "sim/program.hpp"
#include "sim/scene.hpp"

namespace kuilt::sim {

class Client final : public LinkEnd {
 public:
  Client(Scene& scene, std::size_t number, Rng rng, std::vector<LinkEnd*> servers,
         const MakeProgram& make_program);

  void start();
  /// The process dies and comes back.
  void crash();
  /// A pause under way stays as it is, as for a server.
  void pause(Instant until) {
    if (!paused()) paused_until_ = until;
  }
  void faults_are_over() {
    program_->faults_are_over();
    guest_.calm_down();
  }

  // For its program. Calls need a process that runs.

  [[nodiscard]] Scene& scene() { return scene_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] bool runs() const { return core_.has_value(); }
  [[nodiscard]] std::optional<wire::Welcome> welcome() const { return core_->welcome(); }
  /// In this process, if it lives then; later, if it is paused then.
  void when_awake(Instant when, std::function<void()> action);
  void after(Duration delay, std::function<void()> action) {
    when_awake(scene_.now() + delay, std::move(action));
  }
  /// Numbers a call before it is made: it may end while it is made.
  [[nodiscard]] client::CallId next_call() { return client::CallId(++last_call_); }
  /// Proposes what the oracle has under that number, whose room and command go into `call`. The
  /// caller says which call it is and, unless it is the client's own, under which session.
  void propose(ProposalNumber proposal, Duration patience, client::ProposeCall call);
  /// A read barrier; its program hears of the end.
  void read(client::CallId call, Duration patience);
  void cancel(client::CallId call) { step(client::CancelCall{call}); }
  /// `after`: the position that `from` means, as far as the caller can know.
  void observe(const RoomName& room, const wire::ObserveFrom& from, std::optional<Position> after);
  void unobserve(const RoomName& room);
  void taken(const RoomName& room, std::uint64_t bytes) { step(client::Taken{room, bytes}); }

  [[nodiscard]] Program& program() { return *program_; }
  [[nodiscard]] const Program& program() const { return *program_; }
  [[nodiscard]] bool has_pending() const {
    return !calls_.empty() || !reads_.empty() || program_->has_pending();
  }
  [[nodiscard]] bool observes_the_end() const;
  [[nodiscard]] bool knows_everybody() const { return guest_.knows_everybody(); }
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
    bool is_durable = false;  ///< Then its program, which may repeat it, tells the oracle.
  };

  void step(client::Input input);
  void carry_out(client::Duty& duty);
  void dial(const client::Dial& dial);
  void close(const client::Close& close);
  void resolved(const client::Resolved& resolved);
  void hold_receipt(ProposalNumber proposal);
  void read_resolved(const client::BarrierResolved& resolved);
  void delivered(const client::Delivered& delivered);
  void advanced(const client::Advanced& advanced);
  void observe_ended(const client::ObserveEnded& ended);
  void told(const client::Event& event);
  [[nodiscard]] client::ClientOptions draw_options();
  [[nodiscard]] Instant local_now() const { return clock_.local(scene_.now()); }
  [[nodiscard]] bool paused() const { return scene_.now() < paused_until_; }

  Scene& scene_;
  const std::size_t number_;
  Rng rng_;
  std::vector<LinkEnd*> servers_;
  Guest guest_;
  std::uint64_t incarnation_ = 0;
  Clock clock_;
  Instant paused_until_{};
  wire::Encoding encoding_{};
  std::optional<client::ClientCore> core_;
  std::unique_ptr<Alarm> alarm_;
  std::map<client::DialId, LinkNumber> links_;
  std::map<LinkNumber, client::DialId> dials_;
  std::string last_event_;  ///< Of the core, for people.
  std::uint64_t last_call_ = 0;
  std::map<client::CallId, Call> calls_;
  std::map<client::CallId, Index> reads_;        ///< What was committed when each was asked for.
  std::map<RoomName, ObserverNumber> observed_;  ///< In this life.
  std::unique_ptr<Program> program_;             ///< Last: it may use all of the above.
};

}  // namespace kuilt::sim
