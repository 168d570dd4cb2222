// proposers.hpp: many clients that propose, on one thread.
//
// Closed loop: each client keeps so many proposals in flight; what the servers can take is the
// result. Open loop: proposals leave at times fixed beforehand, and latency counts from those, so
// that a server that stalls is charged for everything that it kept waiting.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/link.hpp"
#include "bench/samples.hpp"

namespace kuilt::bench {

struct ProposerOptions {
  std::vector<std::string> addresses;  ///< Client i goes to address i modulo their number.
  std::size_t clients = 1;
  std::size_t command_bytes = 256;
};

/// Bytes that one proposal moves, for the bare loop beside it.
struct ProposalSizes {
  std::size_t request = 0;  ///< From the client, WebSocket header included.
  std::size_t answer = 0;
  std::size_t entry = 0;  ///< On disk and between servers.
};
[[nodiscard]] ProposalSizes sizes_of(std::size_t command_bytes);

/// What came back while it was measured.
struct ProposalFigures {
  std::uint64_t committed = 0;
  std::uint64_t refused = 0;
  Duration measured{};
  Spread latency;

  [[nodiscard]] double per_second() const;
};

/// Threads: the Loop's. Each client has a session of its own, as the library's do.
class Proposers final : public LinkOwner {
 public:
  using OnCommitted = std::function<void(Position at, Instant intended, Instant answered)>;

  static Result<std::unique_ptr<Proposers>> open(Loop& loop, const ProposerOptions& options);

  /// Errors of all three: what broke a link. What is in flight at the end is waited for.
  Result<ProposalFigures> run_closed(std::size_t in_flight, Duration warm_up, Duration measured);
  Result<ProposalFigures> run_open(double per_second, Duration warm_up, Duration measured);
  Status await_answers();

  /// Sends `count` proposals in one frame; the clients take turns. For a driver of its own.
  void propose(std::size_t count, Instant intended);
  void on_committed(OnCommitted hear) { hear_ = std::move(hear); }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] const std::optional<Error>& broken() const { return broken_; }

 private:
  struct Client {
    std::unique_ptr<Link> link;
    SessionId session;
    RequestId last{};
    std::map<std::uint64_t, Instant> waiting;  ///< Request id: when it was meant to leave.
  };

  Proposers(Loop& loop, std::size_t command_bytes);
  void on_message(Link& link, BytesView message) override;
  void on_broken(Link& link, const std::string& why) override;
  void on_answer(Client& client, const wire::Answer& answer, Instant at);
  void propose_by(Client& client, std::size_t count, Instant intended);
  void begin(Duration warm_up, Duration measured);
  Result<ProposalFigures> end();

  Loop& loop_;
  const Bytes command_;
  std::vector<Client> clients_;
  OnCommitted hear_;
  std::size_t turn_ = 0;
  std::size_t in_flight_ = 0;
  bool refill_ = false;  ///< An answer is followed by the next proposal: closed loop.
  Instant measure_from_{};
  Instant measure_until_{};
  ProposalFigures figures_;
  Samples latencies_;
  std::optional<Error> broken_;
};

}  // namespace kuilt::bench
