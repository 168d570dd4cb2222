#include "client/client_options.hpp"

#include <utility>

#include "client/callback_queue.hpp"
#include "client/client_shell.hpp"
#include "transport/address.hpp"
#include "wire/utf8.hpp"

namespace kuilt::client {
namespace {

/// It travels in the hello, which has a limit.
constexpr std::size_t token_bytes_max = 1024;

Error complain(std::string what) { return Error(ErrorCode::invalid_argument, std::move(what)); }

Status check_text(const std::string& what, const std::string& text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    return complain(what + " has " + std::to_string(text.size()) + " bytes, the limit is " +
                    std::to_string(bytes_max));
  }
  if (!wire::is_utf8(text)) return complain(what + " is not UTF-8");
  return Done{};
}

EndpointSelector guarded(EndpointSelector selector) {
  if (!selector) return selector;
  return [selector = std::move(selector)](const EndpointChoice& choice) {
    std::size_t place = 0;
    call_application("selector", [&] { place = selector(choice); });
    return place;
  };
}

}  // namespace

Status complaint_about(const ClusterEndpoints& endpoints) {
  if (endpoints.empty()) return complain("no endpoint to connect to");
  for (const std::string& url : endpoints.urls()) {
    if (Result<transport::Address> address = transport::parse_url(url); !address) {
      return std::move(address).error();
    }
  }
  return Done{};
}

Status complaint_about(const kuilt::ClientOptions& options) {
  if (options.links == 0) return complain("links is 0; at least one is needed");
  if (Status name = check_text("name", options.name, wire::principal_bytes_max); !name) return name;
  if (Status token = check_text("token", options.token, token_bytes_max); !token) return token;
  for (const auto& [what, wait] : {std::pair("attempt_timeout", options.attempt_timeout),
                                   std::pair("silence_max", options.silence_max),
                                   std::pair("dial_timeout", options.dial_timeout)}) {
    if (wait > Duration::zero()) continue;
    return complain(what + (" is " + std::to_string(wait.count())) + " ns; it must be above 0");
  }
  return Done{};
}

ClientOptions core_options(const ClusterEndpoints& endpoints, const kuilt::ClientOptions& options) {
  ClientOptions core;
  core.endpoints = endpoints.urls();
  core.selector = guarded(options.selector);
  core.name = options.name;
  core.token = options.token;
  core.secret = {detail::random_bits(), detail::random_bits() | 1U};
  core.links = options.links;
  core.attempt_timeout = detail::bounded(options.attempt_timeout);
  core.silence_max = detail::bounded(options.silence_max);
  core.dial_timeout = detail::bounded(options.dial_timeout);
  return core;
}

}  // namespace kuilt::client
