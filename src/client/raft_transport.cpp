// The two ways in which a RaftNode comes by its Seam.
#include <mutex>
#include <utility>

#include "kuilt/raft.hpp"

namespace kuilt {

SeamRaftTransport::SeamRaftTransport(std::shared_ptr<Seam> seam) : seam_(std::move(seam)) {
  KUILT_CHECK(seam_ != nullptr);
}
SeamRaftTransport::~SeamRaftTransport() = default;

void SeamRaftTransport::use(OnSeam on_seam) {
  if (on_seam) on_seam(std::exchange(seam_, nullptr));
}

struct ManagedRaftTransport::Impl {
  std::mutex mutex;  // Held while the node is told: after `use` returned, nothing is under way.
  OnSeam on_seam;
  std::shared_ptr<Seam> seam;  // That no node was told of yet.
};

ManagedRaftTransport::ManagedRaftTransport() : impl_(std::make_unique<Impl>()) {}
ManagedRaftTransport::ManagedRaftTransport(std::shared_ptr<Seam> seam) : ManagedRaftTransport() {
  impl_->seam = std::move(seam);
}
ManagedRaftTransport::~ManagedRaftTransport() = default;

void ManagedRaftTransport::swap(std::shared_ptr<Seam> seam) {
  {
    const std::lock_guard lock(impl_->mutex);
    if (impl_->on_seam) return impl_->on_seam(std::move(seam));
    impl_->seam.swap(seam);
  }
  if (seam) seam->close();  // It waited for a node in vain.
}

void ManagedRaftTransport::use(OnSeam on_seam) {
  const std::lock_guard lock(impl_->mutex);
  impl_->on_seam = std::move(on_seam);
  if (impl_->on_seam && impl_->seam) impl_->on_seam(std::exchange(impl_->seam, nullptr));
}

}  // namespace kuilt
