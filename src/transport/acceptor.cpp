#include "transport/acceptor.hpp"

#include "transport/address.hpp"

namespace kuilt::transport {

namespace {

using boost::system::error_code;
using net::ip::tcp;

Error listen_error(const std::string& address, const error_code& ec) {
  const bool in_use = ec == net::error::address_in_use;
  const bool not_ours = ec == boost::system::errc::address_not_available;
  const ErrorCode code = in_use     ? ErrorCode::address_in_use
                         : not_ours ? ErrorCode::invalid_argument
                                    : ErrorCode::io;
  return Error(code, Effect::none, "listen on " + address + ": " + ec.message());
}

Result<tcp::endpoint> resolve(const net::any_io_executor& executor, const std::string& address) {
  const auto parsed = parse_address(address);
  if (!parsed) return Error(parsed.error()).within("listen");
  error_code ec;
  tcp::resolver resolver(executor);
  const auto found =
      resolver.resolve(parsed->host, std::to_string(parsed->port), tcp::resolver::passive, ec);
  if (ec || found.empty()) {
    return Error(ErrorCode::invalid_argument,
                 "listen on " + address + ": the host cannot be resolved: " + ec.message());
  }
  return found.begin()->endpoint();
}

}  // namespace

Result<tcp::acceptor> open_acceptor(const net::any_io_executor& executor,
                                    const std::string& address) {
  const auto endpoint = resolve(executor, address);
  if (!endpoint) return endpoint.error();
  tcp::acceptor acceptor(executor);
  error_code ec;
  acceptor.open(endpoint->protocol(), ec);
  if (!ec) acceptor.set_option(tcp::acceptor::reuse_address(true), ec);
  if (!ec) acceptor.bind(*endpoint, ec);
  if (!ec) acceptor.listen(tcp::acceptor::max_listen_connections, ec);
  if (ec) return listen_error(address, ec);
  return acceptor;
}

}  // namespace kuilt::transport
