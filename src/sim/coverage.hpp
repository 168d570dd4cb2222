// coverage.hpp: what a run exercised. A simulator that never meets a case proves nothing about it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace kuilt::sim {

class Coverage {
 public:
  void count(std::string_view name, std::uint64_t times = 1);
  void add(const Coverage& other);

  [[nodiscard]] const std::map<std::string, std::uint64_t, std::less<>>& totals() const {
    return totals_;
  }
  /// Names of what must have happened over a set of seeds, and never did.
  [[nodiscard]] std::vector<std::string> missing() const;

 private:
  std::map<std::string, std::uint64_t, std::less<>> totals_;
};

}  // namespace kuilt::sim
