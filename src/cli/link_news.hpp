// link_news.hpp: what happens to a client's links, told to people on standard error.
#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <string>

#include "kuilt/client.hpp"

namespace kuilt::cli {

/// Turns the events of one client into lines. An endpoint that goes on refusing for the same reason
/// is told once.
///
/// Threads: `take` on the client's callback thread, the rest on any.
class LinkNews {
 public:
  enum class Wanted : std::uint8_t {
    everything,
    trouble,  ///< Not that a link came up.
  };
  explicit LinkNews(Wanted wanted) : wanted_(wanted) {}

  void take(const ClientEvent& event);
  /// Whether any server has ever admitted this client.
  [[nodiscard]] bool was_connected() const { return was_connected_; }

 private:
  Wanted wanted_;
  std::atomic<bool> was_connected_ = false;
  std::map<std::string, std::string> refusals_;
};

/// "1.8 ms", "212 ms", "15 s": three digits are all that people read.
[[nodiscard]] std::string text_of(std::chrono::nanoseconds duration);

}  // namespace kuilt::cli
