#include "cli/admin_status.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

#include "cli/http_get.hpp"

namespace kuilt::cli {

Result<AdminStatus> ask_status(const std::string& address) {
  constexpr auto patience = std::chrono::seconds(2);
  auto body = http_get(address, "/status", patience);
  if (!body) return std::move(body).error();
  const auto row = nlohmann::json::parse(*body, nullptr, false);
  if (!row.is_object()) return Error(ErrorCode::bad_frame, address + " answers no JSON object");
  const auto text = [&row](const char* key) {
    const auto found = row.find(key);
    return found != row.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const auto number = [&row](const char* key) {
    const auto found = row.find(key);
    return found != row.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
  };
  return AdminStatus{.name = text("name"),
                     .id = text("id"),
                     .role = text("role"),
                     .leader = text("leader"),
                     .term = number("term"),
                     .commit = number("commit"),
                     .applied = row.contains("applied") && row["applied"].is_number_unsigned()
                                    ? std::optional(number("applied"))
                                    : std::nullopt,
                     .last = number("last"),
                     .log_bytes = number("log_bytes"),
                     .disk_free_bytes = number("disk_free_bytes"),
                     .clients = number("clients"),
                     .voters = number("voters"),
                     .members = number("members"),
                     .peers_linked = number("peers_linked"),
                     .disk_stalled = row.value("disk_stalled", nlohmann::json(false)) == true,
                     .json = body->substr(0, body->find('\n'))};
}

}  // namespace kuilt::cli
