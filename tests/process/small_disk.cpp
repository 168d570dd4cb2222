#include "tests/process/small_disk.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace kuilt::process_tests {
namespace {

void expect(bool succeeded, const std::string& doing) {
  if (succeeded) return;
  throw std::runtime_error(doing + ": " + std::generic_category().message(errno) +
                           " (mounts need root)");
}

}  // namespace

SmallDisk::SmallDisk(std::string path, std::size_t bytes)
    : path_(std::move(path)),
      cwd_(std::filesystem::current_path().string()),
      home_(::open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC)) {
  std::filesystem::create_directories(path_);
  expect(home_ >= 0 && ::unshare(CLONE_NEWNS) == 0, "make a mount namespace");
  expect(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "make mounts private");
  const std::string size = "size=" + std::to_string(bytes);
  expect(::mount("kuilt", path_.c_str(), "tmpfs", 0, size.c_str()) == 0, "mount " + path_);
}

SmallDisk::~SmallDisk() {
  ::umount2(path_.c_str(), MNT_DETACH);
  const bool is_back = ::setns(home_, CLONE_NEWNS) == 0 && ::chdir(cwd_.c_str()) == 0;
  ::close(home_);
  if (!is_back) std::fprintf(stderr, "the mount namespace of %s stays\n", path_.c_str());
}

void SmallDisk::fill() const {
  struct statvfs info{};
  expect(::statvfs(path_.c_str(), &info) == 0, "look at " + path_);
  resize((info.f_blocks - info.f_bfree) * info.f_frsize);
}

void SmallDisk::resize(std::size_t bytes) const {
  const std::string size = "size=" + std::to_string(bytes);
  expect(::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT, size.c_str()) == 0,
         "make " + path_ + " " + std::to_string(bytes) + " bytes large");
}

void SmallDisk::protect() const {
  expect(::mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0,
         "write-protect " + path_);
}

}  // namespace kuilt::process_tests
