// The only file that pays for compiling Beast's WebSocket.
//
// Callbacks rather than coroutines: each operation has one continuation, and what a Seam costs
// when it is idle (one read, one timer) is what counts with ten thousand of them.
#include "transport/websocket.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "kuilt/detail/check.hpp"
#include "transport/address.hpp"
#include "transport/upgrade_rules.hpp"

namespace kuilt::transport {

namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using net::ip::tcp;
using Clock = std::chrono::steady_clock;

constexpr auto closing_max = std::chrono::seconds(2);
constexpr auto http_request_max = std::chrono::seconds(10);
constexpr std::size_t http_header_bytes_max = 8 * 1024;
// A read buffer that one large frame has grown is given back.
constexpr std::size_t read_buffer_kept_max = std::size_t{64} << 10;
// What a frame in the outbox costs besides its bytes, so that empty frames are bounded too.
constexpr std::size_t frame_overhead = 128;
// A client masks what it sends, chunk by chunk, and each chunk is a write of its own.
constexpr std::size_t masking_chunk_bytes = std::size_t{16} << 10;
constexpr const char* error_header = "Kuilt-Error";

/// Notes when bytes last moved; limits nothing. Beast's own idle timer sees neither a peer that
/// never reads nor (before 1.88) one that only sends pings.
class Meter {
 public:
  [[nodiscard]] Clock::time_point last_read() const { return last_read_; }
  [[nodiscard]] Clock::time_point last_write() const { return last_write_; }

 private:
  friend class beast::rate_policy_access;
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  [[nodiscard]] std::size_t available_read_bytes() const noexcept { return unlimited; }
  [[nodiscard]] std::size_t available_write_bytes() const noexcept { return unlimited; }
  void transfer_read_bytes(std::size_t) noexcept { last_read_ = Clock::now(); }
  void transfer_write_bytes(std::size_t) noexcept { last_write_ = Clock::now(); }
  void on_timer() const noexcept {}

