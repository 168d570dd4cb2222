// seam_link.hpp: a Seam of the application's, as the thread of the links knows links.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kuilt/loom.hpp"
#include "transport/seam.hpp"

namespace kuilt::client {

/// Events come from whatever thread the Seam has; here they queue up, at most `inbox_bytes_max` of
/// them, and one wake takes all there are to the executor.
class SeamLink final : public transport::Seam, public std::enable_shared_from_this<SeamLink> {
 public:
  SeamLink(transport::net::any_io_executor executor, std::shared_ptr<kuilt::Seam> seam,
           std::size_t inbox_bytes_max);

  void start(transport::SeamEvents events) override;
  void admit() override {}
  [[nodiscard]] bool send(transport::Frame frame) override;
  [[nodiscard]] std::size_t queued() const override { return 0; }
  [[nodiscard]] std::chrono::steady_clock::time_point last_read() const override;
  void pause_reading(bool /*paused*/) override {}
  void close(std::uint16_t code, const std::string& reason) override;
  void abort() override { tear("ended by this side"); }
  [[nodiscard]] transport::net::any_io_executor executor() const override { return executor_; }
  [[nodiscard]] const std::string& remote() const override { return name_; }
  [[nodiscard]] const std::string& subprotocol() const override { return name_; }

  /// Ends it: `on_closed` follows, with this reason. May be repeated.
  void tear(const std::string& reason);
  /// Any thread: what the Seam still says is posted to the executor no more, which may be about to
  /// end.
  void detach();

 private:
  void take(Bytes frame);
  void torn(Error reason);
  void wake();
  void drain();

  const transport::net::any_io_executor executor_;
  const std::shared_ptr<kuilt::Seam> seam_;
  const std::size_t inbox_bytes_max_;
  const std::string name_ = "seam";
  transport::SeamEvents events_;
  bool over_ = false;  ///< Executor only: torn by us, or on_closed was told.

  mutable std::mutex mutex_;  ///< Guards what follows.
  std::vector<Bytes> inbox_;
  std::size_t inbox_bytes_ = 0;
  std::optional<Error> torn_;
  std::chrono::steady_clock::time_point heard_at_;
  bool woken_ = false;
  bool detached_ = false;
};

}  // namespace kuilt::client
