#include "server/peer_auth.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "kuilt/detail/check.hpp"

namespace kuilt::server {

namespace {

wire::Mac mac_of(const Secret& secret, BytesView input) {
  wire::Mac mac{};
  unsigned size = 0;
  const unsigned char* made =
      HMAC(EVP_sha256(), secret.bytes().data(), static_cast<int>(Secret::size),
           reinterpret_cast<const unsigned char*>(input.data()), input.size(),
           reinterpret_cast<unsigned char*>(mac.data()), &size);
  KUILT_CHECK(made != nullptr && size == mac.size());
  return mac;
}

// Takes the same time wherever they differ, so that nobody can find a proof byte by byte.
bool are_equal(const wire::Mac& a, const wire::Mac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

wire::PeerHello with_nonce(wire::PeerHello self) {
  draw_random(self.nonce.data(), self.nonce.size());
  self.proof.reset();
  return self;
}

Result<std::uint32_t> common_version(const wire::PeerHello& self, const wire::PeerHello& other) {
  const std::uint32_t low = std::max(self.version_min, other.version_min);
  const std::uint32_t high = std::min(self.version_max, other.version_max);
  if (low <= high) return high;
  const auto range = [](const wire::PeerHello& hello) {
    return std::to_string(hello.version_min) + " to " + std::to_string(hello.version_max);
  };
  return Error(ErrorCode::version_unsupported, "the other server speaks versions " + range(other) +
                                                   " of the peer protocol, this " + "one speaks " +
                                                   range(self));
}

template <class AnyId>
bool differ(const AnyId& a,
            const AnyId& b) {  // None is a server that founding has yet to give one.
  return !a.is_none() && !b.is_none() && a != b;
}

Status same_cluster(const wire::PeerHello& self, const wire::PeerHello& other) {
  if (differ(self.cluster, other.cluster)) {
    return Error(ErrorCode::wrong_cluster, "the other server is of cluster " +
                                               other.cluster.text() + ", this one of " +
                                               self.cluster.text());
  }
  if (differ(self.history, other.history)) {
    return Error(ErrorCode::wrong_cluster,
                 "the other server is of history " + other.history.text() + ", this one of " +
                     self.history.text() + ": one of them was recovered or restored since");
  }
  if (self.node == other.node) {
    return Error(ErrorCode::not_allowed,
                 "the other server has this one's node id " + self.node.text() +
                     ": it is this server itself, or runs on a copy of its data directory");
  }
  return Done{};
}

Status knows_cuts(const wire::PeerHello& other) {
  if ((other.features & wire::peer_feature_cuts) != 0) return Done{};
  return Error(ErrorCode::version_unsupported,
               "the server that calls itself \"" + other.name +
                   "\" does not know cuts for snapshots, which the log of this cluster may hold: "
                   "run this server's version there too");
}

Result<std::uint32_t> greeting(const wire::PeerHello& self, const wire::PeerHello& other) {
  auto version = common_version(self, other);
  if (!version) return version;
  if (const Status knows = knows_cuts(other); !knows) return knows.error();
  const Status same = same_cluster(self, other);
  if (!same) return same.error();
  return version;
}

Error second_hello() { return Error(ErrorCode::hello_expected, "a second hello on one link"); }

Error wrong_secret(const std::string& name) {
  return Error(ErrorCode::wrong_secret, "the server that calls itself \"" + name +
                                            "\" could not prove that it knows the secret");
}

}  // namespace

PeerInitiator::PeerInitiator(const Secret& secret, wire::PeerHello self)
    : secret_(secret), self_(with_nonce(std::move(self))) {
  KUILT_CHECK(!secret_.is_none());
}

Result<wire::PeerProof> PeerInitiator::on_hello(const wire::PeerHello& acceptor) {
  if (std::exchange(heard_, true)) return second_hello();
  const auto version = greeting(self_, acceptor);
  if (!version) return version.error();
  const auto expected = mac_of(secret_, wire::proof_input(true, self_, acceptor, *version));
  if (!acceptor.proof || !are_equal(*acceptor.proof, expected)) return wrong_secret(acceptor.name);
  version_ = *version;
  return wire::PeerProof{mac_of(secret_, wire::proof_input(false, self_, acceptor, *version))};
}

PeerAcceptor::PeerAcceptor(const Secret& secret, wire::PeerHello self)
    : secret_(secret), self_(with_nonce(std::move(self))) {
  KUILT_CHECK(!secret_.is_none());
}

Result<wire::PeerHello> PeerAcceptor::on_hello(const wire::PeerHello& initiator) {
  if (std::exchange(heard_, true)) return second_hello();
  const auto version = greeting(self_, initiator);
  if (!version) return version.error();
  version_ = *version;
  other_name_ = initiator.name;
  wire::PeerHello answer = self_;
  answer.proof = mac_of(secret_, wire::proof_input(true, initiator, self_, *version));
  expected_ = mac_of(secret_, wire::proof_input(false, initiator, self_, *version));
  return answer;
}

Status PeerAcceptor::on_proof(const wire::PeerProof& proof) {
  const auto expected = std::exchange(expected_, std::nullopt);
  if (!expected) {
    return Error(ErrorCode::hello_expected, "a proof without a hello before it, or a second one");
  }
  if (!are_equal(proof.proof, *expected)) return wrong_secret(other_name_);
  return Done{};
}

}  // namespace kuilt::server
