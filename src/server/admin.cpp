#include "server/admin.hpp"

#include <utility>

#include "server/metrics.hpp"

namespace kuilt::server {
namespace {

AdminReply plain(unsigned status, std::string body) {
  return {status, "text/plain; charset=utf-8", std::move(body)};
}

AdminReply health(const Node& node) {
  const std::string failure = node.status().failure;
  return failure.empty() ? plain(200, "ok\n") : plain(503, "stopped: " + failure + "\n");
}

AdminReply readiness(const Node& node) {
  if (const AdminReply sick = health(node); sick.status != 200) return sick;
  if (node.is_ready()) return plain(200, "ready\n");
  return plain(503, "not ready: no leader is known, or the server drains\n");
}

}  // namespace

Result<std::unique_ptr<Admin>> Admin::open(const std::string& address, const Node& node) {
  auto admin = std::unique_ptr<Admin>(new Admin());
  const AdminHandlers handlers = {
      {"/healthz", [&node](const std::string&) { return health(node); }},
      {"/readyz", [&node](const std::string&) { return readiness(node); }},
      {"/metrics",
       [&node](const std::string&) {
         return AdminReply{200, "text/plain; version=0.0.4", metrics_text(node)};
       }},
      {"/status",
       [&node](const std::string&) {
         return AdminReply{200, "application/json", status_json(node) + "\n"};
       }},
  };
  auto http = AdminHttp::open(admin->loop_.get_executor(), address, handlers);
  if (!http) return std::move(http).error();
  admin->http_ = *std::move(http);
  admin->thread_ = std::thread([raw = admin.get()] { raw->loop_.run(); });
  return admin;
}

Admin::~Admin() {
  loop_.stop();
  if (thread_.joinable()) thread_.join();
}

}  // namespace kuilt::server
