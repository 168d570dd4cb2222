// client_core_reads.hpp: the read barriers that are pending.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "client/client_core_calls.hpp"
#include "client/client_core_values.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {

/// From the call to its index, or to its error, whose effect is always none: a read changes
/// nothing. So what goes unanswered is simply asked again. All calls that wait when a question is
/// sent stand behind that one.
class Reads {
 public:
  Reads(const ClientOptions& options, std::uint64_t seed) : options_(options), rng_(seed) {}

  void call(Instant now, const BarrierCall& call, std::vector<Duty>& duties);
  /// Ends it, if it is one of these.
  void cancel(CallId id, std::vector<Duty>& duties);
  void stop(std::vector<Duty>& duties);
  void answer(Instant now, const wire::BarrierAnswer& answer, std::vector<Duty>& duties);
  /// The link in use is gone: nothing that was asked there will be answered.
  void link_down();
  void tick(Instant now, const Situation& situation, std::vector<Duty>& duties);
  /// What goes out on the link in use, if anything; its server says what it can.
  [[nodiscard]] std::optional<wire::ReadBarrier> send(Instant now, const wire::Welcome& server,
                                                      std::vector<Duty>& duties);
  [[nodiscard]] std::optional<Instant> wake_at() const;

 private:
  struct Call {
    Instant deadline;
    std::optional<Error> refusal;  ///< The last.
  };
  struct Question {
    std::set<CallId> calls;
    Instant due;  ///< Asked again then.
  };

  void resolve(CallId id, Result<Index> result, std::vector<Duty>& duties);
  void refused(Instant now, CallId id, const wire::RefusedOutcome& refused,
               std::vector<Duty>& duties);
  [[nodiscard]] static Error expired(const Call& call, const Situation& situation);

  ClientOptions options_;
  Rng rng_;
  std::map<CallId, Call> calls_;
  std::set<std::pair<Instant, CallId>> deadlines_;
  std::set<CallId> waiting_;                     ///< To be asked.
  std::map<std::uint64_t, Question> questions_;  ///< On the link in use, by number.
  std::optional<Instant> again_at_;              ///< A server asked for patience.
  unsigned refusals_ = 0;                        ///< Since the last index.
  std::uint64_t last_number_ = 0;
};

}  // namespace kuilt::client
