#include "transport/links.hpp"

#include <utility>

#include "kuilt/detail/check.hpp"

namespace kuilt::transport {

LinkTicket::LinkTicket(std::shared_ptr<LinkCount> count, std::string address, bool over_limit)
    : count_(std::move(count)), address_(std::move(address)), over_limit_(over_limit) {}

LinkTicket::LinkTicket(LinkTicket&& other) noexcept = default;

LinkTicket& LinkTicket::operator=(LinkTicket&& other) noexcept {
  if (this == &other) return *this;
  give_back();
  count_ = std::move(other.count_);
  address_ = std::move(other.address_);
  over_limit_ = other.over_limit_;
  return *this;
}

LinkTicket::~LinkTicket() { give_back(); }

void LinkTicket::give_back() {
  if (const auto count = std::exchange(count_, nullptr)) count->leave(address_, over_limit_);
}

std::optional<LinkTicket> LinkCount::enter(const std::string& address) {
  const std::lock_guard lock(mutex_);
  const auto known = by_address_.find(address);
  const std::size_t from_there = known == by_address_.end() ? 0 : known->second;
  const bool over_limit = links_ >= links_max_ || from_there >= links_per_address_max_;
  if (over_limit && refusals_ >= refusals_at_once_max) return std::nullopt;
  if (over_limit) {
    ++refusals_;
  } else {
    ++links_;
    ++by_address_[address];
  }
  return LinkTicket(shared_from_this(), address, over_limit);
}

void LinkCount::leave(const std::string& address, bool over_limit) {
  const std::lock_guard lock(mutex_);
  if (over_limit) {
    --refusals_;
    return;
  }
  --links_;
  const auto known = by_address_.find(address);
  KUILT_CHECK(known != by_address_.end());
  if (--known->second == 0) by_address_.erase(known);
}

std::size_t LinkCount::links() const {
  const std::lock_guard lock(mutex_);
  return links_;
}

}  // namespace kuilt::transport
