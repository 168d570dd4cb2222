// Links over WebSocket that the application holds: each a transport::Seam on the loom's thread.
#include <atomic>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "kuilt/loom.hpp"
#include "kuilt/pending.hpp"
#include "transport/address.hpp"
#include "transport/seam.hpp"
#include "wire/client_messages.hpp"

namespace kuilt {
namespace {

/// As for any client of a server.
constexpr std::size_t frame_bytes_max = std::size_t{32} << 20;
constexpr auto loom_destroyed = "the loom was destroyed";
constexpr std::size_t outbox_bytes_max = std::size_t{16} << 20;

/// The loom's thread. Shared with its Seams, which may outlive it: then it takes nothing any more.
class LoomThread {
 public:
  LoomThread() : work_(loop_.get_executor()), thread_([this] { loop_.run(); }) {}

  /// False: it has ended.
  bool post(std::function<void()> task) {
    const std::lock_guard lock(mutex_);
    if (!ended_) transport::net::post(loop_, std::move(task));
    return !ended_;
  }
  [[nodiscard]] bool here() const { return std::this_thread::get_id() == thread_.get_id(); }
  [[nodiscard]] transport::net::any_io_executor executor() { return loop_.get_executor(); }
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    transport::net::post(loop_, [this] { loop_.stop(); });
    thread_.join();
    // What is left in the queue may hold what holds this.
    loop_.restart();
    loop_.poll();
  }

 private:
  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::mutex mutex_;
  bool ended_ = false;
  std::thread thread_;
};

class LoomSeam final : public Seam, public std::enable_shared_from_this<LoomSeam> {
 public:
  LoomSeam(std::shared_ptr<LoomThread> thread, std::shared_ptr<transport::Seam> link)
      : thread_(std::move(thread)), link_(std::move(link)) {}
  ~LoomSeam() override {
    // It ends where it lives.
    thread_->post([link = link_] { link->abort(); });
  }

  void start(SeamEvents events) override {
    const bool posted = thread_->post(
        [self = shared_from_this(), events]() mutable { self->begin(std::move(events)); });
    if (!posted) events.on_torn(Error(ErrorCode::stopped, Effect::none, loom_destroyed));
  }
  [[nodiscard]] bool send(Bytes frame) override;
  void close() override {
    thread_->post([self = shared_from_this()] {
      if (!self->torn_) self->link_->close(1000, "");
    });
  }
  /// On the thread, at its end.
  void tear() {
    link_->abort();
    torn(Error(ErrorCode::stopped, Effect::none, loom_destroyed));
  }

 private:
  void begin(SeamEvents events);
  void torn(const Error& reason);
  void flush();

  const std::shared_ptr<LoomThread> thread_;
  std::shared_ptr<transport::Seam> link_;
  std::function<void(Error)> on_torn_;  ///< Of the thread.
  std::atomic<bool> torn_ = false;

  std::mutex mutex_;  ///< Guards what follows.
  std::vector<Bytes> outbox_;
  std::size_t outbox_bytes_ = 0;
  bool woken_ = false;
};

void LoomSeam::begin(SeamEvents events) {
  on_torn_ = std::move(events.on_torn);
  if (torn_) return torn(Error(ErrorCode::stopped, Effect::none, "torn before it was started"));
  const std::weak_ptr<LoomSeam> weak = weak_from_this();
  link_->start({.on_frame = std::move(events.on_frame),
                .on_drained = [] {},
                .on_closed =
                    [weak](const Error& reason) {
                      if (const auto self = weak.lock()) self->torn(reason);
                    }});
}

void LoomSeam::torn(const Error& reason) {
  torn_ = true;
  if (const auto tell = std::exchange(on_torn_, {})) tell(reason);
}

bool LoomSeam::send(Bytes frame) {
  const std::lock_guard lock(mutex_);
  if (torn_ || frame.size() > outbox_bytes_max - outbox_bytes_) return false;
  outbox_bytes_ += frame.size();
  outbox_.push_back(std::move(frame));
  if (std::exchange(woken_, true)) return true;
  return thread_->post([self = shared_from_this()] { self->flush(); });
}

void LoomSeam::flush() {
  std::vector<Bytes> frames;
  {
    const std::lock_guard lock(mutex_);
    frames.swap(outbox_);
    outbox_bytes_ = 0;
    woken_ = false;
  }
  for (Bytes& frame : frames) {
    if (torn_) return;
    if (link_->send({std::move(frame)})) continue;
    link_->abort();
    return torn(
        Error(ErrorCode::busy, Effect::none, "the server does not read what is sent to it"));
  }
}

transport::SeamLimits limits() {
  transport::SeamLimits limits;
  limits.first_frame_bytes_max = frame_bytes_max;
  limits.frame_bytes_max = frame_bytes_max;
  limits.outbox_bytes_max = outbox_bytes_max;
  return limits;
}

}  // namespace

struct WebSocketLoom::Impl {
  Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    if (!thread) return;
    thread->post([this] {
      for (const auto& one : seams) {
        if (const auto seam = one.lock()) seam->tear();
      }
    });
    thread->end();
  }

  std::shared_ptr<LoomThread> begun() {
    const std::lock_guard lock(mutex);
    if (!thread) thread = std::make_shared<LoomThread>();
    return thread;
  }
  /// On the thread.
  std::shared_ptr<Seam> hold(std::shared_ptr<transport::Seam> link) {
    link->admit();  // Whom to admit is for those who read the frames.
    auto seam = std::make_shared<LoomSeam>(thread, std::move(link));
    std::erase_if(seams, [](const auto& one) { return one.expired(); });
    seams.push_back(seam);
    return seam;
  }

  std::mutex mutex;  // Guards whether there is a thread.
  std::shared_ptr<LoomThread> thread;
  std::vector<std::weak_ptr<LoomSeam>> seams;  // Of the thread.
};

WebSocketLoom::WebSocketLoom() : impl_(std::make_unique<Impl>()) {}
WebSocketLoom::WebSocketLoom(WebSocketLoom&&) noexcept = default;
WebSocketLoom& WebSocketLoom::operator=(WebSocketLoom&&) noexcept = default;
WebSocketLoom::~WebSocketLoom() = default;

Result<std::shared_ptr<Seam>> WebSocketLoom::weave(const WebSocketAdvertisement& to,
                                                   std::chrono::nanoseconds timeout) {
  if (auto address = transport::parse_url(to.url); !address) return std::move(address).error();
  const auto thread = impl_->begun();
  if (thread->here()) {
    return Error(ErrorCode::usage, "waiting for a link inside an event would hold up all others");
  }
  std::promise<Result<std::shared_ptr<Seam>>> woven;
  const auto done = [&](Result<std::shared_ptr<transport::Seam>> link) {
    if (!link) return woven.set_value(std::move(link).error());
    woven.set_value(impl_->hold(*std::move(link)));
  };
  thread->post([&] {
    transport::dial(thread->executor(), to.url,
                    {std::string(wire::subprotocol_of(wire::Encoding::protobuf))}, limits(),
                    detail::bounded(timeout), done);
  });
  return woven.get_future().get();
}

}  // namespace kuilt
