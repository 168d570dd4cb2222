// hang_disk.cpp: loaded into a server before libc (LD_PRELOAD). While the file that KUILT_TEST_HANG
// names is there, no sync of a file returns: a disk that hangs.
#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>

extern "C" int fdatasync(int file) {
  using Sync = int (*)(int);
  static const auto real = reinterpret_cast<Sync>(dlsym(RTLD_NEXT, "fdatasync"));
  static const char* const while_there = std::getenv("KUILT_TEST_HANG");
  while (while_there != nullptr && access(while_there, F_OK) == 0) usleep(2000);
  return real(file);
}
