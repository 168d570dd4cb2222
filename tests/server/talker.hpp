// talker.hpp: a client that says what the test wants, over a real socket.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "transport/seam.hpp"
#include "wire/client_messages.hpp"

namespace kuilt::server {

using namespace std::chrono_literals;
using wire::Encoding;

/// Keeps what it hears. Every wait has a bound.
class Talker {
 public:
  explicit Talker(Encoding encoding) : encoding_(encoding) {}
  ~Talker() {
    if (seam_) seam_->abort();
    run_until([this] { return !seam_ || closed_.has_value(); });
  }

  /// False: refused; `refusal` says why.
  bool connect(const std::string& url) {
    bool done = false;
    transport::SeamLimits limits;
    limits.first_frame_bytes_max = limits.frame_bytes_max;
    limits.text = encoding_ == Encoding::json;
    transport::dial(io_.get_executor(), url, {std::string(wire::subprotocol_of(encoding_))}, limits,
                    5s, [&](Result<std::shared_ptr<transport::Seam>> seam) {
                      done = true;
                      if (seam) {
                        seam_ = *seam;
                      } else {
                        refusal = seam.error();
                      }
                    });
    run_until([&] { return done; });
    if (!seam_) return false;
    seam_->start({.on_frame = [this](const Bytes& frame) { heard_.push_back(frame); },
                  .on_drained = [] {},
                  .on_closed = [this](const Error& reason) { closed_ = reason; }});
    seam_->admit();
    return true;
  }
  void say(const wire::ClientMessage& message) { say_bytes(wire::encode(message, encoding_)); }
  /// Returns when it has left.
  void say_bytes(Bytes frame) {
    ASSERT_TRUE(seam_->send({std::move(frame)}));
    run_until([this] { return seam_->queued() == 0 || closed_; });
  }

  /// The next message of this kind; others are passed over. Heartbeats come for ever: they do not
  /// lengthen the wait.
  template <class Message>
  std::optional<Message> hear() {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      run_until([this] { return !heard_.empty() || closed_; });
      if (heard_.empty()) return std::nullopt;
      auto message = wire::decode_server(heard_.front(), encoding_);
      heard_.pop_front();
      EXPECT_TRUE(message.has_value());
      if (auto* wanted = std::get_if<Message>(&*message)) return *wanted;
    }
    return std::nullopt;
  }
  /// The same of what has come already.
  template <class Message>
  std::optional<Message> heard() {
    read_for(std::chrono::milliseconds(1));
    while (!heard_.empty()) {
      auto message = wire::decode_server(heard_.front(), encoding_);
      heard_.pop_front();
      EXPECT_TRUE(message.has_value());
      if (auto* wanted = std::get_if<Message>(&*message)) return *wanted;
    }
    return std::nullopt;
  }
  template <class Condition>
  void read_nothing_until(Condition condition) {
    seam_->pause_reading(true);
    run_until(condition);
    seam_->pause_reading(false);
  }
  /// Keeps what comes meanwhile.
  void read_for(std::chrono::milliseconds time) {
    io_.restart();
    io_.run_for(time);
  }
  bool hears_the_end() {
    run_until([this] { return closed_.has_value(); });
    return closed_.has_value();
  }
  std::optional<Error> refusal;

 private:
  static constexpr auto patience = 20s;

  template <class Condition>
  void run_until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    io_.restart();
    while (!condition() && std::chrono::steady_clock::now() < deadline) io_.run_one_for(50ms);
  }

  const Encoding encoding_;
  boost::asio::io_context io_{1};
  std::shared_ptr<transport::Seam> seam_;
  std::deque<Bytes> heard_;
  std::optional<Error> closed_;
};

}  // namespace kuilt::server
