#include "client/brought_links.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace kuilt::client {

void BroughtLinks::offer(std::shared_ptr<kuilt::Seam> seam) {
  std::shared_ptr<kuilt::Seam> unused;
  std::shared_ptr<SeamLink> before;
  {
    const std::lock_guard lock(mutex_);
    unused = std::exchange(offered_, std::move(seam));
    before = std::exchange(in_use_, {}).lock();
  }
  if (unused) unused->close();
  if (!before) return on_offer_();
  // In this order: the client hears that its link has ended, and then that there is another way.
  const auto executor = before->executor();
  transport::net::post(executor, [before = std::move(before), on_offer = on_offer_] {
    before->tear("another Seam has taken its place");
    transport::net::post(before->executor(), on_offer);
  });
}

void BroughtLinks::dial(const transport::net::any_io_executor& executor,
                        const transport::SeamLimits& limits, DialDone done) {
  const std::lock_guard lock(mutex_);  // Also while `done` is posted: an offer comes after it.
  std::shared_ptr<SeamLink> link;
  if (offered_) {
    link = std::make_shared<SeamLink>(executor, std::exchange(offered_, nullptr),
                                      limits.frame_bytes_max);
    in_use_ = link;
  }
  transport::net::post(executor, [link = std::move(link), done = std::move(done)] {
    if (link) return done(std::static_pointer_cast<transport::Seam>(link));
    done(Error(ErrorCode::no_server, "there is no Seam for now"));
  });
}

void BroughtLinks::close() {
  const std::lock_guard lock(mutex_);
  if (offered_) offered_->close();
  offered_.reset();
  if (const auto link = in_use_.lock()) link->detach();
}

}  // namespace kuilt::client
