#include "server/admin_http.hpp"

#include <chrono>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "transport/acceptor.hpp"
#include "transport/address.hpp"
#include "transport/upgrade_rules.hpp"

namespace kuilt::server {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;

namespace {

using Clock = std::chrono::steady_clock;
using Request = http::request<http::empty_body>;

constexpr std::uint32_t header_bytes_max = 8 * 1024;
constexpr auto pause_after_failed_accept = std::chrono::milliseconds(100);

AdminReply complaint(unsigned status, std::string text) {
  return {status, "text/plain; charset=utf-8", std::move(text) + "\n"};
}

std::string listed(const AdminHandlers& handlers) {
  std::string out;
  for (const auto& [path, handler] : handlers) out += (out.empty() ? "" : ", ") + path;
  return out;
}

}  // namespace

/// The listening socket and what all connections share.
class AdminHttp::Hub : public std::enable_shared_from_this<Hub> {
 public:
  Hub(tcp::acceptor acceptor, std::string host, AdminHandlers handlers, AdminLimits limits)
      : acceptor_(std::move(acceptor)),
        executor_(acceptor_.get_executor()),
        pause_(executor_),
        host_(std::move(host)),
        handlers_(std::move(handlers)),
        limits_(std::move(limits)) {}

  void accept();
  void stop();
  void forget(const Connection& connection) { connections_.erase(&connection); }
  [[nodiscard]] AdminReply answer(const Request& request, const tcp::endpoint& local) const;
  [[nodiscard]] const AdminLimits& limits() const { return limits_; }
  [[nodiscard]] const net::any_io_executor& executor() const { return executor_; }

 private:
  void on_accept(error_code ec, tcp::socket socket);

  tcp::acceptor acceptor_;
  const net::any_io_executor executor_;
  net::steady_timer pause_;
  const std::string host_;
  const AdminHandlers handlers_;
  const AdminLimits limits_;
  bool stopped_ = false;
  std::map<const Connection*, std::weak_ptr<Connection>> connections_;
};

/// One connection. Its own operations own it.
class AdminHttp::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Hub> hub)
      : stream_(std::move(socket)), hub_(std::move(hub)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { hub_->forget(*this); }

  void read();
  void close() { stream_.close(); }

 private:
  void on_request(error_code ec);
  void reply(AdminReply answer, bool keep_alive);
  void drain();

  beast::tcp_stream stream_;
  const std::shared_ptr<Hub> hub_;
  beast::flat_buffer buffer_{2 * header_bytes_max};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
};

// ---- Hub

void AdminHttp::Hub::accept() {
  if (stopped_) return;
  acceptor_.async_accept([self = shared_from_this()](error_code ec, tcp::socket socket) {
    self->on_accept(ec, std::move(socket));
  });
}

void AdminHttp::Hub::on_accept(error_code ec, tcp::socket socket) {
  if (stopped_) return;
  if (ec) {  // Out of descriptors, most likely.
    pause_.expires_after(pause_after_failed_accept);
    pause_.async_wait([self = shared_from_this()](error_code) { self->accept(); });
    return;
  }
  if (connections_.size() < limits_.connections_max) {
    auto connection = std::make_shared<Connection>(std::move(socket), shared_from_this());
    connections_.emplace(connection.get(), connection);
    connection->read();
  }
  accept();
}

void AdminHttp::Hub::stop() {
  stopped_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (const auto& [raw, entry] : std::exchange(connections_, {})) {
    if (const auto connection = entry.lock()) connection->close();
  }
}

AdminReply AdminHttp::Hub::answer(const Request& request, const tcp::endpoint& local) const {
  const auto host = request[http::field::host];
  const std::string_view called(host.data(), host.size());
  // A page in the operator's browser must not reach us by a name of its own (DNS rebinding).
  if (request.count(http::field::host) != 1 ||
      !transport::host_is_ours(called, limits_.allowed_hosts,
                               {host_, local.address().to_string()})) {
    return complaint(403, "The Host \"" + std::string(called) +
                              "\" is not a name of this server. Use its address, or localhost.");
  }
  if (request.method() != http::verb::get) {
    return complaint(405, "Only GET is served here. There are: " + listed(handlers_) + ".");
  }
  const std::string_view target(request.target().data(), request.target().size());
  const std::size_t question = target.find('?');
  const std::string path(target.substr(0, question));
  const auto handler = handlers_.find(path);
  if (handler == handlers_.end()) {
    return complaint(
        404, "There is no " + path.substr(0, 200) + " here. There are: " + listed(handlers_) + ".");
  }
  const bool has_query = question != std::string_view::npos;
  return handler->second(std::string(has_query ? target.substr(question + 1) : ""));
}

