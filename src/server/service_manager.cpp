#include "server/service_manager.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace kuilt::server {
namespace {

struct Address {
  sockaddr_un bytes{};
  socklen_t size = 0;
};

/// A path, or a name without a file where '@' stands for its leading zero.
std::optional<Address> address_of(std::string_view name) {
  Address address;
  if (name.size() >= sizeof(address.bytes.sun_path)) return std::nullopt;
  address.bytes.sun_family = AF_UNIX;
  name.copy(address.bytes.sun_path, name.size());
  if (name.starts_with('@')) address.bytes.sun_path[0] = '\0';
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return address;
}

Error failed(std::string_view name, int reason) {
  return Error(ErrorCode::io, "tell the service manager at NOTIFY_SOCKET=" + std::string(name) +
                                  ": " + std::strerror(reason));
}

}  // namespace

Status tell_service_manager(const std::string& state) {
  const char* name = std::getenv("NOTIFY_SOCKET");
  if (name == nullptr || *name == '\0') return Done{};
  const std::optional<Address> to = address_of(name);
  if (!to) return failed(name, ENAMETOOLONG);
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return failed(name, errno);
  const ssize_t sent = ::sendto(socket, state.data(), state.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                                reinterpret_cast<const sockaddr*>(&to->bytes), to->size);
  const int reason = errno;
  ::close(socket);
  if (sent < 0) return failed(name, reason);
  return Done{};
}

}  // namespace kuilt::server
