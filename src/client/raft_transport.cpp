// The two ways in which a RaftNode comes by its Seam.
#include <condition_variable>
#include <mutex>
#include <utility>

#include "client/room_state.hpp"
#include "kuilt/raft.hpp"

namespace kuilt {

namespace {

/// Stands for a channel that is no feed: it says so as soon as it is asked.
class NoSeam final : public Seam {
 public:
  void start(SeamEvents events) override {
    events.on_torn(Error(ErrorCode::usage, Effect::none,
                         "not the channel \"raft\" of a room that a SeamRoomFactory has joined"));
  }
  bool send(Bytes /*frame*/) override { return true; }
  void close() override {}
};

}  // namespace

std::shared_ptr<Seam> seam_of(const Channel& raft) {
  if (auto seam = std::dynamic_pointer_cast<Seam>(raft.state())) return seam;
  return std::make_shared<NoSeam>();
}

SeamRaftTransport::SeamRaftTransport(const Channel& raft) : SeamRaftTransport(seam_of(raft)) {}
SeamRaftTransport::SeamRaftTransport(std::shared_ptr<Seam> seam) : seam_(std::move(seam)) {
  KUILT_CHECK(seam_ != nullptr);
}
SeamRaftTransport::~SeamRaftTransport() = default;

void SeamRaftTransport::use(OnSeam on_seam) {
  if (on_seam) on_seam(std::exchange(seam_, nullptr));
}

namespace {

/// Which Seam has its place, as long as that can be used.
struct Place {
  std::mutex mutex;
  std::condition_variable changed;
  const Seam* holder = nullptr;

  void take(const Seam* next) {
    const std::lock_guard lock(mutex);
    holder = next;
    changed.notify_all();
  }
  void leave(const Seam* seam) {
    const std::lock_guard lock(mutex);
    if (holder != seam) return;
    holder = nullptr;
    changed.notify_all();
  }
};

/// Leaves its place when it is torn, or closed by who uses it.
class PlacedSeam final : public Seam, public std::enable_shared_from_this<PlacedSeam> {
 public:
  PlacedSeam(std::shared_ptr<Seam> seam, std::shared_ptr<Place> place)
      : seam_(std::move(seam)), place_(std::move(place)) {}
  ~PlacedSeam() override { place_->leave(this); }

  void start(SeamEvents events) override {
    seam_->start({.on_frame = std::move(events.on_frame),
                  .on_torn = [weak = weak_from_this(),
                              tell = std::move(events.on_torn)](const Error& reason) {
                    if (const auto self = weak.lock()) self->place_->leave(self.get());
                    tell(reason);
                  }});
  }
  bool send(Bytes frame) override { return seam_->send(std::move(frame)); }
  void close() override {
    place_->leave(this);
    seam_->close();
  }

 private:
  const std::shared_ptr<Seam> seam_;
  const std::shared_ptr<Place> place_;
};

}  // namespace

struct ManagedRaftTransport::Impl {
  std::shared_ptr<Seam> placed(std::shared_ptr<Seam> seam) {
    if (seam) seam = std::make_shared<PlacedSeam>(std::move(seam), place);
    place->take(seam.get());
    return seam;
  }

  const std::shared_ptr<Place> place = std::make_shared<Place>();
  /// Held while the node is told: after `use` returned, nothing is under way. A Seam that is closed
  /// then may swap in turn.
  std::recursive_mutex mutex;
  OnSeam on_seam;
  std::shared_ptr<Seam> untold;  // That no node was told of yet.
};

ManagedRaftTransport::ManagedRaftTransport() : impl_(std::make_unique<Impl>()) {}
ManagedRaftTransport::ManagedRaftTransport(std::shared_ptr<Seam> seam) : ManagedRaftTransport() {
  swap(std::move(seam));
}
ManagedRaftTransport::ManagedRaftTransport(const Channel& raft)
    : ManagedRaftTransport(seam_of(raft)) {}
ManagedRaftTransport::~ManagedRaftTransport() = default;

void ManagedRaftTransport::swap(const Channel& raft) { swap(seam_of(raft)); }

void ManagedRaftTransport::swap(std::shared_ptr<Seam> seam) {
  std::shared_ptr<Seam> unused;
  {
    const std::lock_guard lock(impl_->mutex);
    seam = impl_->placed(std::move(seam));
    if (impl_->on_seam) return impl_->on_seam(std::move(seam));
    unused = std::exchange(impl_->untold, std::move(seam));
  }
  if (unused) unused->close();
}

bool ManagedRaftTransport::needs_seam() const {
  const std::lock_guard lock(impl_->place->mutex);
  return impl_->place->holder == nullptr;
}

bool ManagedRaftTransport::await_need(std::chrono::nanoseconds timeout) const {
  std::unique_lock lock(impl_->place->mutex);
  return impl_->place->changed.wait_for(lock, detail::bounded(timeout),
                                        [this] { return impl_->place->holder == nullptr; });
}

void ManagedRaftTransport::use(OnSeam on_seam) {
  const std::lock_guard lock(impl_->mutex);
  impl_->on_seam = std::move(on_seam);
  if (impl_->on_seam && impl_->untold) impl_->on_seam(std::exchange(impl_->untold, nullptr));
}

}  // namespace kuilt
