// child.hpp: a process of our own for the other end of a bare loop, as servers are processes too.
#pragma once

#include <sys/types.h>

#include <functional>

namespace kuilt::bench {

/// Runs a function in a child process, which dies with this object or with the thread that made it.
/// Pre: the process has one thread.
class Child {
 public:
  explicit Child(const std::function<void()>& body);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) = delete;
  ~Child();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

}  // namespace kuilt::bench
