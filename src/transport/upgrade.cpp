#include "transport/upgrade.hpp"

#include <chrono>
#include <utility>
#include <vector>

#include <boost/asio/dispatch.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>

#include "transport/address.hpp"
#include "transport/upgrade_rules.hpp"
#include "transport/websocket_seam.hpp"

namespace kuilt::transport {

namespace http = boost::beast::http;

namespace {

constexpr auto http_request_max = std::chrono::seconds(10);
constexpr std::size_t http_header_bytes_max = 8 * 1024;

/// One connection to a listener, from its first byte to a Seam or a refusal. Its own operations
/// own it.
class Upgrade final : public Visit, public std::enable_shared_from_this<Upgrade> {
 public:
  Upgrade(tcp::socket socket, LinkTicket ticket, std::shared_ptr<Entrance> entrance)
      : socket_(std::move(socket)),
        deadline_(socket_.get_executor()),
        ticket_(std::move(ticket)),
        entrance_(std::move(entrance)) {
    parser_.header_limit(http_header_bytes_max);
  }

  void run();
  void cancel() override {
    net::post(executor_, [self = shared_from_this()] { self->give_up(); });
  }

 private:
  using Request = http::request<http::empty_body>;

  void on_request(error_code ec);
  [[nodiscard]] UpgradeRequest facts_of(const Request& request) const;
  [[nodiscard]] std::vector<std::string> own_hosts() const;
  void accept(std::string subprotocol);
  void refuse(const Refusal& refusal);
  void limit(std::chrono::seconds time);
  void end();
  void give_up();

  MeteredSocket socket_;
  const net::any_io_executor executor_ = socket_.get_executor();  // Any thread may read this one.
  net::steady_timer deadline_;
  LinkTicket ticket_;
  const std::shared_ptr<Entrance> entrance_;
  beast::flat_buffer buffer_{http_header_bytes_max + 1024};
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> refusal_;
  std::shared_ptr<WebSocketSeam> seam_;
};

void Upgrade::run() {
  if (!entrance_->admit_visit(shared_from_this())) return;
  limit(http_request_max);
  http::async_read_header(
      socket_, buffer_, parser_,
      [self = shared_from_this()](error_code ec, std::size_t) { self->on_request(ec); });
}

void Upgrade::on_request(error_code ec) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    refuse({431, ErrorCode::invalid_argument,
            "The request's headers are longer than " + std::to_string(http_header_bytes_max) +
                " bytes."});
  } else if (ec && ec.category() == http::make_error_code(http::error::bad_method).category() &&
             ec != http::error::end_of_stream && ec != http::error::partial_message) {
    refuse({400, ErrorCode::invalid_argument, "This is not HTTP: " + ec.message() + "."});
  } else if (ec) {
    end();
  } else if (ticket_.is_over_limit()) {
    refuse(too_many_links(entrance_->rules));
  } else {
    Verdict verdict = judge(facts_of(parser_.get()), entrance_->rules, own_hosts());
    if (verdict.refusal) {
      refuse(*verdict.refusal);
    } else {
      accept(std::move(verdict.subprotocol));
    }
  }
}

std::vector<std::string> lines_of(const http::fields& fields, http::field name) {
  std::vector<std::string> values;
  const auto [begin, end] = fields.equal_range(name);
  for (auto line = begin; line != end; ++line) {
    values.emplace_back(line->value().data(), line->value().size());
  }
  return values;
}

UpgradeRequest Upgrade::facts_of(const Request& request) const {
  UpgradeRequest facts;
  facts.method = std::string(request.method_string());
  facts.asks_for_websocket = websocket::is_upgrade(request);
  facts.has_body = !parser_.is_done() || buffer_.size() > 0;
  facts.hosts = lines_of(request, http::field::host);
  facts.origins = lines_of(request, http::field::origin);
  for (const std::string& line : lines_of(request, http::field::sec_websocket_protocol)) {
    for (std::string& token : tokens_of(line)) facts.subprotocols.push_back(std::move(token));
  }
  return facts;
}

std::vector<std::string> Upgrade::own_hosts() const {
  error_code ec;
  const tcp::endpoint local = socket_.socket().local_endpoint(ec);
  std::vector<std::string> hosts = entrance_->hosts;
  if (!ec) hosts.push_back(local.address().to_string());
  return hosts;
}

void Upgrade::accept(std::string subprotocol) {
  SeamLimits limits = entrance_->limits;
  limits.text = !subprotocol.empty() && subprotocol == entrance_->rules.text_subprotocol;
  error_code ignored;
  Peer peer{transport::text_of(socket_.socket().remote_endpoint(ignored)), subprotocol,
            std::move(ticket_)};
  seam_ = std::make_shared<WebSocketSeam>(std::move(socket_), limits, std::move(peer));
  seam_->stream().set_option(
      websocket::stream_base::decorator([agreed = std::move(subprotocol)](auto& response) {
        response.set(http::field::server, "kuilt");
        if (!agreed.empty()) response.set(http::field::sec_websocket_protocol, agreed);
      }));
  seam_->stream().async_accept(parser_.get(), [self = shared_from_this()](error_code ec) {
    self->deadline_.cancel();
    const bool welcome = self->entrance_->end_visit(self);
    const auto seam = std::exchange(self->seam_, nullptr);
    if (ec || !welcome) return;
    seam->opened();
    self->entrance_->on_seam(seam);
  });
}

void Upgrade::refuse(const Refusal& refusal) {
  refusal_.result(refusal.status);
  refusal_.version(11);
  refusal_.keep_alive(false);
  refusal_.set(http::field::server, "kuilt");
  refusal_.set(http::field::content_type, "text/plain; charset=utf-8");
  refusal_.set("X-Content-Type-Options", "nosniff");
  refusal_.set(error_header, name_of(refusal.code));
  if (refusal.status == 405) refusal_.set(http::field::allow, "GET");
  if (refusal.status == 426) refusal_.set(http::field::upgrade, "websocket");
  if (refusal.status == 503) refusal_.set(http::field::retry_after, "5");
  refusal_.body() = refusal.text + "\n";
  refusal_.prepare_payload();
  limit(closing_max);
  http::async_write(socket_, refusal_, [self = shared_from_this()](error_code ec, std::size_t) {
    if (ec) {
      self->end();
      return;
    }
    say_no_more(self->socket_);
    drain(self->socket_, [self] { self->end(); });
  });
}

void Upgrade::limit(std::chrono::seconds time) {
  deadline_.expires_after(time);
  deadline_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec) self->give_up();
  });
}

void Upgrade::end() {
  deadline_.cancel();
  socket_.close();
  ticket_ = {};
  (void)entrance_->end_visit(shared_from_this());
}

void Upgrade::give_up() {
  if (seam_) {
    seam_->stream().next_layer().close();
  } else {
    end();
  }
}

}  // namespace

void upgrade(tcp::socket socket, LinkTicket ticket, std::shared_ptr<Entrance> entrance) {
  const auto executor = socket.get_executor();
  auto visit = std::make_shared<Upgrade>(std::move(socket), std::move(ticket), std::move(entrance));
  net::dispatch(executor, [visit] { visit->run(); });
}

}  // namespace kuilt::transport
