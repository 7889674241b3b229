#include <algorithm>
#include <cstdint>

#include "base/ensure.h"
#include "bytes/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir::bytes;
  if (size < 1) return 0;
  constexpr std::size_t output_bytes_max = std::size_t{1} << 20U;
  const auto codec = static_cast<Codec>(1 + data[0] % 4);
  const auto plain = decompress(codec, Bytes(reinterpret_cast<const std::byte*>(data) + 1, size - 1), output_bytes_max);
  if (!plain) return 0;
  ENSURE(plain->size() <= output_bytes_max, "{} bytes", plain->size());
  const auto packed = compress(codec, plain->view());
  ENSURE(packed.has_value(), "what was decompressed cannot be compressed");
  const auto again = decompress(codec, packed->view(), output_bytes_max);
  ENSURE(plain->empty() ||
             (again && std::equal(again->view().begin(), again->view().end(), plain->view().begin(), plain->view().end())),
         "the second round differs");
  return 0;
}
