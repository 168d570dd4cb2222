#include "server/admin_http.hpp"

#include <chrono>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
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

AdminReply not_served(std::string allow, std::string text) {
  AdminReply reply = complaint(405, std::move(text));
  reply.allow = std::move(allow);
  return reply;
}

std::string listed(const AdminHandlers& handlers, const AdminOperations& operations) {
  std::string out;
  for (const auto& [path, handler] : handlers) out += (out.empty() ? "" : ", ") + path;
  for (const auto& [path, operation] : operations) out += ", POST " + path;
  return out;
}

struct Target {
  std::string path;
  std::string query;
};
Target target_of(const Request& request) {
  const std::string_view whole(request.target().data(), request.target().size());
  const std::size_t question = whole.find('?');
  const bool has_query = question != std::string_view::npos;
  return {std::string(whole.substr(0, question)),
          std::string(has_query ? whole.substr(question + 1) : "")};
}

}  // namespace

/// Lets answers of operations through as long as there is an executor to take them to.
class AdminHttp::Gate {
 public:
  void close() {
    const std::lock_guard lock(mutex_);
    is_open_ = false;
  }
  void post(const net::any_io_executor& executor, std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    if (is_open_) net::post(executor, std::move(action));
  }

 private:
  std::mutex mutex_;
  bool is_open_ = true;
};

/// The listening socket and what all connections share.
class AdminHttp::Hub : public std::enable_shared_from_this<Hub> {
 public:
  Hub(tcp::acceptor acceptor, std::string host, AdminHandlers handlers, AdminLimits limits,
      AdminOperations operations)
      : acceptor_(std::move(acceptor)),
        executor_(acceptor_.get_executor()),
        pause_(executor_),
        host_(std::move(host)),
        handlers_(std::move(handlers)),
        limits_(std::move(limits)),
        operations_(std::move(operations)) {}

  void accept();
  void stop();
  void forget(const Connection& connection) { connections_.erase(&connection); }
  /// Nothing: `operation_of` carries it out.
  [[nodiscard]] std::optional<AdminReply> answer(const Request& request,
                                                 const tcp::endpoint& local) const;
  [[nodiscard]] const AdminOperation& operation_of(const std::string& path) const {
    return operations_.at(path);
  }
  [[nodiscard]] const std::shared_ptr<Gate>& gate() const { return gate_; }
  [[nodiscard]] const AdminLimits& limits() const { return limits_; }
  [[nodiscard]] const net::any_io_executor& executor() const { return executor_; }

 private:
  void on_accept(error_code ec, tcp::socket socket);
  [[nodiscard]] std::optional<AdminReply> refuse_order(const Request& request) const;

  tcp::acceptor acceptor_;
  const net::any_io_executor executor_;
  net::steady_timer pause_;
  const std::string host_;
  const AdminHandlers handlers_;
  const AdminLimits limits_;
  const AdminOperations operations_;
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  bool stopped_ = false;
  std::map<const Connection*, std::weak_ptr<Connection>> connections_;
};

/// One connection. Its own operations own it.
class AdminHttp::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::shared_ptr<Hub> hub)
      : stream_(std::move(socket)), hub_(std::move(hub)), patience_(stream_.get_executor()) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { hub_->forget(*this); }

  void read();
  void close() {
    stream_.close();
    patience_.cancel();
  }

 private:
  void on_request(error_code ec);
  void carry_out(const Request& request);
  void on_done(AdminReply answer);
  void reply(AdminReply answer, bool keep_alive);
  void drain();

  beast::tcp_stream stream_;
  const std::shared_ptr<Hub> hub_;
  net::steady_timer patience_;  // Owns the connection while an operation runs.
  bool waits_ = false;          // For the operation.
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

