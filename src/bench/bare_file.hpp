// bare_file.hpp: the least that a durable write costs: into a preallocated, zeroed file.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "bench/loop.hpp"

namespace kuilt::bench {

/// Used round and round. A disk that fails ends the process: there is no figure without it.
class BareFile {
 public:
  explicit BareFile(const std::string& path);
  /// Writes whole blocks of 4096 bytes, at least one, and syncs them.
  void append(std::size_t bytes);

 private:
  Descriptor file_;
  std::size_t at_ = 0;
  std::vector<char> blocks_;
};

}  // namespace kuilt::bench
