// small_disk.hpp: a disk of a few megabytes that a test can fill, enlarge and write-protect.
#pragma once

#include <cstddef>
#include <string>

namespace kuilt::process_tests {

/// A tmpfs in a mount namespace of its own: nothing of it is left behind, whatever becomes of the
/// test.
///
/// Ownership: the calling thread moves into the namespace, and back on destruction, by which time
/// the threads that it started meanwhile must have ended. Processes that it starts are in there
/// too. Needs root.
class SmallDisk {
 public:
  /// Makes the directory `path`, and mounts the disk there.
  SmallDisk(std::string path, std::size_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  /// From now on there is room for what it holds, and for not a byte more.
  void fill() const;
  void resize(std::size_t bytes) const;
  void protect() const;

 private:
  std::string path_;
  std::string cwd_;
  int home_ = -1;  // The namespace that this thread came from.
};

}  // namespace kuilt::process_tests
