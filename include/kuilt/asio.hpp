// asio.hpp: a Pending in an Asio program, with any completion token.
//
//   auto receipt = co_await kuilt::async_wait(client.propose("move"), boost::asio::use_awaitable);
//   kuilt::async_wait(client.propose("move"), bind_executor(context, [](auto receipt) { ... }));
//
// Header only, over the Asio of whoever includes it: Boost.Asio, or with KUILT_ASIO_STANDALONE
// defined the one without Boost. The library itself does not depend on either.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#ifdef KUILT_ASIO_STANDALONE
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/execution.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/system_context.hpp>
#include <asio/system_executor.hpp>
#else
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/system_context.hpp>
#include <boost/asio/system_executor.hpp>
#endif

#include "kuilt/pending.hpp"

namespace kuilt {
namespace detail {

#ifdef KUILT_ASIO_STANDALONE
namespace net = ::asio;
#else
namespace net = ::boost::asio;
#endif

/// Where handlers run. Asio 1.22 has an executor that names no context (use_future's); it is the
/// system's.
template <class Executor>
net::execution_context& context_of(const Executor& executor) {
  if constexpr (net::can_query<const Executor&, net::execution::context_t>::value) {
    return net::query(executor, net::execution::context);
  } else {
    return net::query(net::system_executor(), net::execution::context);
  }
}

class AsioWaitBase {
 public:
  virtual ~AsioWaitBase() = default;
  /// Frees the handler uncalled.
  virtual void abandon() = 0;
};

/// The waits whose handlers run in one context. What they hold of it must go when it goes, though
/// the client lives on.
class AsioWaits final : public net::execution_context::service {
 public:
  struct List {
    std::mutex mutex;
    std::map<AsioWaitBase*, std::weak_ptr<AsioWaitBase>> waits;
  };
  inline static net::execution_context::id id;

  explicit AsioWaits(net::execution_context& context) : service(context) {}
  /// May outlive the context.
  [[nodiscard]] const std::shared_ptr<List>& list() const { return list_; }

 private:
  void shutdown() override {
    std::vector<std::shared_ptr<AsioWaitBase>> abandoned;
    {
      const std::lock_guard lock(list_->mutex);
      for (const auto& [address, wait] : list_->waits) abandoned.push_back(wait.lock());
      list_->waits.clear();
    }
    for (const auto& wait : abandoned) {
      if (wait) wait->abandon();
    }
  }

  const std::shared_ptr<List> list_ = std::make_shared<List>();
};

/// From the call until its result is posted to the handler. Owned by what the Pending will call.
template <class Handler, class T>
class AsioWait final : public AsioWaitBase,
                       public std::enable_shared_from_this<AsioWait<Handler, T>> {
 public:
  AsioWait(Handler handler, Pending<T> pending)
      : pending_(std::move(pending)), wanted_(std::make_unique<Wanted>(std::move(handler))) {
    list_ = net::use_service<AsioWaits>(context_of(wanted_->work.get_executor())).list();
  }
  ~AsioWait() override {
    const std::lock_guard lock(list_->mutex);
    list_->waits.erase(this);
  }

  void start() {
    {
      const std::lock_guard lock(list_->mutex);
      list_->waits.emplace(this, this->weak_from_this());
    }
    if (wanted_->slot.is_connected()) {
      wanted_->slot.assign([weak = this->weak_from_this()](net::cancellation_type /*type*/) {
        if (const auto wait = weak.lock()) wait->pending_.give_up();
      });
    }
    const bool told = pending_.then(
        [self = this->shared_from_this()](Result<T> result) { self->complete(std::move(result)); });
    if (!told) complete(pending_.get());  // The client was stopped before: it is there.
  }

  void abandon() override {
    const auto unwanted = take();
    pending_.give_up();
  }

 private:
  /// What lives in the context.
  struct Wanted {
    explicit Wanted(Handler wants)
        : handler(std::move(wants)),
          slot(net::get_associated_cancellation_slot(handler)),
          work(net::make_work_guard(net::get_associated_executor(handler))) {}
    Handler handler;
    net::associated_cancellation_slot_t<Handler> slot;
    net::executor_work_guard<net::associated_executor_t<Handler>> work;
  };

  std::unique_ptr<Wanted> take() {
    const std::lock_guard lock(list_->mutex);
    return std::move(wanted_);
  }

  // Posted under the lock, so that the context is still there. The slot belongs to the handler's
  // executor, as the handler does.
  void complete(Result<T> result) {
    const std::lock_guard lock(list_->mutex);
    if (!wanted_) return;
    const auto executor = wanted_->work.get_executor();
    net::post(executor, [wanted = std::move(wanted_), result = std::move(result)]() mutable {
      wanted->slot.clear();
      wanted->work.reset();
      auto handler = std::move(wanted->handler);
      wanted.reset();
      std::move(handler)(std::move(result));
    });
  }

  Pending<T> pending_;
  std::unique_ptr<Wanted> wanted_;  ///< None, once it was posted or abandoned.
  std::shared_ptr<AsioWaits::List> list_;
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
/// Without an executor of its own a handler runs on Asio's system threads.
/// Ownership: the context may be destroyed before the client; that frees the handler uncalled, and
/// gives the call up. Not both at once, on two threads.
/// Cancellation gives the call up (`Pending::give_up`), and completes with what that answers.
template <class T, class Token>
auto async_wait(Pending<T> pending, Token&& token) {
  return detail::net::async_initiate<Token, void(Result<T>)>(detail::StartAsioWait{}, token,
                                                             std::move(pending));
}

}  // namespace kuilt
