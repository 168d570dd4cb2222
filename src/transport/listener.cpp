// The accept loop. What happens on an accepted socket is upgrade.cpp's.
#include <chrono>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "transport/acceptor.hpp"
#include "transport/address.hpp"
#include "transport/upgrade.hpp"

namespace kuilt::transport {

namespace {

using boost::system::error_code;
using net::ip::tcp;

// Long enough for a descriptor to come free, short enough for nobody to notice.
constexpr auto pause_after_failed_accept = std::chrono::milliseconds(100);
// In one turn of an event loop that has other work, too.
constexpr int accepted_at_once_max = 64;

/// Owned by its own pending accept. The mutex makes `stop()` good from any thread, and at once.
class AcceptLoop : public std::enable_shared_from_this<AcceptLoop> {
 public:
  AcceptLoop(tcp::acceptor acceptor, std::shared_ptr<Entrance> entrance, ExecutorChoice choose)
      : acceptor_(std::move(acceptor)),
        pause_(acceptor_.get_executor()),
        entrance_(std::move(entrance)),
        choose_(std::move(choose)),
        next_executor_(choose_()) {
    error_code ignored;
    acceptor_.non_blocking(true, ignored);
  }

  void accept() {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    acceptor_.async_accept(next_executor_,
                           [self = shared_from_this()](error_code ec, tcp::socket socket) {
                             self->on_accept(ec, std::move(socket));
                           });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      error_code ignored;
      acceptor_.close(ignored);
      pause_.cancel();
    }
    entrance_->stop();
  }

 private:
  void on_accept(error_code ec, tcp::socket socket) {
    if (ec) {
      // Out of descriptors, most likely; the waiting peers stay in the kernel's queue.
      pause();
      return;
    }
    welcome(std::move(socket));
    accept_waiting();
    accept();
  }

  // Where a turn of the loop is long, one client in each would keep the others waiting until they
  // give up: after a failover all of them come at once.
  void accept_waiting() {
    for (int i = 1; i < accepted_at_once_max; ++i) {
      tcp::socket socket(next_executor_);
      error_code ec;
      {
        const std::lock_guard lock(mutex_);
        if (stopped_) return;
        acceptor_.accept(socket, ec);
      }
      if (ec) return;  // Nobody waits; or it fails again, and is told then.
      welcome(std::move(socket));
    }
  }

  void welcome(tcp::socket socket) {
    next_executor_ = choose_();
    error_code ec;
    const tcp::endpoint remote = socket.remote_endpoint(ec);
    if (ec) return;  // Gone already.
    auto ticket = entrance_->links->enter(remote.address().to_string());
    if (!ticket) return;
    upgrade(std::move(socket), std::move(*ticket), entrance_);
  }

  void pause() {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    pause_.expires_after(pause_after_failed_accept);
    pause_.async_wait([self = shared_from_this()](error_code) { self->accept(); });
  }

  std::mutex mutex_;
  bool stopped_ = false;
  tcp::acceptor acceptor_;
  net::steady_timer pause_;
  const std::shared_ptr<Entrance> entrance_;
  const ExecutorChoice choose_;
  net::any_io_executor next_executor_;  // Of the next link, whenever it comes.
};

class TcpListener final : public Listener {
 public:
  TcpListener(std::vector<std::shared_ptr<AcceptLoop>> loops, std::shared_ptr<LinkCount> links,
              std::vector<std::string> addresses)
      : loops_(std::move(loops)), links_(std::move(links)), addresses_(std::move(addresses)) {}
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  ~TcpListener() override { stop_all(); }

  [[nodiscard]] const std::vector<std::string>& addresses() const override { return addresses_; }
  [[nodiscard]] std::uint16_t port() const override {
    return parse_address(addresses_.front())->port;
  }
  [[nodiscard]] std::size_t links() const override { return links_->links(); }
  void stop() override { stop_all(); }

 private:
  void stop_all() {
    for (const auto& loop : loops_) loop->stop();
  }

  const std::vector<std::shared_ptr<AcceptLoop>> loops_;
  const std::shared_ptr<LinkCount> links_;
  const std::vector<std::string> addresses_;
};

/// A socket that listens, and what it is called.
struct Opened {
  tcp::acceptor acceptor;
  std::string host;     ///< As the operator wrote it.
  std::string address;  ///< "host:port", really.
};

Result<Opened> open(const net::any_io_executor& executor, const std::string& address) {
  auto acceptor = open_acceptor(executor, address);
  if (!acceptor) return std::move(acceptor).error();
  error_code ec;
  const tcp::endpoint bound = acceptor->local_endpoint(ec);
  if (ec) return Error(ErrorCode::io, "listen on " + address + ": " + ec.message());
  const Address actual{bound.address().to_string(), bound.port()};
  return Opened{*std::move(acceptor), parse_address(address)->host, text_of(actual)};
}

}  // namespace

bool Entrance::admit_visit(const std::shared_ptr<Visit>& visit) {
  const std::lock_guard lock(mutex_);
  if (!stopped_) visits_.insert(visit);
  return !stopped_;
}

bool Entrance::end_visit(const std::shared_ptr<Visit>& visit) {
  const std::lock_guard lock(mutex_);
  visits_.erase(visit);
  return !stopped_;
}

void Entrance::stop() {
  std::set<std::weak_ptr<Visit>, std::owner_less<>> visits;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    visits.swap(visits_);
  }
  for (const auto& entry : visits) {
    if (const auto visit = entry.lock()) visit->cancel();
  }
}

Result<std::unique_ptr<Listener>> listen(net::any_io_executor accept_on,
                                         const std::vector<std::string>& addresses,
                                         AcceptRules rules, SeamLimits limits,
                                         ExecutorChoice choose, SeamHandler on_seam) {
  std::vector<Opened> opened;
  std::vector<std::string> hosts;
  std::vector<std::string> actual;
  for (const std::string& address : addresses) {
    auto one = open(accept_on, address);
    if (!one) return std::move(one).error();
    hosts.push_back(one->host);
    actual.push_back(one->address);
    opened.push_back(*std::move(one));
  }
  const auto entrance =
      std::make_shared<Entrance>(std::move(rules), limits, std::move(on_seam), std::move(hosts));
  std::vector<std::shared_ptr<AcceptLoop>> loops;
  for (Opened& one : opened) {
    loops.push_back(std::make_shared<AcceptLoop>(std::move(one.acceptor), entrance, choose));
    loops.back()->accept();
  }
  return std::unique_ptr<Listener>(
      std::make_unique<TcpListener>(std::move(loops), entrance->links, std::move(actual)));
}

}  // namespace kuilt::transport
