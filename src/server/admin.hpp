// admin.hpp: the admin listener of one server: health, metrics, status.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "kuilt/result.hpp"
#include "server/admin_http.hpp"
#include "server/node.hpp"

namespace kuilt::server {

/// `/healthz` (the process lives and its disk has not failed), `/readyz` (that, a leader
/// is known, and it does not drain), `/metrics`, `/status`; POST `/transfer?to=NAME` hands over the
/// lead.
///
/// Threads: one of its own. Ownership: borrows the node, which outlives it.
class Admin {
 public:
  /// Errors: address_in_use, invalid_argument, io.
  static Result<std::unique_ptr<Admin>> open(const std::string& address, Node& node);
  ~Admin();

 private:
  Admin() : work_(loop_.get_executor()) {}

  boost::asio::io_context loop_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::unique_ptr<AdminHttp> http_;
  std::thread thread_;
};

}  // namespace kuilt::server
