#include "transport/upgrade_rules.hpp"

#include <algorithm>
#include <string_view>

#include <boost/asio/ip/address.hpp>

#include "transport/address.hpp"

namespace kuilt::transport {

namespace {

// What strangers sent goes back to them in an error text, but not at any length.
std::string quoted(std::string_view value) {
  constexpr std::size_t shown_max = 200;
  const bool whole = value.size() <= shown_max;
  return "\"" + std::string(value.substr(0, shown_max)) + (whole ? "\"" : "…\"");
}

std::string listed(const std::vector<std::string>& values) {
  std::string out;
  for (const std::string& value : values) {
    if (!out.empty()) out += ", ";
    out += value;
  }
  return out.empty() ? "none" : out;
}

bool contains(const std::vector<std::string>& values, std::string_view wanted) {
  return std::find(values.begin(), values.end(), wanted) != values.end();
}

std::string_view without_suffix(std::string_view text, std::string_view suffix) {
  return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

// Browsers leave the scheme's own port out of both headers; other programs may not.
bool is_same_origin(std::string_view origin, std::string_view host) {
  const std::string lower_origin = lower_case(origin);
  const std::string lower_host = lower_case(host);
  const auto matches = [&](std::string_view scheme, std::string_view own_port) {
    if (!lower_origin.starts_with(scheme)) return false;
    const auto authority = std::string_view(lower_origin).substr(scheme.size());
    return without_suffix(authority, own_port) == without_suffix(lower_host, own_port);
  };
  return matches("http://", ":80") || matches("https://", ":443");
}

std::optional<Refusal> refuse_host(const UpgradeRequest& request, const AcceptRules& rules,
                                   const std::vector<std::string>& own_hosts) {
  if (request.hosts.size() != 1) {
    return Refusal{400, ErrorCode::invalid_argument,
                   "The request has " + std::to_string(request.hosts.size()) +
                       " Host headers; exactly one is needed."};
  }
  const std::string& host = request.hosts.front();
  if (rules.any_host || host_is_ours(host, rules.allowed_hosts, own_hosts)) return std::nullopt;
  return Refusal{403, ErrorCode::not_allowed,
                 "The Host " + quoted(host) +
                     " is not a name of this server. Connect by one of its addresses, or start " +
                     "the server with --allow-host " + std::string(host_part(host)) + "."};
}

std::optional<Refusal> refuse_origin(const UpgradeRequest& request, const AcceptRules& rules) {
  if (request.origins.empty()) {
    if (!rules.origin_required) return std::nullopt;
    return Refusal{403, ErrorCode::origin_refused,
                   "The request has no Origin, and this server requires one."};
  }
  const std::string& origin = request.origins.front();
  if (request.origins.size() == 1 && origin != "null") {
    if (is_same_origin(origin, request.hosts.front())) return std::nullopt;
    if (contains(rules.allowed_origins, origin)) return std::nullopt;
  }
  return Refusal{403, ErrorCode::origin_refused,
                 "The Origin " + quoted(listed(request.origins)) +
                     " is not allowed. Serve the page from the same host and port as this server " +
                     "(" + quoted(request.hosts.front()) + "), or start the server with " +
                     "--allow-origin and the page's exact origin."};
}

std::optional<Refusal> refuse_request(const UpgradeRequest& request) {
  if (request.method != "GET") {
    return Refusal{405, ErrorCode::invalid_argument,
                   "The method " + quoted(request.method) +
                       " is not served here: a WebSocket opens with GET."};
  }
  if (request.has_body) {
    return Refusal{400, ErrorCode::invalid_argument,
                   "The request has a body, or bytes after its headers. A client waits for the " +
                       std::string("answer 101 before it sends frames.")};
  }
  return std::nullopt;
}

}  // namespace

Verdict judge(const UpgradeRequest& request, const AcceptRules& rules,
              const std::vector<std::string>& own_hosts) {
  if (auto refusal = refuse_host(request, rules, own_hosts)) return {std::move(refusal), {}};
  if (auto refusal = refuse_origin(request, rules)) return {std::move(refusal), {}};
  if (auto refusal = refuse_request(request)) return {std::move(refusal), {}};
  if (!request.asks_for_websocket) {
    return {Refusal{426, ErrorCode::invalid_argument,
                    "This is a kuilt listener: it speaks WebSocket, with the subprotocol " +
                        listed(rules.subprotocols) + ". Try `kuilt observe -e ws://" +
                        request.hosts.front() + "`."},
            {}};
  }
  if (rules.subprotocols.empty()) return {};
  for (const std::string& spoken : rules.subprotocols) {
    if (contains(request.subprotocols, spoken)) return {std::nullopt, spoken};
  }
  return {Refusal{400, ErrorCode::wrong_subprotocol,
                  "The client offers the subprotocols " + quoted(listed(request.subprotocols)) +
                      "; this listener speaks " + listed(rules.subprotocols) + "."},
          {}};
}

Refusal too_many_links(const AcceptRules& rules) {
  return {503, ErrorCode::too_many_clients,
          "This server has no room for another link (at most " + std::to_string(rules.links_max) +
              ", and " + std::to_string(rules.links_per_address_max) +
              " from one address). Connect to another server, or raise --clients-max."};
}

bool is_loopback_name(std::string_view host) {
  if (lower_case(host) == "localhost") return true;
  boost::system::error_code trouble;
  const auto address = net::ip::make_address(std::string(host), trouble);
  return !trouble && address.is_loopback();
}

bool host_is_ours(std::string_view authority, const std::vector<std::string>& allowed_hosts,
                  const std::vector<std::string>& own_hosts) {
  const std::string whole = lower_case(authority);
  const std::string host(host_part(whole));
  const auto names_it = [&](const std::string& name) {
    const std::string lower = lower_case(name);
    return lower == whole || lower == host;
  };
  return is_loopback_name(host) ||
         std::any_of(allowed_hosts.begin(), allowed_hosts.end(), names_it) ||
         std::any_of(own_hosts.begin(), own_hosts.end(), names_it);
}

std::vector<std::string> tokens_of(std::string_view line) {
  std::vector<std::string> tokens;
  while (!line.empty()) {
    const std::size_t comma = std::min(line.find(','), line.size());
    std::string_view token = line.substr(0, comma);
    line.remove_prefix(std::min(comma + 1, line.size()));
    while (token.starts_with(' ') || token.starts_with('\t')) token.remove_prefix(1);
    while (token.ends_with(' ') || token.ends_with('\t')) token.remove_suffix(1);
    if (!token.empty()) tokens.emplace_back(token);
  }
  return tokens;
}

}  // namespace kuilt::transport
