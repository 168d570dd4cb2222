// links.hpp: how many links a listener has, in all and by address.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace kuilt::transport {

class LinkCount;

/// One counted link. It counts until it is destroyed.
class LinkTicket {
 public:
  LinkTicket() = default;
  LinkTicket(LinkTicket&& other) noexcept;
  LinkTicket& operator=(LinkTicket&& other) noexcept;
  LinkTicket(const LinkTicket&) = delete;
  LinkTicket& operator=(const LinkTicket&) = delete;
  ~LinkTicket();

  /// Counted, but over a limit: good for hearing a refusal, and for nothing else.
  [[nodiscard]] bool is_over_limit() const { return over_limit_; }

 private:
  friend class LinkCount;
  LinkTicket(std::shared_ptr<LinkCount> count, std::string address, bool over_limit);
  void give_back();

  std::shared_ptr<LinkCount> count_;
  std::string address_;
  bool over_limit_ = false;
};

/// Threads: any. The links of one listener live on many shards.
class LinkCount : public std::enable_shared_from_this<LinkCount> {
 public:
  LinkCount(std::size_t links_max, std::size_t links_per_address_max)
      : links_max_(links_max), links_per_address_max_(links_per_address_max) {}

  /// Nothing, when even those who only wait for their refusal are too many.
  [[nodiscard]] std::optional<LinkTicket> enter(const std::string& address);
  /// Links within the limits.
  [[nodiscard]] std::size_t links() const;

 private:
  friend class LinkTicket;
  void leave(const std::string& address, bool over_limit);

  // Refusals cost a descriptor each for as long as the peer takes to send its request.
  static constexpr std::size_t refusals_at_once_max = 128;

  const std::size_t links_max_;
  const std::size_t links_per_address_max_;
  mutable std::mutex mutex_;
  std::size_t links_ = 0;
  std::size_t refusals_ = 0;
  std::map<std::string, std::size_t> by_address_;
};

}  // namespace kuilt::transport
