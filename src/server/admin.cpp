#include "server/admin.hpp"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

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

/// The NAME of "to=NAME", percent-decoded; empty without a query. Nothing, if it is another one.
std::optional<std::string> target_in(std::string_view query) {
  constexpr std::string_view key = "to=";
  if (query.empty()) return "";
  if (!query.starts_with(key) || query.find('&') != std::string_view::npos) return std::nullopt;
  std::string name;
  for (query.remove_prefix(key.size()); !query.empty(); query.remove_prefix(1)) {
    if (query.front() != '%') {
      name += query.front();
      continue;
    }
    unsigned char octet = 0;
    if (query.size() < 3) return std::nullopt;
    const auto read = std::from_chars(query.data() + 1, query.data() + 3, octet, 16);
    if (read.ec != std::errc() || read.ptr != query.data() + 3) return std::nullopt;
    name += static_cast<char>(octet);
    query.remove_prefix(2);
  }
  return name;
}

AdminReply told(const Result<std::string>& leader) {
  nlohmann::json body;
  if (leader) {
    body = {{"leader", *leader}};
  } else {
    const Error& error = leader.error();
    body = {{"error", std::string(name_of(error.code()))},
            {"message", error.message()},
            {"may_have_happened", error.effect() == Effect::unknown}};
  }
  return {leader ? 200U : 409U, "application/json", body.dump() + "\n"};
}

void transfer(Node& node, const std::string& query, const AdminDone& done) {
  const auto name = target_in(query);
  if (!name) return done(plain(400, "The query is to=NAME, percent-encoded, or nothing.\n"));
  const auto target = member_named(*name, node.facts().configuration);
  if (!target) return done(told(target.error()));
  node.transfer_leadership(*target,
                           [done](const Result<std::string>& leader) { done(told(leader)); });
}

}  // namespace

Result<std::unique_ptr<Admin>> Admin::open(const std::string& address, Node& node) {
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
  const AdminOperations operations = {
      {"/transfer",
       [&node](const std::string& query, const AdminDone& done) { transfer(node, query, done); }},
  };
  auto http = AdminHttp::open(admin->loop_.get_executor(), address, handlers, {}, operations);
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
