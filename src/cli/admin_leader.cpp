#include "cli/admin_leader.hpp"

#include <cctype>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "cli/admin_status.hpp"
#include "cli/command.hpp"
#include "cli/http_get.hpp"

namespace kuilt::cli {

Result<Leading> find_leader(const std::vector<std::string>& addresses) {
  AdminStatus newest;
  std::string address;
  std::string silence;
  bool answered = false;
  for (const std::string& asked : addresses) {
    const auto status = ask_status(asked);
    if (!status) {
      silence = status.error().message();
      continue;
    }
    answered = true;
    if (status->leader.empty() || status->term < newest.term) continue;
    if (status->term > newest.term) address.clear();
    if (status->role == "leader") address = asked;
    newest = *status;
  }
  if (!answered) return Error(ErrorCode::no_server, Effect::none, silence);
  if (newest.leader.empty()) {
    return Error(ErrorCode::no_leader, Effect::none, "no server that answers knows of a leader");
  }
  if (address.empty()) {
    return Error(ErrorCode::not_leader, Effect::none,
                 "server " + newest.leader + " leads, and its admin listener is not among " +
                     joined(addresses) + ": give it with --admin");
  }
  return Leading{newest.leader, address};
}

std::string percent_encoded(const std::string& text) {
  std::string out;
  for (const char each : text) {
    const auto octet = static_cast<unsigned char>(each);
    if (std::isalnum(octet) != 0) {
      out += each;
      continue;
    }
    constexpr auto digits = "0123456789abcdef";
    out += {'%', digits[octet >> 4U], digits[octet & 15U]};
  }
  return out;
}

Result<std::string> give_order(const std::string& address, const std::string& target) {
  // Beyond the bound within which the server answers.
  constexpr auto answer_patience = std::chrono::seconds(15);
  const auto answer = http_post(address, target, answer_patience);
  if (!answer) return answer.error();
  const auto body = nlohmann::json::parse(answer->body, nullptr, false);
  if (answer->status == 200 && body.is_object()) return answer->body;
  const auto text = [&body](const char* key) {
    return body.is_object() && body.contains(key) && body[key].is_string()
               ? body[key].get<std::string>()
               : "";
  };
  const auto code = error_code_of(text("error"));
  if (!code) {
    return Error(
        ErrorCode::bad_frame, Effect::unknown,
        address + target + " answered " + std::to_string(answer->status) + ": " + answer->body);
  }
  const bool in_doubt = body.value("may_have_happened", true);
  return Error(*code, in_doubt ? Effect::unknown : Effect::none, text("message"));
}

}  // namespace kuilt::cli
