// secret.hpp: what all servers of a cluster know and nobody else does.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include "kuilt/result.hpp"

namespace kuilt::server {

/// 256 random bits. All zero means "none", and proves nothing.
class Secret {
 public:
  static constexpr std::size_t size = 32;

  Secret() = default;
  explicit Secret(const std::array<std::byte, size>& bytes) : bytes_(bytes) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret();  ///< Leaves nothing of it in memory.

  [[nodiscard]] const std::array<std::byte, size>& bytes() const { return bytes_; }
  [[nodiscard]] bool is_none() const { return bytes_ == std::array<std::byte, size>{}; }

 private:
  std::array<std::byte, size> bytes_{};
};

/// Fills `bytes` from OpenSSL's random source. A source that fails is a reason to stop.
void draw_random(std::byte* bytes, std::size_t count);

/// Writes a new secret to `path`: 64 hexadecimal digits and a line end, readable by its owner only.
/// Never overwrites: a cluster whose secret is lost has to be stopped to get another.
/// Errors: invalid_argument (the file exists, or cannot be made), io (nothing stays behind).
Status create_secret(const std::string& path);

/// Errors: invalid_argument (no such file, readable by others, empty, or not a secret), io.
Result<Secret> load_secret(const std::string& path);

}  // namespace kuilt::server