// ---- Connection

void AdminHttp::Connection::read() {
  parser_.emplace();
  parser_->header_limit(header_bytes_max);
  stream_.expires_after(
      std::chrono::duration_cast<Clock::duration>(hub_->limits().request_timeout));
  http::async_read_header(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](error_code ec, std::size_t) { self->on_request(ec); });
}

void AdminHttp::Connection::on_request(error_code ec) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    reply(complaint(431, "The request's headers are too long."), false);
    return;
  }
  const bool is_http_error =
      ec && ec.category() == make_error_code(http::error::bad_method).category();
  if (is_http_error && ec != http::error::end_of_stream && ec != http::error::partial_message) {
    reply(complaint(400, "This is not HTTP: " + ec.message() + "."), false);
    return;
  }
  if (ec) {
    close();
    return;
  }
  if (!parser_->is_done()) {
    reply(complaint(400, "A request with a body is not served here."), false);
    return;
  }
  error_code no_longer_open;
  const tcp::endpoint local = stream_.socket().local_endpoint(no_longer_open);
  reply(hub_->answer(parser_->get(), local), parser_->get().keep_alive());
}

void AdminHttp::Connection::reply(AdminReply answer, bool keep_alive) {
  response_ = {};
  response_.version(11);
  response_.result(answer.status);
  response_.keep_alive(keep_alive);
  response_.set(http::field::server, "kuilt");
  response_.set(http::field::content_type, answer.content_type);
  response_.set(http::field::cache_control, "no-store");
  response_.set("X-Content-Type-Options", "nosniff");
  if (answer.status == 405) response_.set(http::field::allow, "GET");
  response_.body() = std::move(answer.body);
  response_.prepare_payload();
  stream_.expires_after(
      std::chrono::duration_cast<Clock::duration>(hub_->limits().request_timeout));
  http::async_write(stream_, response_,
                    [self = shared_from_this(), keep_alive](error_code ec, std::size_t) {
                      if (ec) {
                        self->close();
                      } else if (keep_alive) {
                        self->read();
                      } else {
                        self->drain();
                      }
                    });
}

// Closing with unread bytes would reset the connection, and the peer might miss our answer.
void AdminHttp::Connection::drain() {
  error_code ignored;
  stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(1024),
                          [self = shared_from_this()](error_code ec, std::size_t) {
                            if (ec) {
                              self->close();
                            } else {
                              self->drain();
                            }
                          });
}

// ---- AdminHttp

Result<std::unique_ptr<AdminHttp>> AdminHttp::open(net::any_io_executor executor,
                                                   const std::string& address,
                                                   AdminHandlers handlers, AdminLimits limits) {
  auto acceptor = transport::open_acceptor(executor, address);
  if (!acceptor) return std::move(acceptor).error().within("admin listener");
  error_code ec;
  const tcp::endpoint bound = acceptor->local_endpoint(ec);
  if (ec) return Error(ErrorCode::io, "admin listener " + address + ": " + ec.message());
  auto host = transport::parse_address(address)->host;
  auto hub = std::make_shared<Hub>(*std::move(acceptor), std::move(host), std::move(handlers),
                                   std::move(limits));
  net::dispatch(executor, [hub] { hub->accept(); });
  return std::unique_ptr<AdminHttp>(
      new AdminHttp(std::move(hub), transport::text_of(bound), bound.port()));
}

AdminHttp::AdminHttp(std::shared_ptr<Hub> hub, std::string address, std::uint16_t port)
    : hub_(std::move(hub)), address_(std::move(address)), port_(port) {}

AdminHttp::~AdminHttp() { stop(); }

void AdminHttp::stop() {
  net::dispatch(hub_->executor(), [hub = hub_] { hub->stop(); });
}

}  // namespace kuilt::server
