#include "client/seam_link.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace kuilt::client {

SeamLink::SeamLink(transport::net::any_io_executor executor, std::shared_ptr<kuilt::Seam> seam,
                   std::size_t inbox_bytes_max)
    : executor_(std::move(executor)),
      seam_(std::move(seam)),
      inbox_bytes_max_(inbox_bytes_max),
      heard_at_(std::chrono::steady_clock::now()) {}

void SeamLink::start(transport::SeamEvents events) {
  if (over_)
    return transport::net::post(executor_, [tell = std::move(events.on_closed)] {
      tell(Error(ErrorCode::stopped, Effect::none, "ended before it began"));
    });
  events_ = std::move(events);
  seam_->start({.on_frame =
                    [weak = weak_from_this()](Bytes frame) {
                      if (const auto self = weak.lock()) self->take(std::move(frame));
                    },
                .on_torn =
                    [weak = weak_from_this()](Error reason) {
                      if (const auto self = weak.lock()) self->torn(std::move(reason));
                    }});
}

bool SeamLink::send(transport::Frame frame) {
  if (over_) return false;
  if (frame.size() == 1) return seam_->send(std::move(frame.front()));
  std::string joined;
  for (const Bytes& slice : frame) joined += slice.text();
  return seam_->send(Bytes(std::move(joined)));
}

std::chrono::steady_clock::time_point SeamLink::last_read() const {
  const std::lock_guard lock(mutex_);
  return heard_at_;
}

void SeamLink::close(std::uint16_t /*code*/, const std::string& /*reason*/) {
  tear("ended by this side");
}

// Told later, as a socket would: never inside the call that ends it.
void SeamLink::tear(const std::string& reason) {
  if (std::exchange(over_, true)) return;
  detach();
  transport::net::post(executor_, [self = shared_from_this(), reason] {
    if (const auto tell = std::exchange(self->events_.on_closed, {})) {
      tell(Error(ErrorCode::stopped, Effect::none, reason));
    }
  });
}

void SeamLink::detach() {
  {
    const std::lock_guard lock(mutex_);
    detached_ = true;
    inbox_.clear();
  }
  seam_->close();
}

void SeamLink::take(Bytes frame) {
  const std::lock_guard lock(mutex_);
  if (detached_ || torn_) return;
  heard_at_ = std::chrono::steady_clock::now();
  if (frame.size() > inbox_bytes_max_ - inbox_bytes_) {
    torn_.emplace(ErrorCode::frame_too_large, Effect::none,
                  "a frame of " + std::to_string(frame.size()) + " bytes, with " +
                      std::to_string(inbox_bytes_) + " waiting; the limit is " +
                      std::to_string(inbox_bytes_max_));
  } else {
    inbox_bytes_ += frame.size();
    inbox_.push_back(std::move(frame));
  }
  wake();
}

void SeamLink::torn(Error reason) {
  const std::lock_guard lock(mutex_);
  if (detached_ || torn_) return;
  torn_.emplace(std::move(reason));
  wake();
}

void SeamLink::wake() {
  if (std::exchange(woken_, true)) return;
  transport::net::post(executor_, [self = shared_from_this()] { self->drain(); });
}

void SeamLink::drain() {
  std::vector<Bytes> frames;
  std::optional<Error> reason;
  {
    const std::lock_guard lock(mutex_);
    frames.swap(inbox_);
    inbox_bytes_ = 0;
    reason = torn_;
    woken_ = false;
  }
  for (const Bytes& frame : frames) {
    if (over_) return;
    events_.on_frame(frame);
  }
  if (!reason || std::exchange(over_, true)) return;
  seam_->close();
  if (const auto tell = std::exchange(events_.on_closed, {})) tell(*reason);
}

}  // namespace kuilt::client
