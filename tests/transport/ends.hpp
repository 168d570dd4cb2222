// ends.hpp: both ends of real links over loopback, on one event loop that a test turns by hand.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "transport/seam.hpp"

namespace kuilt::transport::testing {

using namespace std::chrono_literals;
using net::ip::tcp;

/// One end of a link, and all that it was told.
struct End {
  std::shared_ptr<Seam> seam;
  std::vector<std::string> frames;
  int drained = 0;
  std::optional<Error> closed;
  int times_closed = 0;
  bool echo = false;

  [[nodiscard]] std::optional<ErrorCode> code() const {
    return closed ? std::optional(closed->code()) : std::nullopt;
  }
};

inline Frame frame_of(const std::string& text) { return {Bytes(text)}; }

/// Begins to note what happens at `seam`, in an End that lives as long as the Seam's events.
inline std::shared_ptr<End> watch(std::shared_ptr<Seam> seam, bool echo = false) {
  auto end = std::make_shared<End>();
  end->seam = seam;
  end->echo = echo;
  SeamEvents events;
  events.on_frame = [end](const Bytes& frame) {
    end->frames.emplace_back(frame.text());
    if (end->echo && !end->seam->send({frame})) ADD_FAILURE() << "no room for the echo";
  };
  events.on_drained = [end] { ++end->drained; };
  events.on_closed = [end](Error reason) {
    end->closed = std::move(reason);
    ++end->times_closed;
    end->seam.reset();
  };
  seam->start(std::move(events));
  return end;
}

class Loopback : public ::testing::Test {
 protected:
  ~Loopback() override {
    listener_.reset();
    for (const auto& end : accepted_) {
      if (end->seam) end->seam->abort();
    }
    for (const auto& end : dialed_) {
      if (end->seam) end->seam->abort();
    }
    // Whatever a test did: nothing may be left that keeps the loop awake.
    io_.restart();
    io_.run_for(5s);
    EXPECT_TRUE(io_.stopped()) << "something is still pending on the event loop";
  }

  static AcceptRules rules() {
    AcceptRules rules;
    rules.subprotocols = {"kuilt.v1"};
    return rules;
  }

  void serve(AcceptRules rules, SeamLimits limits,
             const std::vector<std::string>& addresses = {"127.0.0.1:0"}) {
    auto listener = listen(
        io_.get_executor(), addresses, std::move(rules), limits,
        [this] { return net::any_io_executor(io_.get_executor()); },
        [this](const std::shared_ptr<Seam>& seam) {
          accepted_.push_back(watch(seam, echo_));
          if (admit_) seam->admit();
        });
    ASSERT_TRUE(listener) << listener.error().message();
    listener_ = *std::move(listener);
  }
  void serve() { serve(rules(), {}); }

  /// Turns the loop until `condition` holds; fails the test if it takes too long.
  void run_until(const std::function<bool()>& condition, std::chrono::milliseconds max = 10s) {
    const auto deadline = std::chrono::steady_clock::now() + max;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      io_.restart();
      io_.run_one_for(20ms);
    }
    EXPECT_TRUE(condition()) << "waited in vain";
  }

  Result<std::shared_ptr<Seam>> try_dial(SeamLimits limits = {},
                                         const std::vector<std::string>& offer = {"kuilt.v1"}) {
    return try_dial_url("ws://" + listener_->address(), limits, offer);
  }
  Result<std::shared_ptr<Seam>> try_dial_url(const std::string& url, SeamLimits limits = {},
                                             const std::vector<std::string>& offer = {"kuilt.v1"},
                                             Duration timeout = 10s) {
    std::optional<Result<std::shared_ptr<Seam>>> result;
    dial(io_.get_executor(), url, offer, limits, timeout,
         [&result](Result<std::shared_ptr<Seam>> outcome) {
           EXPECT_FALSE(result) << "on_done ran twice";
           result.emplace(std::move(outcome));
         });
    run_until([&] { return result.has_value(); });
    return *std::move(result);
  }
  /// A link whose two ends are `dialed_.back()` and the returned one's peer, `accepted_.back()`.
  std::shared_ptr<End> link(SeamLimits limits = {}) {
    const std::size_t before = accepted_.size();
    auto seam = try_dial(limits);
    EXPECT_TRUE(seam) << seam.error().message();
    dialed_.push_back(watch(*seam));
    if (admit_) (*seam)->admit();
    run_until([&] { return accepted_.size() > before; });
    return dialed_.back();
  }

  /// A socket that says whatever a test wants it to say.
  tcp::socket raw() {
    tcp::socket socket(io_);
    socket.connect(tcp::endpoint(net::ip::make_address("127.0.0.1"), listener_->port()));
    return socket;
  }
  static void say(tcp::socket& socket, std::string_view text) {
    net::write(socket, net::buffer(text.data(), text.size()));
  }
  /// All that arrives until `stop` says that it is enough, or until the other side ends it.
  std::string hear(tcp::socket& socket, const std::function<bool(const std::string&)>& enough) {
    std::string heard;
    std::array<char, 4096> chunk{};
    bool over = false;
    std::function<void()> read_some = [&] {
      socket.async_read_some(net::buffer(chunk),
                             [&](const boost::system::error_code& ec, std::size_t size) {
                               heard.append(chunk.data(), size);
                               over = ec || enough(heard);
                               if (!over) read_some();
                             });
    };
    read_some();
    run_until([&] { return over; });
    return heard;
  }
  std::string hear_all(tcp::socket& socket) {
    return hear(socket, [](const std::string&) { return false; });
  }

  net::io_context io_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::shared_ptr<End>> accepted_;
  std::vector<std::shared_ptr<End>> dialed_;
  bool echo_ = false;
  bool admit_ = true;
};

}  // namespace kuilt::transport::testing
