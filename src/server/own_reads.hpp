// own_reads.hpp: read barriers of the program that a server runs in.
#pragma once

#include <cstdint>
#include <future>
#include <map>
#include <mutex>

#include "wire/client_messages.hpp"

namespace kuilt::server {

/// Each is waited for by one thread of the program.
///
/// Threads: any. Ownership: shared by the node and those who wait, so that it may be destroyed
/// meanwhile.
class OwnReads {
 public:
  struct Asked {
    std::uint64_t number = 0;
    std::future<wire::BarrierOutcome> outcome;
  };
  /// A new one. After `stop` its outcome is there at once.
  Asked ask();
  /// Nobody waits for it any more.
  void forget(std::uint64_t number);
  void answer(const wire::BarrierAnswer& answer);
  /// Ends those that are pending, and all later ones: the server has stopped.
  void stop();

 private:
  std::mutex mutex_;
  bool stopped_ = false;
  std::uint64_t last_ = 0;
  std::map<std::uint64_t, std::promise<wire::BarrierOutcome>> pending_;
};

}  // namespace kuilt::server
