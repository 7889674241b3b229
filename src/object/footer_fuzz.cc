// Fuzzes parse_footer, parse_trailer and verify_block. A random footer hardly ever has the right CRC, so the input is also
// tried with head and CRC repaired: what passes then must encode back to the very same bytes.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "object/layout.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weir;
  const bytes::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const object::Identity identity{};
  constexpr std::uint64_t position = 1U << 20U;
  (void)object::parse_footer(input, position, identity);
  if (size >= object::footer_trailer_bytes) (void)object::parse_trailer(input.first(object::footer_trailer_bytes));
  object::BlockRef ref{.position = 64, .payload_bytes = static_cast<std::uint32_t>(size)};
  if (object::verify_block(input, identity, {}, ref)) std::abort();

  const object::Footer empty{.identity = identity};
  std::vector<std::byte> repaired = object::layout::encode_footer(empty, position);
  repaired.resize(object::layout::footer_head_bytes - 4);  // without its count and CRC
  repaired.insert(repaired.end(), input.begin(), input.end());
  std::byte crc[4];
  bytes::store_le(crc, bytes::crc32c(repaired));
  repaired.insert(repaired.end(), crc, crc + sizeof crc);
  const auto parsed = object::parse_footer(repaired, position, identity);
  if (parsed && object::layout::encode_footer(*parsed, position) != repaired) std::abort();
  return 0;
}
