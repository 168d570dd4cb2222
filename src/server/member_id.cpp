#include "server/member_id.hpp"

#include <array>

#include <openssl/evp.h>

#include "server/secret.hpp"

namespace kuilt::server {
namespace {

template <class AnyId>
void put(std::string& to, const AnyId& id) {
  for (const std::uint64_t half : {id.high(), id.low()}) {
    for (int shift = 56; shift >= 0; shift -= 8) to += static_cast<char>(half >> shift & 0xffU);
  }
}

PeerId id_of(const std::array<std::byte, 32>& bytes) {
  std::uint64_t halves[2] = {0, 0};
  for (std::size_t i = 0; i < 16; ++i) {
    halves[i / 8] = halves[i / 8] << 8 | std::to_integer<std::uint64_t>(bytes.at(i));
  }
  return {halves[0], halves[1] | 1U};  // Never none.
}

}  // namespace

PeerId member_id(ClusterId cluster, const std::string& principal, wire::ClientSecret secret) {
  std::array<std::byte, 32> digest{};
  if (secret.is_none()) {
    draw_random(digest.data(), digest.size());
    return id_of(digest);
  }
  // All parts but the last have a fixed size, so that no two inputs read the same.
  std::string input = "kuilt-member-v1";
  put(input, cluster);
  put(input, secret);
  input += principal;
  unsigned size = 0;
  const int made =
      EVP_Digest(input.data(), input.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 EVP_sha256(), nullptr);
  KUILT_CHECK(made == 1 && size == digest.size());
  return id_of(digest);
}

}  // namespace kuilt::server
