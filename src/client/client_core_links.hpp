// client_core_links.hpp: which endpoint is dialed next, when, and by which link.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "client/client_core_values.hpp"
#include "kuilt/detail/rng.hpp"

namespace kuilt::client {

/// A wait drawn from [0, limit): full jitter, so that clients that lost one server together do not
/// come back together.
[[nodiscard]] Duration full_jitter(Rng& rng, Duration limit);
/// What a server that asks for patience gets at most.
inline constexpr Duration patience_max = std::chrono::minutes(1);

/// `first` doubled `times` times, but no more than `most`.
[[nodiscard]] Duration doubled(Duration first, unsigned times, Duration most);

/// The order in which endpoints are tried: what a server hinted at first, each hint once; else what
/// the selector chooses of those that the caller gave; else round robin, beginning with the first.
/// State of one client, never shared.
class Rotation {
 public:
  explicit Rotation(std::vector<std::string> endpoints, EndpointSelector selector = {});

  struct Choice {
    std::string endpoint;
    Instant not_before;     ///< A server asked for this much patience.
    std::string complaint;  ///< About the selector, if round robin had to stand in.
  };
  /// The next endpoint that no other link uses. Nothing, if all are in use. A choice that must
  /// wait is not taken yet: ask again then.
  [[nodiscard]] std::optional<Choice> next(Instant now, const std::set<std::string>& in_use);
  /// Hints of a server about to be left; they replace older ones.
  void hint(const std::vector<std::string>& endpoints, const std::string& leaving);
  void hold_off(const std::string& endpoint, Instant until);
  /// What servers have said of themselves and others.
  void forget();
  /// Whether there is any place to go besides `endpoint`.
  [[nodiscard]] bool has_other_than(const std::string& endpoint) const;

 private:
  [[nodiscard]] Instant free_at(const std::string& endpoint, Instant now) const;
  [[nodiscard]] Choice select(Instant now, const std::set<std::string>& in_use,
                              std::size_t round_robin);

  std::vector<std::string> endpoints_;
  EndpointSelector selector_;
  std::size_t turn_ = 0;
  std::string last_;
  std::deque<std::string> hints_;
  std::map<std::string, Instant> held_off_;
};

/// One of the `links` of a client, from its dial to its end.
struct Link {
  enum class State : std::uint8_t { waiting, dialing, greeting, admitted };
  State state = State::waiting;
  DialId dial;           ///< But for waiting.
  std::string endpoint;  ///< But for waiting.
  Instant due;           ///< Waiting: dial now. Dialing, greeting: too late.
  unsigned failures = 0;
  // Of an admitted link:
  Instant admitted_at;
  Instant heard_at;
  Instant half_heard_at;            ///< Of a message that was not whole then.
  std::optional<Instant> leave_at;  ///< Its server knows no leader: go elsewhere then.
  std::optional<wire::Welcome> welcome;
  Index commit;  ///< The highest that its server has named.
};

/// Silence after which a link is given up: what the client wants, unless the server's own
/// heartbeats are farther apart.
[[nodiscard]] Duration silence_limit(const ClientOptions& options, const wire::Welcome& welcome);

}  // namespace kuilt::client
