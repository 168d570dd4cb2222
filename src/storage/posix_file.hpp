// posix_file.hpp: what all share that call the file system: descriptors and error texts.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "kuilt/bytes.hpp"
#include "kuilt/result.hpp"

namespace kuilt::storage {

/// A descriptor that is closed when its owner goes.
class File {
 public:
  File() = default;
  explicit File(int descriptor) : descriptor_(descriptor) {}
  File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~File();

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

/// What the system said in `errno`, as io or disk_full: "write /d/f at byte 0: No space left".
[[nodiscard]] Error system_error(const std::string& doing);
/// As system_error, but `when_refused` where the path or the rights are not what they should be.
[[nodiscard]] Error access_error(const std::string& doing, ErrorCode when_refused);
/// With directory_unwritable.
[[nodiscard]] Error directory_error(const std::string& doing);

/// Opens, retrying when a signal interrupts. Not open on failure, with `errno` set.
[[nodiscard]] File open_file(const std::string& path, int flags, unsigned mode = 0);
/// The same for a name in a folder that is open.
[[nodiscard]] File open_file_in(const File& folder, const std::string& name, int flags,
                                unsigned mode = 0);
/// All of `bytes`, in as many writes as it takes. Not durable yet.
[[nodiscard]] Status write_at(const File& file, const std::string& path, BytesView bytes,
                              std::uint64_t offset);
Status sync_directory(const std::string& path);
/// Makes the directory, unless it is there already, and its name durable in its parent, whoever
/// made it.
Status make_directory(const std::string& path);

}  // namespace kuilt::storage
