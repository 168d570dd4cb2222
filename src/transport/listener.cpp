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
  TcpListener(std::shared_ptr<AcceptLoop> loop, std::shared_ptr<LinkCount> links, Address address)
      : loop_(std::move(loop)), links_(std::move(links)), address_(std::move(address)) {}
  TcpListener(const TcpListener&) = delete;
  TcpListener& operator=(const TcpListener&) = delete;
  ~TcpListener() override { loop_->stop(); }

  [[nodiscard]] std::uint16_t port() const override { return address_.port; }
  [[nodiscard]] std::string address() const override { return text_of(address_); }
  [[nodiscard]] std::size_t links() const override { return links_->links(); }
  void stop() override { loop_->stop(); }

 private:
  const std::shared_ptr<AcceptLoop> loop_;
  const std::shared_ptr<LinkCount> links_;
  const Address address_;
};

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

Result<std::unique_ptr<Listener>> listen(net::any_io_executor accept_on, const std::string& address,
                                         AcceptRules rules, SeamLimits limits,
                                         ExecutorChoice choose, SeamHandler on_seam) {
  auto acceptor = open_acceptor(accept_on, address);
  if (!acceptor) return std::move(acceptor).error();
  error_code ec;
  const tcp::endpoint bound = acceptor->local_endpoint(ec);
  if (ec) return Error(ErrorCode::io, "listen on " + address + ": " + ec.message());

  auto entrance = std::make_shared<Entrance>(std::move(rules), limits, std::move(on_seam),
                                             parse_address(address)->host);
  auto links = entrance->links;
  auto loop =
      std::make_shared<AcceptLoop>(*std::move(acceptor), std::move(entrance), std::move(choose));
  loop->accept();
  const Address actual{bound.address().to_string(), bound.port()};
  return std::unique_ptr<Listener>(std::make_unique<TcpListener>(loop, std::move(links), actual));
}

}  // namespace kuilt::transport
