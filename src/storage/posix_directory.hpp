// posix_directory.hpp: the data directory of one server: locked, and bound to one member.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"
#include "storage/identity.hpp"

namespace kuilt::storage {

/// Holds the lock of a data directory for as long as it lives, and knows whose directory it is.
///
/// A directory goes through three states: new (no identity), minted (a node id, durable before
/// anybody hears of it), bound (to a cluster and a history, once the founding record is agreed on).
/// Wal::create comes before `bind`: a bound directory without a log has lost it.
///
/// Threads: one caller at a time. Layout: `lock`, `identity`, `log/` for the segments,
/// `snapshots/`, and `joined`, of a server that was not among the founders.
class DataDirectory {
 public:
  /// Makes the directory if need be, and locks it.
  /// Errors: directory_locked (the message names the process), directory_unwritable,
  /// unsupported_format, corrupt (the identity file), io.
  static Result<std::unique_ptr<DataDirectory>> open(const std::string& path);
  ~DataDirectory();

  /// None in a new directory.
  [[nodiscard]] std::optional<NodeId> node() const;
  /// Set once the directory is bound.
  [[nodiscard]] std::optional<Identity> identity() const;
  [[nodiscard]] std::string log_path() const;
  [[nodiscard]] std::string snapshots_path() const;

  /// What a server that joined was told of its cluster; nothing, if it was founded with it.
  /// Errors: io.
  [[nodiscard]] Result<std::optional<Bytes>> joined() const;
  /// Keeps that, durably, in place of what was there. Before `bind`: until the log has come,
  /// nothing else says who the others are. Errors: directory_unwritable, disk_full, io.
  Status keep_joined(BytesView record);

  /// Makes `node` the id of this directory, durably. Pre: it has none; `node` is random.
  Status mint(NodeId node);
  /// Binds the directory, durably. Pre: `node()` is set. Again with the same ids: nothing happens.
  /// Errors: directory_of_another, disk_full, io.
  Status bind(ClusterId cluster, HistoryId history);
  /// Errors: directory_of_another, naming what differs, if the directory is bound to other ids.
  [[nodiscard]] Status check(const Identity& expected) const;

 private:
  struct Impl;
  explicit DataDirectory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kuilt::storage
