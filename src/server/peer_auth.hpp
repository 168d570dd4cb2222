// peer_auth.hpp: two servers prove to each other that they know the cluster's secret.
//
//   initiator -> acceptor   PeerHello, with a nonce
//   acceptor -> initiator   PeerHello, with a nonce of its own and its proof
//   initiator -> acceptor   PeerProof
//
// A proof is an HMAC over both hellos, the version and the role of who sends it. The nonces keep an
// old proof from being sent again, the role keeps it from being sent back, and the ids in the
// hellos keep it from being passed on in the name of another. The secret itself is never sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kuilt/result.hpp"
#include "server/secret.hpp"
#include "wire/peer_messages.hpp"

namespace kuilt::server {

/// The side that dialed. One for each link.
///
/// Threads: none of its own; one caller at a time.
class PeerInitiator {
 public:
  /// `self` without nonce and proof; those are made here. Pre: `secret` is one.
  PeerInitiator(const Secret& secret, wire::PeerHello self);

  /// To be sent first.
  [[nodiscard]] const wire::PeerHello& hello() const { return self_; }
  /// Our proof, to be sent. From here on the acceptor is what it says it is; whether that node is
  /// welcome (unknown_node) is for the caller.
  /// Errors: version_unsupported, wrong_cluster, not_allowed (it is this very server),
  /// wrong_secret, hello_expected (a second hello).
  Result<wire::PeerProof> on_hello(const wire::PeerHello& acceptor);
  /// Pre: on_hello succeeded.
  [[nodiscard]] std::uint32_t version() const { return *version_; }

 private:
  Secret secret_;
  wire::PeerHello self_;
  bool heard_ = false;
  std::optional<std::uint32_t> version_;
};

/// The side that listens. One for each link.
///
/// Threads: none of its own; one caller at a time.
class PeerAcceptor {
 public:
  PeerAcceptor(const Secret& secret, wire::PeerHello self);

  /// Our hello with our proof, to be sent. The initiator has proven nothing yet.
  /// Errors: version_unsupported, wrong_cluster, not_allowed (it is this very server),
  /// hello_expected (a second hello).
  Result<wire::PeerHello> on_hello(const wire::PeerHello& initiator);
  /// Success: the initiator is what its hello says.
  /// Errors: wrong_secret, hello_expected (no hello before, or a second proof).
  Status on_proof(const wire::PeerProof& proof);
  /// Pre: on_hello succeeded.
  [[nodiscard]] std::uint32_t version() const { return *version_; }

 private:
  Secret secret_;
  wire::PeerHello self_;
  bool heard_ = false;
  std::optional<std::uint32_t> version_;
  std::string other_name_;
  std::optional<wire::Mac> expected_;  // Set while the proof is awaited.
};

}  // namespace kuilt::server
