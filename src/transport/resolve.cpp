#include "transport/resolve.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace kuilt::transport {

namespace {

/// In this process. A name that never resolves keeps its thread for as long as getaddrinfo tries.
constexpr int lookups_max = 64;
std::atomic<int> lookups = 0;

/// One of the lookups that may be under way.
class Place {
 public:
  /// Null: there is none left.
  static std::unique_ptr<Place> take() {
    auto place = std::make_unique<Place>();
    if (lookups > lookups_max) place.reset();
    return place;
  }
  Place() { ++lookups; }
  ~Place() { --lookups; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
};

struct WriteEnd {
  explicit WriteEnd(int opened) : file(opened) {}
  ~WriteEnd() { ::close(file); }
  WriteEnd(const WriteEnd&) = delete;
  WriteEnd& operator=(const WriteEnd&) = delete;
  int file;
};

Error no_lookup(const std::string& why) {
  return Error(ErrorCode::no_server, "no host can be looked up: " + why);
}

}  // namespace

Result<Addresses> look_up(const std::string& host) {
  net::io_context unused;  // The synchronous call runs on this thread, whichever loop is named.
  net::ip::tcp::resolver resolver(unused);
  boost::system::error_code ec;
  const auto found = resolver.resolve(host, "", ec);
  if (ec) return Error(ErrorCode::no_server, "the host cannot be resolved: " + ec.message());
  Addresses addresses;
  for (const auto& one : found) addresses.push_back(one.endpoint().address());
  return addresses;
}

Status Resolution::start(const std::string& host, const Lookup& lookup, Done done) {
  auto place = Place::take();
  if (!place) {
    return no_lookup(std::to_string(lookups_max) + " names are being looked up, as many as may be");
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return no_lookup(std::system_category().message(errno));
  }
  pipe_.assign(ends[0]);
  auto end = std::make_unique<WriteEnd>(ends[1]);
  const auto found = std::make_shared<Found>();
  try {
    std::thread([host, lookup, found, place = std::move(place), end = std::move(end)]() mutable {
      Result<Addresses> addresses = lookup(host);
      {
        const std::lock_guard lock(found->mutex);
        found->addresses.emplace(std::move(addresses));
      }
      place.reset();
      end.reset();  // Tells.
    }).detach();
  } catch (const std::system_error& failed) {
    return no_lookup(failed.what());
  }
  pipe_.async_read_some(net::buffer(found->scratch),
                        [found, done = std::move(done)](const boost::system::error_code& ec,
                                                        std::size_t /*none, ever*/) {
                          if (ec != net::error::eof) return;  // Cancelled.
                          std::unique_lock lock(found->mutex);
                          Result<Addresses> addresses = *std::move(found->addresses);
                          lock.unlock();
                          done(std::move(addresses));
                        });
  return kuilt::Done{};
}

void Resolution::cancel() {
  boost::system::error_code ignored;
  pipe_.close(ignored);
}

}  // namespace kuilt::transport
