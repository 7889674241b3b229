// Fuzzes parse_leaf and parse_root. A random page hardly ever has the right head and CRC, so both are put around the input: what
// passes then must encode back to the very same bytes.
#include <cstdlib>
#include <vector>

#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "object/manifest.h"

namespace {

using namespace weir;

constexpr std::size_t page_head_bytes = 4 + 4 + 16 + 16 + 4 + 16 + 8;

std::vector<std::byte> repaired(std::vector<std::byte> like, bytes::Bytes input) {
  like.resize(page_head_bytes);
  like.insert(like.end(), input.begin(), input.end());
  std::byte crc[4];
  bytes::store_le(crc, bytes::crc32c(like));
  like.insert(like.end(), crc, crc + sizeof crc);
  return like;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bytes::Bytes input(reinterpret_cast<const std::byte*>(data), size);
  const object::ManifestIdentity identity{};
  const model::ObjectId page_id{};
  (void)object::parse_root(input, {.size_bytes = static_cast<std::uint32_t>(size)}, identity);

  const std::vector<std::byte> root = repaired(object::encode_root({}, identity, page_id, 0), input);
  const std::uint32_t root_crc = bytes::load_le<std::uint32_t>(root.data() + root.size() - 4);
  const auto parsed =
      object::parse_root(root, {.size_bytes = static_cast<std::uint32_t>(root.size()), .crc = root_crc}, identity);
  if (parsed && object::encode_root(*parsed, identity, page_id, 0) != root) std::abort();

  const std::vector<std::byte> page = repaired(object::encode_leaf({}, identity, page_id, 0), input);
  if (size < 4) return 0;
  // What the reference states is taken from the input as far as the parser would need it.
  object::LeafRef ref{.size_bytes = static_cast<std::uint32_t>(page.size()),
                      .crc = bytes::load_le<std::uint32_t>(page.data() + page.size() - 4),
                      .entry_count = bytes::load_le<std::uint32_t>(input.data())};
  constexpr std::size_t first_base = 4 + 48 + 8 + 8 + 4 + 4;  // count, name, size, footer place
  if (size >= first_base + 40) {
    ref.base_offset = model::Offset(bytes::load_le<std::int64_t>(input.data() + first_base));
    ref.end_offset = model::Offset(bytes::load_le<std::int64_t>(input.data() + first_base + 8));
    ref.payload_bytes = bytes::load_le<std::uint64_t>(input.data() + first_base + 16);
    ref.max_timestamp = bytes::load_le<std::int64_t>(input.data() + first_base + 24);
  }
  const auto leaf = object::parse_leaf(page, ref, identity);
  if (leaf && object::encode_leaf(*leaf, identity, page_id, 0) != page) std::abort();
  return 0;
}
