#include "tests/process/namespaces.hpp"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

namespace kuilt::process_tests {
namespace {

constexpr const char* ip = "/sbin/ip";

void run(const std::string& arguments) {
  const std::string command = std::string(ip) + " " + arguments;
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("failed: " + command + " (network namespaces need root and iproute2)");
  }
}

}  // namespace

Namespaces::Namespaces(std::size_t servers)
    : prefix_("kuilt" + std::to_string(::getpid())), servers_(servers) {
  home_ = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  const std::string hub = prefix_ + "hub";
  run("netns add " + hub);
  run("-n " + hub + " link set lo up");
  for (const std::string bridge : {"clients", "peers"}) {
    run("-n " + hub + " link add " + bridge + " type bridge");
    run("-n " + hub + " link set " + bridge + " up");
  }
  run("-n " + hub + " addr add 10.78.0.100/24 dev clients");
  for (std::size_t i = 0; i < servers_; ++i) {
    const std::string number = std::to_string(i + 1);
    run("netns add " + host(i));
    run("-n " + host(i) + " link set lo up");
    for (const std::string net : {"clients", "peers"}) {
      const std::string far = net + number;
      run("-n " + hub + " link add " + far + " type veth peer name " + net + " netns " + host(i));
      run("-n " + hub + " link set " + far + " master " + net + " up");
      const std::string address = (net == "clients" ? "10.78.0." : "10.77.0.") + number;
      run("-n " + host(i) + " addr add " + address + "/24 dev " + net);
      run("-n " + host(i) + " link set " + net + " up");
    }
    hosts_.push_back({{ip, "netns", "exec", host(i)}, "10.78.0." + number, "10.77.0." + number});
  }
  enter("/run/netns/" + hub);
}

Namespaces::~Namespaces() {
  ::setns(home_, CLONE_NEWNET);
  ::close(home_);
  for (std::size_t i = 0; i < servers_; ++i) {
    if (std::system((std::string(ip) + " netns del " + host(i)).c_str()) != 0) continue;
  }
  if (std::system((std::string(ip) + " netns del " + prefix_ + "hub").c_str()) != 0) return;
}

std::string Namespaces::host(std::size_t server) const {
  return prefix_ + static_cast<char>('a' + server);
}

void Namespaces::enter(const std::string& path) {
  const int there = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const bool entered = there >= 0 && ::setns(there, CLONE_NEWNET) == 0;
  ::close(there);
  if (!entered) throw std::runtime_error("can't enter " + path);
}

void Namespaces::cut_from_peers(std::size_t server, bool cut) {
  run("-n " + prefix_ + "hub link set peers" + std::to_string(server + 1) +
      (cut ? " down" : " up"));
}

}  // namespace kuilt::process_tests
