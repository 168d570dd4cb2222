// Callbacks rather than coroutines: each operation has one continuation, and what a Seam costs
// when it is idle (one read, one timer) is what counts with ten thousand of them.
#include "transport/websocket_seam.hpp"

#include <algorithm>
#include <span>

#include <boost/asio/post.hpp>

namespace kuilt::transport {

namespace {

// What a frame in the outbox costs besides its bytes, so that empty frames are bounded too.
constexpr std::size_t frame_overhead = 128;
// A read buffer that one large frame has grown is given back.
constexpr std::size_t read_buffer_kept_max = std::size_t{64} << 10;
// A client masks what it sends, chunk by chunk, and each chunk is a write of its own.
constexpr std::size_t masking_chunk_bytes = std::size_t{16} << 10;

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

}  // namespace

WebSocketSeam::WebSocketSeam(MeteredSocket socket, SeamLimits limits, Peer peer)
    : stream_(std::move(socket)),
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
  drain(stream_.next_layer(), [self = shared_from_this()] { self->finish(); });
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
  return std::max(last_read(), resumed_at_);
}

Clock::time_point WebSocketSeam::write_due() const {
  const auto progress = std::max(stream_.next_layer().rate_policy().last_write(), write_began_at_);
  return progress + limits_.write_timeout;
}

Clock::time_point WebSocketSeam::next_check() const {
  if (closing_) return close_by_;
  Clock::time_point next = Clock::time_point::max();
  if (!admitted_) next = opened_at_ + limits_.admission_timeout;
  if (writing_) next = std::min(next, write_due());
  if (!paused_) {
    const auto wait_began_at = std::max(last_sign_of_life(), pinged_at_);
    next = std::min(next, wait_began_at + limits_.ping_interval);
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
  if (writing_ && now >= write_due()) {
    const bool we_stood_still = now > write_due() + limits_.write_timeout / 4;
    if (!we_stood_still) {
      drop(Error(ErrorCode::slow_reader, peer_.remote + " does not read: " +
                                             std::to_string(queued_bytes_) + " bytes wait for it"));
      return;
    }
    write_began_at_ = now;  // The peer may well have read, and we not have noticed.
  }
  if (!paused_) ping(now);
}

// Silence counts from the ping on, whenever that was sent: after a pause of this process the peer
// gets its chance to answer first, and an answer that waits for us to read it is one.
void WebSocketSeam::ping(Clock::time_point now) {
  const auto silent_since = last_sign_of_life();
  const bool pinged = pinged_at_ > silent_since;
  if (now < std::max(silent_since, pinged_at_) + limits_.ping_interval) return;
  error_code ignored;
  if (!pinged) {
    pinged_at_ = now;
    // A ping waits for the write before it, and a stream holds one that waits.
    if (std::exchange(ping_under_way_, true)) return;
    stream_.async_ping({},
                       [self = shared_from_this()](error_code) { self->ping_under_way_ = false; });
  } else if (stream_.next_layer().socket().available(ignored) > 0) {
    resumed_at_ = now;
  } else {
    drop(Error(ErrorCode::timed_out, Effect::unknown,
               peer_.remote + " is silent and answers no ping"));
  }
}

}  // namespace kuilt::transport