  Clock::time_point last_read_ = Clock::now();
  Clock::time_point last_write_ = last_read_;
};

class Wire : public beast::basic_stream<tcp, net::any_io_executor, Meter> {
 public:
  using basic_stream::basic_stream;
};

// Found by Beast when a WebSocket ends. Its own version drains the socket for as long as the peer
// cares to send; a Seam lingers by itself, for a bounded time.
template <class Handler>
void async_teardown(beast::role_type, Wire& wire, Handler&& handler) {
  net::post(wire.get_executor(),
            beast::bind_front_handler(std::forward<Handler>(handler), error_code()));
}

/// Reads and drops what the peer still sends, until it closes too. Closing a socket with unread
/// bytes would reset the connection, and the peer might never see our last word.
/// `done` runs when the peer has closed, or the owner has closed `wire`.
template <class Done>
void drain(Wire& wire, std::shared_ptr<std::array<char, 1024>> scratch, Done done) {
  const auto buffer = net::buffer(*scratch);
  wire.async_read_some(buffer, [&wire, scratch = std::move(scratch), done = std::move(done)](
                                   error_code ec, std::size_t) mutable {
    if (ec) {
      done();
    } else {
      drain(wire, std::move(scratch), std::move(done));
    }
  });
}

void say_no_more(Wire& wire) {
  error_code ignored;
  wire.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

// A close frame carries at most 123 bytes of valid UTF-8 (RFC 6455 5.5.1).
websocket::close_reason close_frame(std::uint16_t code, std::string text) {
  constexpr std::size_t bytes_max = 123;
  std::size_t size = std::min(text.size(), bytes_max);
  const auto is_continuation = [](char c) { return (static_cast<unsigned char>(c) >> 6U) == 2; };
  while (size > 0 && size < text.size() && is_continuation(text[size])) --size;
  text.resize(size);
  return {static_cast<websocket::close_code>(code), text.c_str()};
}

std::string text_of(const websocket::close_reason& reason) {
  if (reason.code == websocket::close_code::none) return "without a code";
  std::string text = "code " + std::to_string(reason.code);
  if (!reason.reason.empty())
    text += ", " + std::string(reason.reason.data(), reason.reason.size());
  return text;
}

/// Who is at the other end.
struct Peer {
  std::string remote;
  std::string subprotocol;
  LinkTicket ticket;
};

class WebSocketSeam final : public Seam, public std::enable_shared_from_this<WebSocketSeam> {
 public:
  WebSocketSeam(Wire wire, SeamLimits limits, Peer peer)
      : stream_(std::move(wire)),
        watch_(stream_.get_executor()),
        limits_(limits),
        peer_(std::move(peer)) {
    stream_.set_option(websocket::stream_base::timeout{websocket::stream_base::none(),
                                                       websocket::stream_base::none(), false});
    stream_.auto_fragment(false);
    stream_.write_buffer_bytes(masking_chunk_bytes);
    stream_.text(limits_.text);
    stream_.read_message_max(limits_.first_frame_bytes_max);
    error_code ignored;
    stream_.next_layer().socket().set_option(tcp::no_delay(true), ignored);
  }

  // The opening handshakes, by the two classes below. `opened()` starts the clocks.
  using Stream = websocket::stream<Wire, false>;
  [[nodiscard]] Stream& stream() { return stream_; }
  void agree_on(std::string subprotocol) { peer_.subprotocol = std::move(subprotocol); }
  void opened() {
    opened_at_ = Clock::now();
    watch();
  }

  void start(SeamEvents events) override;
  void admit() override;
  [[nodiscard]] bool send(Frame frame) override;
  [[nodiscard]] std::size_t queued() const override { return queued_bytes_; }
  void pause_reading(bool paused) override;
  void close(std::uint16_t code, const std::string& reason) override;
  void abort() override;
  [[nodiscard]] net::any_io_executor executor() const override { return executor_; }
  [[nodiscard]] const std::string& remote() const override { return peer_.remote; }
  [[nodiscard]] const std::string& subprotocol() const override { return peer_.subprotocol; }

 private:
  void read();
  void on_read(error_code ec);
  void on_read_failed(error_code ec);
  void deliver();
  void write();
  void on_written(error_code ec);
  void begin_close(std::uint16_t code, Error reason);
  void shake_hands();
  void linger();
  void drop(Error reason);
  void finish();

  [[nodiscard]] Clock::time_point next_check() const;
  [[nodiscard]] Clock::time_point last_sign_of_life() const;
  void watch();
  void check(Clock::time_point now);
  void ping(Clock::time_point now);
  void blame(Error reason) {
    if (!reason_) reason_ = std::move(reason);
  }

  Stream stream_;
  const net::any_io_executor executor_ = stream_.get_executor();
  net::steady_timer watch_;
  const SeamLimits limits_;
  Peer peer_;
  SeamEvents events_;

  beast::flat_buffer incoming_;
  bool reading_ = false;
  bool paused_ = true;  // Until start().
  bool held_ = false;   // A frame came in while paused.
  bool admitted_ = false;

  std::deque<Frame> outbox_;  // The first one is being written if `writing_`.
  std::vector<net::const_buffer> slices_;
  std::size_t queued_bytes_ = 0;
  bool writing_ = false;

  // Each stage includes those before it.
  bool closing_ = false;    // No new frames, in or out.
  bool shaking_ = false;    // Our close frame is on its way.
  bool lingering_ = false;  // Both sides have said that they are done, or are past talking.
  bool finished_ = false;   // The socket is closed.
  std::optional<Error> reason_;
  websocket::close_reason farewell_;

  Clock::time_point opened_at_ = Clock::now();
  Clock::time_point write_began_at_{};
  Clock::time_point resumed_at_{};
  Clock::time_point pinged_at_{};
  Clock::time_point close_by_ = Clock::time_point::max();
  Clock::time_point watch_at_ = Clock::time_point::max();
};

void WebSocketSeam::start(SeamEvents events) {
  events_ = std::move(events);
  if (!finished_) {
    pause_reading(false);
    return;
  }
  net::post(executor_, [self = shared_from_this()] {
    const SeamEvents ended = std::exchange(self->events_, {});
    if (ended.on_closed) ended.on_closed(*self->reason_);
  });
}

void WebSocketSeam::admit() {
  admitted_ = true;
  stream_.read_message_max(limits_.frame_bytes_max);
}

// ---- Reading

void WebSocketSeam::pause_reading(bool paused) {
  if (closing_ || paused == paused_) return;
  paused_ = paused;
  if (paused_) return;
  resumed_at_ = Clock::now();
  watch();
  if (!held_) {
    read();
    return;
  }
  net::post(executor_, [self = shared_from_this()] {
    if (!self->held_ || self->paused_ || self->closing_) return;
    self->held_ = false;
    self->deliver();
  });
}

void WebSocketSeam::read() {
  if (reading_ || paused_ || held_ || lingering_ || finished_) return;
  reading_ = true;
  stream_.async_read(incoming_, [self = shared_from_this()](error_code ec, std::size_t) {
    self->reading_ = false;
    self->on_read(ec);
  });
}

void WebSocketSeam::on_read(error_code ec) {
  if (finished_ || lingering_) return;
  if (ec) {
    on_read_failed(ec);
  } else if (closing_) {
    incoming_.clear();  // Read on all the same: two sides that both flush must not wait for ever.
    read();
  } else if (stream_.got_text() != limits_.text) {
    incoming_.clear();
    const std::string expected = limits_.text ? "text" : "binary";
    begin_close(1003, Error(ErrorCode::bad_frame, "this link carries " + expected + " frames"));
    read();
  } else if (paused_) {
    held_ = true;
  } else {
    deliver();
  }
}

void WebSocketSeam::deliver() {
  const auto data = incoming_.cdata();
  const BytesView view(static_cast<const std::byte*>(data.data()), data.size());
  Bytes frame = Bytes::copy_of(view);
  incoming_.clear();
  if (incoming_.capacity() > read_buffer_kept_max) incoming_.shrink_to_fit();
  if (events_.on_frame) events_.on_frame(std::move(frame));
  read();
}

void WebSocketSeam::on_read_failed(error_code ec) {
  const std::string who = "the link with " + peer_.remote;
  if (ec == websocket::error::closed) {
    blame(Error(ErrorCode::stopped, who + " was closed by the peer: " + text_of(stream_.reason())));
  } else if (ec == websocket::error::message_too_big) {
    const std::size_t limit = admitted_ ? limits_.frame_bytes_max : limits_.first_frame_bytes_max;
    blame(Error(ErrorCode::frame_too_large, "a frame is longer than the limit of " +
                                                std::to_string(limit) + " bytes" +
                                                (admitted_ ? "" : " that holds before admission")));
  } else if (ec == websocket::condition::protocol_violation) {
    blame(Error(ErrorCode::bad_frame, who + " broke the WebSocket protocol: " + ec.message()));
  } else {
    blame(Error(ErrorCode::io, who + " broke: " + ec.message()));
    finish();
    return;
  }
  linger();  // In these three cases Beast has sent a close frame that the peer should see.
}

// ---- Writing

bool WebSocketSeam::send(Frame frame) {
  std::size_t size = 0;
  for (const Bytes& slice : frame) size += slice.size();
  const std::size_t held = queued_bytes_ + outbox_.size() * frame_overhead;
  if (closing_ || held > limits_.outbox_bytes_max || size > limits_.outbox_bytes_max - held) {
    return false;
  }
  queued_bytes_ += size;
  outbox_.push_back(std::move(frame));
  if (!writing_) write();
  return true;
}

void WebSocketSeam::write() {
  writing_ = true;
  write_began_at_ = Clock::now();
  slices_.clear();
  for (const Bytes& slice : outbox_.front()) slices_.emplace_back(slice.data(), slice.size());
  const std::span<const net::const_buffer> message(slices_);
  stream_.async_write(
      message, [self = shared_from_this()](error_code ec, std::size_t) { self->on_written(ec); });
  watch();
}

void WebSocketSeam::on_written(error_code ec) {
  writing_ = false;
  if (finished_) {
    outbox_.clear();
    return;
  }
  for (const Bytes& slice : outbox_.front()) queued_bytes_ -= slice.size();
  outbox_.pop_front();
  if (ec == net::error::operation_aborted && (reading_ || shaking_ || lingering_)) {
    return;  // The close frame came in between; whoever read it goes on from there.
  }
  if (ec) {
    blame(Error(ErrorCode::io, "the link with " + peer_.remote + " broke: " + ec.message()));
    finish();
  } else if (!outbox_.empty()) {
    write();
  } else if (closing_) {
    shake_hands();
  } else if (events_.on_drained) {
    events_.on_drained();
  }
}

// ---- The end

void WebSocketSeam::close(std::uint16_t code, const std::string& reason) {
  begin_close(code, Error(ErrorCode::stopped, Effect::none, reason));
}

void WebSocketSeam::begin_close(std::uint16_t code, Error reason) {
  if (closing_) return;
  farewell_ = close_frame(code, reason.message());
  blame(std::move(reason));
  closing_ = true;
  close_by_ = Clock::now() + closing_max;
  watch();
  if (std::exchange(held_, false)) incoming_.clear();
  paused_ = false;
  read();
  if (!writing_) shake_hands();
}

void WebSocketSeam::shake_hands() {
  if (shaking_ || lingering_) return;
  shaking_ = true;
  stream_.async_close(farewell_, [self = shared_from_this()](error_code) {
    // A read that is under way sees the peer's close frame, and goes on from there.
    if (!self->reading_) self->linger();
  });
}

void WebSocketSeam::linger() {
  if (lingering_ || finished_) return;
  closing_ = lingering_ = true;
  close_by_ = std::min(close_by_, Clock::now() + closing_max);
  watch();
  say_no_more(stream_.next_layer());
  drain(stream_.next_layer(), std::make_shared<std::array<char, 1024>>(),
        [self = shared_from_this()] { self->finish(); });
}

void WebSocketSeam::abort() {
  if (finished_) return;
  closing_ = true;
  net::post(executor_, [self = shared_from_this()] {
    self->drop(Error(ErrorCode::stopped, Effect::none, "the link was aborted on this side"));
  });
}

void WebSocketSeam::drop(Error reason) {
  blame(std::move(reason));
  // A reset, so that the kernel doesn't keep for minutes what the peer never reads.
  error_code ignored;
  if (!finished_)
    stream_.next_layer().socket().set_option(net::socket_base::linger(true, 0), ignored);
  finish();
}

void WebSocketSeam::finish() {
  if (std::exchange(finished_, true)) return;
  closing_ = true;
  watch_.cancel();
  stream_.next_layer().close();
  peer_.ticket = {};
  if (!writing_) outbox_.clear();  // Else Beast still points into it, until on_written.
  queued_bytes_ = 0;
  if (!events_.on_closed) return;
  const SeamEvents events = std::exchange(events_, {});
  events.on_closed(*reason_);
}

// ---- The clock

Clock::time_point WebSocketSeam::last_sign_of_life() const {
  return std::max(stream_.next_layer().rate_policy().last_read(), resumed_at_);
}

Clock::time_point WebSocketSeam::next_check() const {
  if (closing_) return close_by_;
  Clock::time_point next = Clock::time_point::max();
  if (!admitted_) next = opened_at_ + limits_.admission_timeout;
  if (writing_) {
    const auto progress =
        std::max(stream_.next_layer().rate_policy().last_write(), write_began_at_);
    next = std::min(next, progress + limits_.write_timeout);
  }
  if (!paused_) {
    const auto silent_since = last_sign_of_life();
    const int intervals = pinged_at_ > silent_since ? 2 : 1;
    next = std::min(next, silent_since + intervals * limits_.ping_interval);
  }
  return next;
}

// One timer for all limits, moved only when a limit comes nearer: frames that pass move none.
void WebSocketSeam::watch() {
  const Clock::time_point next = next_check();
  if (finished_ || next >= watch_at_) return;
  watch_at_ = next;
  watch_.expires_at(next);
  watch_.async_wait([self = shared_from_this()](error_code ec) {
    if (ec || self->finished_) return;
    self->watch_at_ = Clock::time_point::max();
    self->check(Clock::now());
    self->watch();
  });
}

void WebSocketSeam::check(Clock::time_point now) {
  if (closing_) {
    if (now >= close_by_) drop(Error(ErrorCode::io, "the peer did not close in time"));
    return;
  }
  if (!admitted_ && now >= opened_at_ + limits_.admission_timeout) {
    begin_close(1008, Error(ErrorCode::hello_timeout, "hello_timeout: nothing that admits " +
                                                          peer_.remote + " came in time"));
    return;
  }
  const auto progress = std::max(stream_.next_layer().rate_policy().last_write(), write_began_at_);
  if (writing_ && now >= progress + limits_.write_timeout) {
    drop(Error(ErrorCode::slow_reader, peer_.remote + " does not read: " +
                                           std::to_string(queued_bytes_) + " bytes wait for it"));
    return;
  }
  if (!paused_) ping(now);
}

void WebSocketSeam::ping(Clock::time_point now) {
  const auto silent_since = last_sign_of_life();
  if (now < silent_since + limits_.ping_interval) return;
  if (now >= silent_since + 2 * limits_.ping_interval) {
    drop(Error(ErrorCode::timed_out, Effect::unknown,
               peer_.remote + " is silent and answers no ping"));
  } else if (pinged_at_ <= silent_since) {
    pinged_at_ = now;
    stream_.async_ping({}, [self = shared_from_this()](error_code) {});
  }
}

// ---- Accepting

/// One connection to a listener, from its first byte to a Seam or a refusal. Its own operations
/// own it.
class Upgrade final : public Visit, public std::enable_shared_from_this<Upgrade> {
 public:
  Upgrade(tcp::socket socket, LinkTicket ticket, std::shared_ptr<Entrance> entrance)
      : wire_(std::move(socket)),
        deadline_(wire_.get_executor()),
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

  Wire wire_;
  const net::any_io_executor executor_ = wire_.get_executor();  // Any thread may read this one.
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
      wire_, buffer_, parser_,
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
  const tcp::endpoint local = wire_.socket().local_endpoint(ec);
  if (ec) return {entrance_->host};
  return {entrance_->host, local.address().to_string()};
}

void Upgrade::accept(std::string subprotocol) {
  SeamLimits limits = entrance_->limits;
  limits.text = !subprotocol.empty() && subprotocol == entrance_->rules.text_subprotocol;
  error_code ignored;
  Peer peer{transport::text_of(wire_.socket().remote_endpoint(ignored)), subprotocol,
            std::move(ticket_)};
  seam_ = std::make_shared<WebSocketSeam>(std::move(wire_), limits, std::move(peer));
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
  http::async_write(wire_, refusal_, [self = shared_from_this()](error_code ec, std::size_t) {
    if (ec) {
      self->end();
      return;
    }
    say_no_more(self->wire_);
    drain(self->wire_, std::make_shared<std::array<char, 1024>>(), [self] { self->end(); });
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
  wire_.close();
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

// ---- Dialing

/// One attempt to open a link. Its own operations own it.
class Dial : public std::enable_shared_from_this<Dial> {
 public:
  using Done = std::function<void(Result<std::shared_ptr<Seam>>)>;

  Dial(const net::any_io_executor& executor, std::string url, std::vector<std::string> subprotocols,
       SeamLimits limits, Done done)
      : resolver_(executor),
        deadline_(executor),
        wire_(executor),
        url_(std::move(url)),
        subprotocols_(std::move(subprotocols)),
        limits_(limits),
        done_(std::move(done)) {}

  void run(Duration timeout);

 private:
  void resolve(const Address& address);
  void connect(const std::vector<tcp::endpoint>& endpoints);
  void shake_hands();
  void on_response(error_code ec);
  [[nodiscard]] Error refused(error_code ec) const;
  void time_out();
  void fail(ErrorCode code, const std::string& why);
  void settle(Result<std::shared_ptr<Seam>> result);

  tcp::resolver resolver_;
  net::steady_timer deadline_;
  Wire wire_;
  const std::string url_;
  const std::vector<std::string> subprotocols_;
  const SeamLimits limits_;
  Done done_;
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
  resolve(address_);
}

void Dial::resolve(const Address& address) {
  error_code not_numeric;
  const auto numeric = net::ip::make_address(address.host, not_numeric);
  if (!not_numeric) {
    connect({tcp::endpoint(numeric, address.port)});
    return;
  }
  resolver_.async_resolve(
      address.host, std::to_string(address.port),
      [self = shared_from_this()](error_code ec, const tcp::resolver::results_type& found) {
        if (!self->done_) return;
        if (ec) {
          self->fail(ErrorCode::no_server, "the host cannot be resolved: " + ec.message());
          return;
        }
        self->connect(std::vector<tcp::endpoint>(found.begin(), found.end()));
      });
}

void Dial::connect(const std::vector<tcp::endpoint>& endpoints) {
  wire_.async_connect(endpoints, [self = shared_from_this()](error_code ec, const tcp::endpoint&) {
    if (!self->done_) return;
    if (ec) {
      self->fail(ErrorCode::no_server, ec.message());
    } else {
      self->shake_hands();
    }
  });
}

void Dial::shake_hands() {
  seam_ = std::make_shared<WebSocketSeam>(std::move(wire_), limits_,
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
  resolver_.cancel();
  if (!result) {
    wire_.close();
    if (seam_) seam_->stream().next_layer().close();
  }
  seam_ = nullptr;
  done(std::move(result));
}

}  // namespace

void upgrade(tcp::socket socket, LinkTicket ticket, std::shared_ptr<Entrance> entrance) {
  const auto executor = socket.get_executor();
  auto visit = std::make_shared<Upgrade>(std::move(socket), std::move(ticket), std::move(entrance));
  net::dispatch(executor, [visit] { visit->run(); });
}

void dial(net::any_io_executor executor, const std::string& url,
          const std::vector<std::string>& subprotocols, SeamLimits limits, Duration timeout,
          std::function<void(Result<std::shared_ptr<Seam>>)> on_done) {
  const auto attempt =
      std::make_shared<Dial>(executor, url, subprotocols, limits, std::move(on_done));
  net::dispatch(executor, [attempt, timeout] { attempt->run(timeout); });
}

}  // namespace kuilt::transport
