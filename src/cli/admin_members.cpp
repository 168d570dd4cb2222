#include "cli/admin_members.hpp"

#include <chrono>

#include <nlohmann/json.hpp>

#include "cli/admin_leader.hpp"
#include "cli/http_get.hpp"

namespace kuilt::cli {
namespace {

AdminMember member_of(const nlohmann::json& row) {
  const auto text = [&row](const char* key) {
    const auto found = row.find(key);
    return found != row.end() && found->is_string() ? found->get<std::string>() : "";
  };
  AdminMember member{text("name"), text("id"), text("standing"), text("peer"), text("client"), {}};
  const auto behind = row.find("behind");
  if (behind != row.end() && behind->is_number_unsigned()) {
    member.behind = behind->get<std::uint64_t>();
  }
  return member;
}

}  // namespace

Result<AdminMembers> ask_members(const std::vector<std::string>& addresses) {
  constexpr auto patience = std::chrono::seconds(2);
  const auto leading = find_leader(addresses);
  if (!leading) return leading.error();
  const auto body = http_get(leading->address, "/members", patience);
  if (!body) return body.error();
  const auto answer = nlohmann::json::parse(*body, nullptr, false);
  if (!answer.is_object() || !answer.contains("members") || !answer["members"].is_array() ||
      !answer.contains("stage") || !answer["stage"].is_string()) {
    return Error(ErrorCode::bad_frame, leading->address + "/members answers something else");
  }
  AdminMembers all{answer["stage"].get<std::string>(), {}};
  for (const auto& row : answer["members"]) {
    if (row.is_object()) all.members.push_back(member_of(row));
  }
  return all;
}

}  // namespace kuilt::cli
