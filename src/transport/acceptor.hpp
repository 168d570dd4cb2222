// acceptor.hpp: a listening socket, or why there is none.
#pragma once

#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "kuilt/result.hpp"

namespace kuilt::transport {

namespace net = boost::asio;

/// Listens on "host:port"; port 0 picks a free one.
/// Errors: address_in_use, invalid_argument (not an address, not resolved, not of this machine),
/// io.
Result<net::ip::tcp::acceptor> open_acceptor(const net::any_io_executor& executor,
                                             const std::string& address);

}  // namespace kuilt::transport
