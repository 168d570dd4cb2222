// address.hpp: "host:port" as people write it, and as the network understands it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <boost/asio/ip/tcp.hpp>

#include "kuilt/result.hpp"

namespace kuilt::transport {

struct Address {
  std::string host;  ///< Without the brackets of an IPv6 address.
  std::uint16_t port = 0;
};

/// Reads "host:port", where an IPv6 host stands in brackets: "[::1]:7400".
/// Errors: invalid_argument.
[[nodiscard]] Result<Address> parse_address(std::string_view text);

/// Reads "ws://host:port", with or without the scheme and a final slash.
/// Errors: invalid_argument. No path and no query: what is secret does not belong in a URL, and
/// what is not has its place in the hello.
[[nodiscard]] Result<Address> parse_url(std::string_view url);

/// "host:port", with the brackets that an IPv6 address needs.
[[nodiscard]] std::string text_of(const Address& address);
[[nodiscard]] std::string text_of(const boost::asio::ip::tcp::endpoint& endpoint);

/// The host of "host", "host:port", "[::1]" or "[::1]:port", without brackets. For what strangers
/// send, so it reads anything, and promises nothing about what it returns.
[[nodiscard]] std::string_view host_part(std::string_view authority);

/// ASCII only, as host names and HTTP tokens are.
[[nodiscard]] std::string lower_case(std::string_view text);

}  // namespace kuilt::transport
