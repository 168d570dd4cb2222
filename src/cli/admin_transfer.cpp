#include "cli/admin_transfer.hpp"

#include <thread>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/admin_leader.hpp"

namespace kuilt::cli {
namespace {

using Clock = std::chrono::steady_clock;

Result<std::string> order_transfer(const std::string& address, const std::string& target) {
  const std::string query = target.empty() ? "" : "?to=" + percent_encoded(target);
  const auto answer = give_order(address, "/transfer" + query);
  if (!answer) return answer.error();
  const auto body = nlohmann::json::parse(*answer, nullptr, false);
  if (body.contains("leader") && body["leader"].is_string()) {
    return body["leader"].get<std::string>();
  }
  return Error(ErrorCode::bad_frame, Effect::unknown,
               address + "/transfer names no leader: " + *answer);
}

}  // namespace

Result<Transferred> transfer_lead(const std::vector<std::string>& addresses,
                                  const std::string& target, std::chrono::milliseconds patience) {
  constexpr auto rest = std::chrono::milliseconds(50);
  for (const auto deadline = Clock::now() + patience;; std::this_thread::sleep_for(rest)) {
    const auto leading = find_leader(addresses);
    if (!leading && leading.error().code() == ErrorCode::not_leader) return leading.error();
    auto leader = leading ? order_transfer(leading->address, target) : leading.error();
    if (leader) return Transferred{*std::move(leader), leading->name};
    const ErrorCode code = leader.error().code();
    const bool may_pass = code == ErrorCode::no_leader || code == ErrorCode::not_leader;
    if (!may_pass || Clock::now() >= deadline) return std::move(leader).error();
  }
}

}  // namespace kuilt::cli
