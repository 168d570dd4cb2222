// One fuzz target: KUILT_FUZZ_BODY names which of bodies.hpp it runs.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/bodies.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const kuilt::BytesView input(reinterpret_cast<const std::byte*>(data), size);
  kuilt::wire::fuzz::KUILT_FUZZ_BODY(kuilt::Bytes::copy_of(input));
  return 0;
}
