#include "tests/process/counted.hpp"

#include <chrono>
#include <sstream>
#include <utility>

#include "cli/http_get.hpp"

namespace kuilt::process_tests {

using namespace std::chrono_literals;

Counted::Counted(std::vector<std::string> admin_addresses)
    : addresses_(std::move(admin_addresses)), thread_([this] {
        while (!stop_) {
          read_all();
          std::this_thread::sleep_for(100ms);
        }
      }) {}

Counted::~Counted() {
  stop_ = true;
  thread_.join();
}

void Counted::read_all() {
  for (std::size_t i = 0; i < addresses_.size(); ++i) {
    const auto text = cli::http_get(addresses_[i], "/metrics", 500ms);
    if (!text) continue;
    std::istringstream lines(*text);
    const std::lock_guard lock(mutex_);
    for (std::string line; std::getline(lines, line);) {
      const auto blank = line.rfind(' ');
      if (line.empty() || line.front() == '#' || blank == std::string::npos) continue;
      const std::string name = line.substr(0, blank);
      const double value = std::stod(line.substr(blank + 1));
      double& last = last_[{i, name}];
      if (value < last) before_[name] += last;  // Another life has begun.
      last = value;
    }
  }
}

double Counted::total(const std::string& metric) {
  read_all();
  const std::lock_guard lock(mutex_);
  double sum = before_[metric];
  for (const auto& [key, value] : last_) {
    if (key.second == metric) sum += value;
  }
  return sum;
}

}  // namespace kuilt::process_tests
