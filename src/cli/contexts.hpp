// contexts.hpp: clusters by name, so that people need not type their addresses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kuilt/result.hpp"

namespace kuilt::cli {

/// One cluster. A file of two lines below $XDG_CONFIG_HOME/kuilt/contexts (or ~/.config/…).
struct Context {
  std::string name;
  std::vector<std::string> endpoints;  ///< "ws://host:port" each.
  std::vector<std::string> admin;      ///< "host:port" each; may be empty.
};

/// Threads: none. Two processes may write at the same time: each file is replaced as a whole.
/// Failure: reading never fails, for a context is a convenience: what can't be read is not there.
class Contexts {
 public:
  Contexts();

  /// By name.
  [[nodiscard]] std::vector<Context> all() const;
  [[nodiscard]] std::optional<Context> find(const std::string& name) const;
  /// The name of the one in use; empty if none is, or it was removed.
  [[nodiscard]] std::string in_use() const;
  /// What commands go by where neither flag nor environment says anything.
  [[nodiscard]] std::optional<Context> current() const { return find(in_use()); }

  /// Errors: usage (a name that is no file name, an endpoint that is no ws:// address), io.
  Status set(const Context& context) const;
  /// Errors: usage (there is none of that name; the message lists those there are), io.
  Status use(const std::string& name) const;
  Status remove(const std::string& name) const;

 private:
  [[nodiscard]] std::string file_of(const std::string& name) const;
  [[nodiscard]] std::string file_in_use() const { return folder_ + "/context-in-use"; }
  [[nodiscard]] Status check_known(const std::string& name) const;

  std::string folder_;
};

}  // namespace kuilt::cli
