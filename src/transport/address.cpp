#include "transport/address.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kuilt::transport {

namespace {

Error bad_address(std::string_view text) {
  return Error(ErrorCode::invalid_argument,
               "\"" + std::string(text) +
                   "\" is not an address: expected host:port, as in 127.0.0.1:7400 or [::1]:7400");
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto [stop, trouble] = std::from_chars(text.data(), end, port);
  if (trouble != std::errc() || stop != end) return std::nullopt;
  return port;
}

bool may_be_host(std::string_view host) {
  constexpr std::string_view never = " /?#@[]\"\\";
  return !host.empty() && host.find_first_of(never) == std::string_view::npos;
}

}  // namespace

Result<Address> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad_address(text);
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return bad_address(text);

  std::string_view host = text.substr(0, colon);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  // Without brackets nobody can tell the last group of an IPv6 address from a port.
  const bool has_colon = host.find(':') != std::string_view::npos;
  if (has_colon != in_brackets || !may_be_host(host)) return bad_address(text);
  return Address{std::string(host), *port};
}

Result<Address> parse_url(std::string_view url) {
  constexpr std::string_view plain = "ws://";
  constexpr std::string_view over_tls = "wss://";
  std::string_view rest = url;
  if (rest.starts_with(over_tls)) {
    return Error(ErrorCode::invalid_argument,
                 "\"" + std::string(url) + "\" asks for TLS, which this build does not speak: " +
                     "use ws://, and a TLS proxy where the network is not trusted");
  }
  if (rest.starts_with(plain)) rest.remove_prefix(plain.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  auto address = parse_address(rest);
  if (!address) return std::move(address).error().within("endpoint " + std::string(url));
  return address;
}

std::string text_of(const Address& address) {
  const bool is_ipv6 = address.host.find(':') != std::string::npos;
  const std::string host = is_ipv6 ? "[" + address.host + "]" : address.host;
  return host + ":" + std::to_string(address.port);
}

std::string text_of(const boost::asio::ip::tcp::endpoint& endpoint) {
  return text_of(Address{endpoint.address().to_string(), endpoint.port()});
}

std::string_view host_part(std::string_view authority) {
  if (authority.starts_with('[')) {
    const std::size_t bracket = authority.find(']');
    return authority.substr(1, bracket == std::string_view::npos ? bracket : bracket - 1);
  }
  return authority.substr(0, authority.find(':'));
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

}  // namespace kuilt::transport