// A page that the operator has open elsewhere can make the browser send a POST here; the browser
// then says whose page it is.
std::optional<AdminReply> AdminHttp::Hub::refuse_order(const Request& request) const {
  for (const char* header : {"Origin", "Sec-Fetch-Site"}) {
    if (request.count(header) == 0) continue;
    return complaint(403, "This comes from a page in a browser (" + std::string(header) +
                              "). Orders are taken from programs alone, such as kuilt transfer.");
  }
  return std::nullopt;
}

std::optional<AdminReply> AdminHttp::Hub::answer(const Request& request,
                                                 const tcp::endpoint& local) const {
  const auto host = request[http::field::host];
  const std::string_view called(host.data(), host.size());
  // A page in the operator's browser must not reach us by a name of its own (DNS rebinding).
  if (request.count(http::field::host) != 1 ||
      !transport::host_is_ours(called, limits_.allowed_hosts,
                               {host_, local.address().to_string()})) {
    return complaint(403, "The Host \"" + std::string(called) +
                              "\" is not a name of this server. Use its address, or localhost.");
  }
  const auto [path, query] = target_of(request);
  const std::string there_are = " There are: " + listed(handlers_, operations_) + ".";
  if (operations_.contains(path)) {
    if (request.method() == http::verb::post) return refuse_order(request);
    return not_served("POST", "Only POST is served at " + path + "." + there_are);
  }
  if (request.method() != http::verb::get) {
    return not_served("GET", "Only GET is served here." + there_are);
  }
  const auto handler = handlers_.find(path);
  if (handler == handlers_.end()) {
    return complaint(404, "There is no " + path.substr(0, 200) + " here." + there_are);
  }
  return handler->second(query);
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
  auto answer = hub_->answer(parser_->get(), local);
  if (!answer) return carry_out(parser_->get());
  reply(*std::move(answer), parser_->get().keep_alive());
}

void AdminHttp::Connection::carry_out(const Request& request) {
  waits_ = true;
  patience_.expires_after(
      std::chrono::duration_cast<Clock::duration>(hub_->limits().operation_timeout));
  patience_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec) self->on_done(complaint(504, "It did not end in time; it may yet."));
  });
  const auto [path, query] = target_of(request);
  const AdminDone done = [connection = weak_from_this(), gate = hub_->gate(),
                          executor = hub_->executor()](AdminReply answer) {
    gate->post(executor, [connection, answer = std::move(answer)] {
      if (const auto self = connection.lock()) self->on_done(answer);
    });
  };
  hub_->operation_of(path)(query, done);
}

// The first answer counts: the operation's, or that it is late.
void AdminHttp::Connection::on_done(AdminReply answer) {
  if (!std::exchange(waits_, false)) return;
  patience_.cancel();
  reply(std::move(answer), parser_->get().keep_alive());
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
  if (!answer.allow.empty()) response_.set(http::field::allow, answer.allow);
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
                                                   AdminHandlers handlers, AdminLimits limits,
                                                   AdminOperations operations) {
  auto acceptor = transport::open_acceptor(executor, address);
  if (!acceptor) return std::move(acceptor).error().within("admin listener");
  error_code ec;
  const tcp::endpoint bound = acceptor->local_endpoint(ec);
  if (ec) return Error(ErrorCode::io, "admin listener " + address + ": " + ec.message());
  auto host = transport::parse_address(address)->host;
  auto hub = std::make_shared<Hub>(*std::move(acceptor), std::move(host), std::move(handlers),
                                   std::move(limits), std::move(operations));
  net::dispatch(executor, [hub] { hub->accept(); });
  return std::unique_ptr<AdminHttp>(
      new AdminHttp(std::move(hub), transport::text_of(bound), bound.port()));
}

AdminHttp::AdminHttp(std::shared_ptr<Hub> hub, std::string address, std::uint16_t port)
    : hub_(std::move(hub)), address_(std::move(address)), port_(port) {}

AdminHttp::~AdminHttp() {
  hub_->gate()->close();
  stop();
}

void AdminHttp::stop() {
  net::dispatch(hub_->executor(), [hub = hub_] { hub->stop(); });
}

}  // namespace kuilt::server
