// learner_log.hpp: what a learner has stored, and how far; those who read it wait here.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "kuilt/raft_storage.hpp"

namespace kuilt::detail {

class LearnerCursor;

/// Reads of a log through here are done.
struct LearnerPlace {
  Index read;  ///< Entries up to here were handed out.
  Index told;  ///< And this is how far was said to be complete.
};

/// One writer, many readers, one call of the storage at a time.
///
/// Threads: any.
class LearnerLog {
 public:
  /// Reads all that the storage holds, and checks it as a feed is checked.
  /// Errors: corrupt, and those of the storage.
  static Result<std::shared_ptr<LearnerLog>> open(RaftStorage& storage, RoomName room);

  [[nodiscard]] const RoomName& room() const { return room_; }
  /// Nothing, if nothing was ever stored.
  [[nodiscard]] std::optional<ResumeToken> through() const;
  /// Why nothing more will be stored.
  [[nodiscard]] std::optional<Error> ended() const;

  // The writer.

  Status append(std::span<const LogEntry> entries, const ResumeToken& through);
  /// Nothing more will be stored; what is can still be read.
  void end(const Error& error);
  /// Ends, and lets go of the storage.
  void close();

  // Readers.

  /// Where a reader that begins there stands.
  /// Errors: wrong_cluster, history_differs, behind, stopped, and those of the storage.
  Result<LearnerPlace> place_of(const From& from);
  struct Batch {
    std::vector<LogEntry> entries;
    std::optional<ResumeToken> through;  ///< If there are no entries: how far there is none.
    std::optional<Error> end;
  };
  /// What follows `place`; empty if that is nothing by `deadline`, or `left` has become true.
  Batch wait_after(const LearnerPlace& place,
                   std::optional<std::chrono::steady_clock::time_point> deadline,
                   const std::atomic<bool>& left);
  [[nodiscard]] bool has_after(const LearnerPlace& place) const;
  /// Has waiting readers look whether they have left.
  void wake();
  /// To be told of each append, and of the end.
  void add_listener(const std::weak_ptr<LearnerCursor>& listener);

 private:
  LearnerLog(RaftStorage& storage, RoomName room) : storage_(&storage), room_(std::move(room)) {}
  Status check_stored();
  Result<std::uint64_t> digest_through(Index last);
  [[nodiscard]] bool has_more(const LearnerPlace& place) const;
  [[nodiscard]] Batch read(const LearnerPlace& place);
  void tell_listeners();

  mutable std::mutex mutex_;  ///< Guards what follows, and is held while the storage is called.
  std::condition_variable changed_;
  RaftStorage* storage_;  ///< Null once closed.
  const RoomName room_;
  std::optional<ResumeToken> through_;
  Index last_entry_;
  std::optional<Error> end_;
  std::vector<std::weak_ptr<LearnerCursor>> listeners_;
};

}  // namespace kuilt::detail
