#include "server/admin.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

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
  if (node.members().standing() != Standing::member) {
    return plain(503, "not ready: the server is no member of the cluster yet\n");
  }
  return plain(503, "not ready: no leader is known, or the server drains\n");
}

/// What "%62" stands for. Nothing, if the text is cut short or no number follows a "%".
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(1)) {
    if (text.front() != '%') {
      out += text.front();
      continue;
    }
    unsigned char octet = 0;
    if (text.size() < 3) return std::nullopt;
    const auto read = std::from_chars(text.data() + 1, text.data() + 3, octet, 16);
    if (read.ec != std::errc() || read.ptr != text.data() + 3) return std::nullopt;
    out += static_cast<char>(octet);
    text.remove_prefix(2);
  }
  return out;
}

using Pairs = std::vector<std::pair<std::string_view, std::string>>;

/// The parts of "key=value&key=value", the values decoded. Nothing, if it is not of that form.
std::optional<Pairs> pairs_in(std::string_view query) {
  Pairs pairs;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const std::size_t equals = part.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    auto value = percent_decoded(part.substr(equals + 1));
    if (!value) return std::nullopt;
    pairs.emplace_back(part.substr(0, equals), *std::move(value));
  }
  return pairs;
}

/// The NAME of "to=NAME"; empty without a query. Nothing, if it is another one.
std::optional<std::string> target_in(std::string_view query) {
  const auto pairs = pairs_in(query);
  if (!pairs || pairs->size() > 1) return std::nullopt;
  if (pairs->empty()) return "";
  if (pairs->front().first != "to") return std::nullopt;
  return pairs->front().second;
}

/// The change that "promote=b&remove=c" orders. Nothing, if it is another query.
std::optional<MembershipChange> change_in(std::string_view query) {
  const auto pairs = pairs_in(query);
  if (!pairs || pairs->empty()) return std::nullopt;
  MembershipChange change;
  for (const auto& [key, name] : *pairs) {
    std::vector<std::string>* names = nullptr;
    if (key == "promote") names = &change.promote;
    if (key == "demote") names = &change.demote;
    if (key == "remove") names = &change.remove;
    if (names == nullptr) return std::nullopt;
    names->push_back(name);
  }
  return change;
}

nlohmann::json body_of(const Error& error) {
  return {{"error", std::string(name_of(error.code()))},
          {"message", error.message()},
          {"may_have_happened", error.effect() == Effect::unknown}};
}

AdminReply told(const Result<std::string>& leader) {
  const nlohmann::json body =
      leader ? nlohmann::json{{"leader", *leader}} : body_of(leader.error());
  return {leader ? 200U : 409U, "application/json", body.dump() + "\n"};
}

AdminReply told_of_change(const Status& judged) {
  const nlohmann::json body = judged ? nlohmann::json{{"begun", true}} : body_of(judged.error());
  return {judged ? 200U : 409U, "application/json", body.dump() + "\n"};
}

void transfer(Node& node, const std::string& query, const AdminDone& done) {
  const auto name = target_in(query);
  if (!name) return done(plain(400, "The query is to=NAME, percent-encoded, or nothing.\n"));
  const auto target = member_named(*name, *node.members().now());
  if (!target) return done(told(target.error()));
  node.transfer_leadership(*target,
                           [done](const Result<std::string>& leader) { done(told(leader)); });
}

void change_members(Node& node, const std::string& query, const AdminDone& done) {
  const auto change = change_in(query);
  if (!change) {
    return done(plain(400,
                      "The query is promote=NAME, demote=NAME or remove=NAME, percent-encoded, or "
                      "several of them with & in between.\n"));
  }
  const auto begun =
      node.begin_change(*change, [done](const Status& judged) { done(told_of_change(judged)); });
  if (!begun) done(told_of_change(begun.error()));
}

AdminReply members(const Node& node) {
  const MembershipStatus status = node.membership();
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const MemberStatus& member : status.members) {
    const nlohmann::ordered_json behind =
        member.behind ? nlohmann::ordered_json(*member.behind) : nullptr;
    rows.push_back({{"name", member.name},
                    {"id", member.id.text()},
                    {"standing", member.standing},
                    {"peer", member.peer_address},
                    {"client", member.client_url},
                    {"behind", behind}});
  }
  const nlohmann::ordered_json body = {
      {"leader", node.status().leader}, {"stage", status.stage}, {"members", std::move(rows)}};
  return {200, "application/json", body.dump() + "\n"};
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
      {"/members", [&node](const std::string&) { return members(node); }},
  };
  const AdminOperations operations = {
      {"/transfer",
       [&node](const std::string& query, const AdminDone& done) { transfer(node, query, done); }},
      {"/change-members", [&node](const std::string& query,
                                  const AdminDone& done) { change_members(node, query, done); }},
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
