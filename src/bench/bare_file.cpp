#include "bench/bare_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace kuilt::bench {
namespace {

constexpr std::size_t block_bytes = 4096;
constexpr std::size_t file_bytes = std::size_t{8} << 20;

void write_at(const Descriptor& file, const std::vector<char>& bytes, std::size_t size,
              std::size_t at) {
  const ssize_t written = ::pwrite(file.get(), bytes.data(), size, static_cast<off_t>(at));
  KUILT_CHECK(written == static_cast<ssize_t>(size));
}

}  // namespace

BareFile::BareFile(const std::string& path)
    : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)),
      blocks_(std::size_t{1} << 20) {
  KUILT_CHECK(file_.is_open());
  for (std::size_t at = 0; at < file_bytes; at += blocks_.size()) {
    write_at(file_, blocks_, blocks_.size(), at);
  }
  KUILT_CHECK(::fsync(file_.get()) == 0);
  std::fill(blocks_.begin(), blocks_.end(), 'e');
}

void BareFile::append(std::size_t bytes) {
  const std::size_t size =
      std::max<std::size_t>(1, (bytes + block_bytes - 1) / block_bytes) * block_bytes;
  KUILT_CHECK(size <= file_bytes);
  if (size > blocks_.size()) blocks_.resize(size, 'e');
  if (at_ + size > file_bytes) at_ = 0;
  write_at(file_, blocks_, size, at_);
  KUILT_CHECK(::fdatasync(file_.get()) == 0);
  at_ += size;
}

}  // namespace kuilt::bench
