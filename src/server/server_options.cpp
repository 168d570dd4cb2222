// Checks of what a server is started with: every complaint names the value, the limit, the way out.
#include <set>
#include <string>

#include "kuilt/server.hpp"
#include "server/raft_options.hpp"

namespace kuilt {
namespace {

Error invalid(const std::string& what) { return Error(ErrorCode::invalid_argument, what); }

std::string milliseconds(Duration value) {
  return std::to_string(value / std::chrono::milliseconds(1)) + " ms";
}

bool is_loopback(const std::string& address) {
  return address.starts_with("127.") || address.starts_with("localhost:") ||
         address.starts_with("[::1]:");
}

bool is_wildcard(const std::string& address) {
  return address.starts_with("0.0.0.0:") || address.starts_with("[::]:");
}

Status check_address(const char* option, const std::string& address) {
  const auto colon = address.rfind(':');
  const bool has_port = colon != std::string::npos && colon + 1 < address.size() &&
                        address.find_first_not_of("0123456789", colon + 1) == std::string::npos;
  if (has_port && colon > 0 && std::stoul("0" + address.substr(colon + 1, 6)) <= 65535)
    return Done{};
  return invalid(std::string(option) + ": \"" + address +
                 "\" is not HOST:PORT with a port up to 65535");
}

Status check_client_address(const ServerOptions& options, const std::string& address) {
  if (Status status = check_address("--listen", address); !status) return status;
  if (is_wildcard(address) && options.advertise.empty()) {
    return invalid(
        "--listen " + address +
        ": clients can't be sent to a wildcard address; give --advertise ws://HOST:PORT");
  }
  if (!is_loopback(address) && !options.insecure_clients) {
    return invalid(
        "--listen " + address +
        " is not loopback, and clients prove nothing in this version: anyone who reaches "
        "it may propose. Give --insecure-clients if that is what you want");
  }
  return Done{};
}

Status check_addresses(const ServerOptions& options) {
  if (Status status = check_client_address(options, options.listen); !status) return status;
  for (const std::string& also : options.listen_also) {
    if (Status status = check_client_address(options, also); !status) return status;
  }
  if (Status status = check_address("--peer-listen", options.peer_listen); !status) return status;
  if (!options.peer_advertise.empty()) {
    if (Status status = check_address("--peer-advertise", options.peer_advertise); !status) {
      return status;
    }
  }
  if (!options.admin_listen.empty()) {
    if (Status status = check_address("--admin-listen", options.admin_listen); !status)
      return status;
  }
  if (!options.advertise.empty() && !options.advertise.starts_with("ws://")) {
    return invalid("--advertise: \"" + options.advertise + "\" is not ws://HOST:PORT");
  }
  return Done{};
}

Status check_joining(const ServerOptions& options) {
  if (options.join.empty()) return Done{};
  for (const std::string& address : options.join) {
    if (Status status = check_address("--join", address); !status) return status;
  }
  if (options.secret_file.empty()) {
    return invalid(
        "--join: servers prove themselves to each other: copy the cluster's secret here, and give "
        "--secret-file FILE");
  }
  if (options.peer_advertise.empty() && is_wildcard(options.peer_listen)) {
    return invalid("--peer-listen " + options.peer_listen +
                   ": the other servers can't reach a wildcard address; give --peer-advertise "
                   "HOST:PORT");
  }
  return Done{};
}

Status check_founding(const ServerOptions& options) {
  std::set<std::string> names;
  for (const FoundingMember& member : options.found) {
    if (!names.insert(member.name).second) {
      return invalid("--found names \"" + member.name + "\" twice");
    }
  }
  if (options.found.size() > 7) {
    return invalid("--found lists " + std::to_string(options.found.size()) +
                   " servers, the limit is 7: further voters only slow the cluster down");
  }
  if (options.found.empty()) return check_joining(options);
  if (!options.join.empty()) {
    return invalid(
        "--found and --join exclude each other: a cluster is founded once, by the "
        "servers of one list, and every other server joins it");
  }
  if (!names.contains(options.name)) {
    return invalid("--found does not list this server, --name " + options.name);
  }
  if (options.found.size() > 1 && options.secret_file.empty()) {
    return invalid(
        "--found lists " + std::to_string(options.found.size()) +
        " servers, which prove themselves to each other: make a secret with `kuilt secret "
        "new FILE`, copy it to all, and give --secret-file FILE");
  }
  return Done{};
}

Status check_timing(const ServerOptions& options) {
  if (const auto complaint = raft::complaint_about(server::raft_options_of(options))) {
    return invalid(*complaint);
  }
  if (options.client_heartbeat_interval < std::chrono::milliseconds(10) ||
      options.client_heartbeat_interval > std::chrono::seconds(10)) {
    return invalid("the client heartbeat of " + milliseconds(options.client_heartbeat_interval) +
                   " is outside 10 ms to 10 s");
  }
  return Done{};
}

}  // namespace

Status complaint_about(const ServerOptions& options) {
  if (options.name.empty() || options.name.size() > 64 ||
      options.name.find_first_of("=, \t\n") != std::string::npos) {
    return invalid("--name: \"" + options.name +
                   "\" is empty, over 64 bytes, or has '=', ',' or a blank");
  }
  if (options.clients_max == 0) return invalid("--clients-max is 0; a server needs room for one");
  if (options.shards > 64) {
    return invalid("--shards is " + std::to_string(options.shards) + ", the limit is 64");
  }
  if (options.segment_bytes < (std::uint64_t{4} << 20)) {
    return invalid("segments of " + std::to_string(options.segment_bytes) +
                   " bytes are below the limit of 4 MiB: a batch would not fit");
  }
  if (Status status = check_addresses(options); !status) return status;
  if (Status status = check_founding(options); !status) return status;
  return check_timing(options);
}

}  // namespace kuilt
