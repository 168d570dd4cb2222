// Opening a link as a client.
#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/dispatch.hpp>
#include <boost/beast/http/string_body.hpp>

#include "transport/address.hpp"
#include "transport/resolve.hpp"
#include "transport/websocket_seam.hpp"

namespace kuilt::transport {

namespace http = boost::beast::http;

namespace {

/// One attempt to open a link. Its own operations own it.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  using Done = std::function<void(Result<std::shared_ptr<Seam>>)>;

  Dial(const net::any_io_executor& executor, std::string url, std::vector<std::string> subprotocols,
       SeamLimits limits, Done done, Lookup lookup)
      : resolution_(executor),
        deadline_(executor),
        socket_(executor),
        url_(std::move(url)),
        subprotocols_(std::move(subprotocols)),
        limits_(limits),
        done_(std::move(done)),
        lookup_(lookup ? std::move(lookup) : Lookup(look_up)) {}

  void run(Duration timeout);

 private:
  void resolve();
  void connect(const Addresses& addresses);
  void shake_hands();
  void on_response(error_code ec);
  [[nodiscard]] Error refused(error_code ec) const;
  void time_out();
  void fail(ErrorCode code, const std::string& why);
  void settle(Result<std::shared_ptr<Seam>> result);

  Resolution resolution_;
  net::steady_timer deadline_;
  MeteredSocket socket_;
  const std::string url_;
  const std::vector<std::string> subprotocols_;
  const SeamLimits limits_;
  Done done_;
  const Lookup lookup_;
  Address address_;
  websocket::response_type response_;
  std::shared_ptr<WebSocketSeam> seam_;
};

void Dial::run(Duration timeout) {
  const auto address = parse_url(url_);
  if (!address) {
    net::post(deadline_.get_executor(),
              [self = shared_from_this(), error = address.error()] { self->settle(error); });
    return;
  }
  address_ = *address;
  deadline_.expires_after(std::chrono::duration_cast<Clock::duration>(timeout));
  deadline_.async_wait([self = shared_from_this()](error_code ec) {
    if (!ec) self->time_out();
  });
  resolve();
}

void Dial::resolve() {
  error_code not_numeric;
  const auto numeric = net::ip::make_address(address_.host, not_numeric);
  if (!not_numeric) return connect({numeric});
  const auto on_found = [self = shared_from_this()](const Result<Addresses>& found) {
    if (!self->done_) return;
    if (!found) return self->fail(found.error().code(), found.error().message());
    self->connect(*found);
  };
  if (Status started = resolution_.start(address_.host, lookup_, on_found); !started) {
    net::post(deadline_.get_executor(),
              [self = shared_from_this(), error = started.error()] { self->settle(error); });
  }
}

void Dial::connect(const Addresses& addresses) {
  std::vector<tcp::endpoint> endpoints;
  for (const auto& address : addresses) endpoints.emplace_back(address, address_.port);
  socket_.async_connect(endpoints,
                        [self = shared_from_this()](error_code ec, const tcp::endpoint&) {
                          if (!self->done_) return;
                          if (ec) {
                            self->fail(ErrorCode::no_server, ec.message());
                          } else {
                            self->shake_hands();
                          }
                        });
}

void Dial::shake_hands() {
  seam_ = std::make_shared<WebSocketSeam>(std::move(socket_), limits_,
                                          Peer{transport::text_of(address_), {}, {}});
  std::string offer;
  for (const std::string& subprotocol : subprotocols_) {
    offer += (offer.empty() ? "" : ", ") + subprotocol;
  }
  seam_->stream().set_option(
      websocket::stream_base::decorator([offer = std::move(offer)](auto& request) {
        request.set(http::field::user_agent, "kuilt");
        if (!offer.empty()) request.set(http::field::sec_websocket_protocol, offer);
      }));
  seam_->stream().async_handshake(
      response_, transport::text_of(address_), "/",
      // A dial that timed out lets go of its Seam; Beast still needs it until now.
      [self = shared_from_this(), seam = seam_](error_code ec) { self->on_response(ec); });
}

void Dial::on_response(error_code ec) {
  if (!done_) return;
  if (ec) {
    settle(refused(ec));
    return;
  }
  const auto field = response_[http::field::sec_websocket_protocol];
  std::string agreed(field.data(), field.size());
  const bool offered =
      std::find(subprotocols_.begin(), subprotocols_.end(), agreed) != subprotocols_.end();
  if (!offered && !(agreed.empty() && subprotocols_.empty())) {
    fail(ErrorCode::wrong_subprotocol,
         "the server chose the subprotocol \"" + agreed + "\", which was not offered");
    return;
  }
  seam_->agree_on(std::move(agreed));
  seam_->opened();
  settle(std::shared_ptr<Seam>(seam_));
}

Error Dial::refused(error_code ec) const {
  if (ec != websocket::error::upgrade_declined) {
    return Error(ErrorCode::no_server, "dial " + url_ + ": " + ec.message());
  }
  const auto name = response_[error_header];
  const auto code = error_code_of(std::string_view(name.data(), name.size()));
  std::string text = response_.body();
  while (text.ends_with('\n')) text.pop_back();
  const std::string status = "HTTP " + std::to_string(response_.result_int());
  return Error(code.value_or(ErrorCode::no_server), Effect::none,
               "dial " + url_ + ": " + status + ": " + text);
}

void Dial::time_out() { fail(ErrorCode::no_server, "no answer in time"); }

void Dial::fail(ErrorCode code, const std::string& why) {
  settle(Error(code, Effect::none, "dial " + url_ + ": " + why));
}

void Dial::settle(Result<std::shared_ptr<Seam>> result) {
  const Done done = std::exchange(done_, nullptr);
  if (!done) return;
  deadline_.cancel();
  resolution_.cancel();
  if (!result) {
    socket_.close();
    if (seam_) seam_->stream().next_layer().close();
  }
  seam_ = nullptr;
  done(std::move(result));
}

}  // namespace

void dial(net::any_io_executor executor, const std::string& url,
          const std::vector<std::string>& subprotocols, SeamLimits limits, Duration timeout,
          std::function<void(Result<std::shared_ptr<Seam>>)> on_done, Lookup lookup) {
  const auto attempt = std::make_shared<Dial>(executor, url, subprotocols, limits,
                                              std::move(on_done), std::move(lookup));
  net::dispatch(executor, [attempt, timeout] { attempt->run(timeout); });
}

}  // namespace kuilt::transport
