// asio.hpp: a Pending in an Asio program, with any completion token.
//
//   auto receipt = co_await kuilt::async_wait(client.propose("move"), boost::asio::use_awaitable);
//   kuilt::async_wait(client.propose("move"), [](kuilt::Result<kuilt::Receipt> receipt) { ... });
//
// Header only, over the Asio of whoever includes it: Boost.Asio, or with KUILT_ASIO_STANDALONE
// defined the one without Boost. The library itself does not depend on either.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#ifdef KUILT_ASIO_STANDALONE
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#else
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#endif

#include "kuilt/pending.hpp"

namespace kuilt {
namespace detail {

#ifdef KUILT_ASIO_STANDALONE
namespace net = ::asio;
#else
namespace net = ::boost::asio;
#endif

/// From the call to the handler. Owned by what the Pending will call, and then by what is posted.
template <class Handler, class T>
class AsioWait : public std::enable_shared_from_this<AsioWait<Handler, T>> {
 public:
  AsioWait(Handler handler, Pending<T> pending)
      : handler_(std::move(handler)),
        pending_(std::move(pending)),
        slot_(net::get_associated_cancellation_slot(handler_)),
        work_(net::make_work_guard(net::get_associated_executor(handler_))) {}

  void start() {
    if (slot_.is_connected()) {
      slot_.assign([weak = this->weak_from_this()](net::cancellation_type /*type*/) {
        if (const auto wait = weak.lock()) wait->pending_.give_up();
      });
    }
    const bool told = pending_.then(
        [self = this->shared_from_this()](Result<T> result) { self->complete(std::move(result)); });
    if (!told) complete(pending_.get());  // The client was stopped before: it is there.
  }

 private:
  // The slot belongs to the handler's executor, as the handler does.
  void complete(Result<T> result) {
    const auto executor = work_.get_executor();
    net::post(executor, [self = this->shared_from_this(), result = std::move(result)]() mutable {
      self->slot_.clear();
      self->work_.reset();
      auto handler = std::move(self->handler_);
      self.reset();
      std::move(handler)(std::move(result));
    });
  }

  using Slot = net::associated_cancellation_slot_t<Handler>;
  Handler handler_;
  Pending<T> pending_;
  Slot slot_;
  net::executor_work_guard<net::associated_executor_t<Handler>> work_;
};

struct StartAsioWait {
  template <class Handler, class T>
  void operator()(Handler handler, Pending<T> pending) const {
    std::make_shared<AsioWait<Handler, T>>(std::move(handler), std::move(pending))->start();
  }
};

}  // namespace detail

/// Completes with the result, as `void(Result<T>)`.
///
/// Threads: the handler runs on its associated executor, never inside this call. The client's
/// callbacks bring the result there, so with Dispatch::poll somebody has to poll.
/// Cancellation gives the call up (`Pending::give_up`), and completes with what that answers.
template <class T, class Token>
auto async_wait(Pending<T> pending, Token&& token) {
  return detail::net::async_initiate<Token, void(Result<T>)>(detail::StartAsioWait{}, token,
                                                             std::move(pending));
}

}  // namespace kuilt
