// upgrade.hpp: from an accepted socket to a Seam. Inside the transport only.
#pragma once

#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "transport/links.hpp"
#include "transport/seam.hpp"

namespace kuilt::transport {

/// A connection that has not become a Seam yet.
class Visit {
 public:
  virtual ~Visit() = default;
  /// Ends it soon. Any thread.
  virtual void cancel() = 0;
};

/// What the connections of one listener share.
///
/// Threads: any. The constants need no lock; the visits have one.
class Entrance {
 public:
  Entrance(AcceptRules accept_rules, SeamLimits seam_limits, SeamHandler handler,
           std::vector<std::string> names)
      : rules(std::move(accept_rules)),
        limits(seam_limits),
        on_seam(std::move(handler)),
        hosts(std::move(names)),
        links(std::make_shared<LinkCount>(rules.links_max, rules.links_per_address_max)) {}

  const AcceptRules rules;
  const SeamLimits limits;
  const SeamHandler on_seam;
  const std::vector<std::string> hosts;  ///< As the operator wrote them in what to listen on.
  const std::shared_ptr<LinkCount> links;

  /// False when the listener has stopped: the visitor has to go.
  [[nodiscard]] bool admit_visit(const std::shared_ptr<Visit>& visit);
  /// False when the listener has stopped in the meantime.
  [[nodiscard]] bool end_visit(const std::shared_ptr<Visit>& visit);
  /// No visit becomes a Seam from now on.
  void stop();

 private:
  std::mutex mutex_;
  bool stopped_ = false;
  std::set<std::weak_ptr<Visit>, std::owner_less<>> visits_;
};

/// Reads the HTTP request on `socket`, judges it, and hands a Seam to `entrance->on_seam` or an
/// HTTP refusal to the peer. Runs on the socket's executor, from any thread.
void upgrade(net::ip::tcp::socket socket, LinkTicket ticket, std::shared_ptr<Entrance> entrance);

}  // namespace kuilt::transport
