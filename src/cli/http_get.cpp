#include "cli/http_get.hpp"

#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace kuilt::cli {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

Result<HttpAnswer> exchange(http::verb verb, const std::string& address, const std::string& target,
                            std::chrono::milliseconds patience) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    return Error(ErrorCode::invalid_argument, "\"" + address + "\" is not HOST:PORT");
  }
  net::io_context io;
  beast::tcp_stream stream(io);
  stream.expires_after(patience);
  error_code error;
  bool sent = false;
  net::ip::tcp::resolver resolver(io);
  const auto found = resolver.resolve(address.substr(0, colon), address.substr(colon + 1), error);
  http::request<http::empty_body> request{verb, target, 11};
  request.set(http::field::host, address);
  request.prepare_payload();
  http::response<http::string_body> response;
  beast::flat_buffer buffer;
  if (!error) {
    // Each step starts the next; the stream's own timer bounds all of them.
    stream.async_connect(found, [&](error_code ec, const auto&) {
      if ((error = ec)) return;
      sent = true;
      http::async_write(stream, request, [&](error_code ew, std::size_t) {
        if ((error = ew)) return;
        http::async_read(stream, buffer, response, [&](error_code er, std::size_t) { error = er; });
      });
    });
    io.run();
  }
  if (error) {
    const bool in_doubt = sent && verb != http::verb::get;
    return Error(ErrorCode::no_server, in_doubt ? Effect::unknown : Effect::none,
                 address + " does not answer: " + error.message());
  }
  return HttpAnswer{response.result_int(), std::move(response).body()};
}

}  // namespace

Result<std::string> http_get(const std::string& address, const std::string& path,
                             std::chrono::milliseconds patience) {
  auto answer = exchange(http::verb::get, address, path, patience);
  if (!answer) return std::move(answer).error();
  if (answer->status / 100 != 2) {
    return Error(ErrorCode::no_server, address + path + " answered " +
                                           std::to_string(answer->status) + ": " + answer->body);
  }
  return std::move(answer->body);
}

Result<HttpAnswer> http_post(const std::string& address, const std::string& target,
                             std::chrono::milliseconds patience) {
  return exchange(http::verb::post, address, target, patience);
}

}  // namespace kuilt::cli
