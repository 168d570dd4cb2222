// admin_http.hpp: a small HTTP server for health, metrics and status (GET), and for what operators
// order (POST).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "kuilt/result.hpp"
#include "kuilt/types.hpp"

namespace kuilt::server {

struct AdminReply {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::string allow = {};  ///< Of a 405: the method that is served there.
};

/// Answers GET on one path; `query` is what follows the "?", as it was sent.
using AdminHandler = std::function<AdminReply(const std::string& query)>;
using AdminHandlers = std::map<std::string, AdminHandler>;  ///< By path: "/healthz".

/// To be called once, on any thread, within AdminLimits::operation_timeout.
using AdminDone = std::function<void(AdminReply)>;
/// Carries out POST on one path. No page in a browser gets here: whatever says where it comes from
/// (Origin, Sec-Fetch-Site) is refused.
using AdminOperation = std::function<void(const std::string& query, AdminDone done)>;
using AdminOperations = std::map<std::string, AdminOperation>;  ///< By path: "/transfer".

struct AdminLimits {
  std::size_t connections_max = 64;
  Duration request_timeout = std::chrono::seconds(10);    ///< Also for a connection that idles.
  Duration operation_timeout = std::chrono::seconds(10);  ///< Of an operation's answer.
  std::vector<std::string> allowed_hosts;  ///< For Host; loopback names and our own always pass.
};

/// Threads: handlers run on `executor`, which is a strand or a single-threaded context. Calls from
/// any thread.
/// Ownership: what the handlers use must outlive the executor's run, not only this object.
/// Failure: whatever a peer sends costs it its connection at most.
class AdminHttp {
 public:
  /// Errors: address_in_use, invalid_argument, io.
  static Result<std::unique_ptr<AdminHttp>> open(boost::asio::any_io_executor executor,
                                                 const std::string& address, AdminHandlers handlers,
                                                 AdminLimits limits = {},
                                                 AdminOperations operations = {});
  ~AdminHttp();  ///< Stops.
  AdminHttp(const AdminHttp&) = delete;
  AdminHttp& operator=(const AdminHttp&) = delete;

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& address() const { return address_; }  ///< "host:port".
  /// Closes everything, as soon as the executor gets to it.
  void stop();

 private:
  class Hub;
  class Connection;
  class Gate;
  AdminHttp(std::shared_ptr<Hub> hub, std::string address, std::uint16_t port);

  std::shared_ptr<Hub> hub_;
  std::string address_;
  std::uint16_t port_ = 0;
};

}  // namespace kuilt::server
