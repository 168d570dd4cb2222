// upgrade_rules.hpp: who may open a link, decided on values alone.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/errors.hpp"
#include "transport/seam.hpp"

namespace kuilt::transport {

/// What an HTTP request says, as far as it matters here.
struct UpgradeRequest {
  std::string method;
  bool asks_for_websocket = false;
  bool has_body = false;
  std::vector<std::string> hosts;         ///< One per Host line.
  std::vector<std::string> origins;       ///< One per Origin line.
  std::vector<std::string> subprotocols;  ///< As offered.
};

/// An HTTP answer other than 101. The text names the value, and the way out.
struct Refusal {
  unsigned status = 400;
  ErrorCode code = ErrorCode::invalid_argument;
  std::string text;
};

struct Verdict {
  std::optional<Refusal> refusal;
  std::string subprotocol;  ///< Agreed; empty when the listener speaks none.
};

/// `own_hosts`: the addresses by which this listener may be called besides the loopback names.
[[nodiscard]] Verdict judge(const UpgradeRequest& request, const AcceptRules& rules,
                            const std::vector<std::string>& own_hosts);

[[nodiscard]] Refusal too_many_links(const AcceptRules& rules);

/// True for this machine's names for itself: "localhost", 127.0.0.0/8 and ::1, without brackets.
[[nodiscard]] bool is_loopback_name(std::string_view host);

/// Whether `authority` (a Host header) calls us by a name that is ours. A page that had its own
/// name resolve to our address (DNS rebinding) is caught here: its Host is its own name.
[[nodiscard]] bool host_is_ours(std::string_view authority,
                                const std::vector<std::string>& allowed_hosts,
                                const std::vector<std::string>& own_hosts);

/// The comma-separated tokens of an HTTP header line.
[[nodiscard]] std::vector<std::string> tokens_of(std::string_view line);

}  // namespace kuilt::transport
