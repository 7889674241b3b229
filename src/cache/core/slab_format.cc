#include "cache/core/slab_format.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"

namespace weir::cache::slab {
namespace {

using bytes::Bytes;
using bytes::load_le;
using bytes::MutableBytes;
using bytes::store_le;

constexpr std::uint32_t header_magic = 0x31484357;  // "WCH1"
constexpr std::uint32_t index_magic = 0x31494357;   // "WCI1"
constexpr std::uint32_t block_magic = 0x31424357;   // "WCB1"
constexpr std::size_t head_crc_at = 60;

std::uint32_t seed_of(const model::ClusterId& cluster) { return bytes::crc32c(std::as_bytes(std::span(cluster.bytes))); }

// The CRC stands in the head and covers everything but itself.
std::uint32_t page_crc(Bytes page, const model::ClusterId& cluster) {
  const std::uint32_t head = bytes::crc32c(page.first(head_crc_at), seed_of(cluster));
  return bytes::crc32c(page.subspan(page_head_bytes), head);
}

void put_uuid(std::byte* to, const model::Uuid& id) { std::memcpy(to, id.bytes.data(), id.bytes.size()); }

void put_entry(std::byte* to, const Entry& entry) {
  put_uuid(to, entry.id.object);
  store_le<std::uint64_t>(to + 16, entry.id.position);
  store_le<std::uint32_t>(to + 24, entry.place);
  store_le<std::uint32_t>(to + 28, entry.payload_bytes);
  store_le<std::uint32_t>(to + 32, entry.payload_crc);
  store_le<std::uint32_t>(to + 36, 0);
}

Entry get_entry(const std::byte* from) {
  Entry entry;
  std::memcpy(entry.id.object.bytes.data(), from, entry.id.object.bytes.size());
  entry.id.position = load_le<std::uint64_t>(from + 16);
  entry.place = load_le<std::uint32_t>(from + 24);
  entry.payload_bytes = load_le<std::uint32_t>(from + 28);
  entry.payload_crc = load_le<std::uint32_t>(from + 32);
  return entry;
}

// Of head and payload; the payload is not read again.
std::uint32_t block_crc(Bytes head, const model::ClusterId& cluster, const Entry& entry) {
  const std::uint32_t of_head = bytes::crc32c(head.first(head_crc_at), seed_of(cluster));
  return bytes::crc32c_combine(of_head, entry.payload_crc, entry.payload_bytes);
}

}  // namespace

void encode_header(const SlabName& name, std::uint32_t slab_bytes, MutableBytes page) {
  ENSURE(page.size() == page_bytes, "a header of {} bytes", page.size());
  std::ranges::fill(page, std::byte{0});
  store_le(page.data(), header_magic);
  store_le(page.data() + 4, format_version);
  store_le(page.data() + 8, name.index);
  store_le(page.data() + 12, slab_bytes);
  store_le(page.data() + 16, name.generation);
  put_uuid(page.data() + 24, name.cluster);
  store_le(page.data() + head_crc_at, page_crc(page, name.cluster));
}

std::optional<std::uint64_t> decode_header(Bytes page, model::ClusterId cluster, std::uint32_t index,
                                           std::uint32_t slab_bytes) {
  if (page.size() < page_bytes) return std::nullopt;
  page = page.first(page_bytes);
  if (load_le<std::uint32_t>(page.data()) != header_magic || load_le<std::uint32_t>(page.data() + 4) != format_version ||
      load_le<std::uint32_t>(page.data() + 8) != index || load_le<std::uint32_t>(page.data() + 12) != slab_bytes ||
      load_le<std::uint32_t>(page.data() + head_crc_at) != page_crc(page, cluster)) {
    return std::nullopt;
  }
  return load_le<std::uint64_t>(page.data() + 16);
}

void encode_index_page(const SlabName& name, std::uint32_t number, std::span<const Entry> entries, MutableBytes page) {
  ENSURE(page.size() == page_bytes && entries.size() <= entries_per_page, "{} entries for a page of {} bytes", entries.size(),
         page.size());
  std::ranges::fill(page, std::byte{0});
  store_le(page.data(), index_magic);
  store_le(page.data() + 4, static_cast<std::uint32_t>(entries.size()));
  store_le(page.data() + 8, name.index);
  store_le(page.data() + 12, number);
  store_le(page.data() + 16, name.generation);
  for (std::size_t i = 0; i < entries.size(); ++i) put_entry(page.data() + page_head_bytes + i * entry_bytes, entries[i]);
  store_le(page.data() + head_crc_at, page_crc(page, name.cluster));
}

std::optional<std::vector<Entry>> decode_index_page(Bytes page, const SlabName& name, std::uint32_t number,
                                                    std::uint32_t slab_bytes) {
  if (page.size() < page_bytes) return std::nullopt;
  page = page.first(page_bytes);
  const auto count = load_le<std::uint32_t>(page.data() + 4);
  if (load_le<std::uint32_t>(page.data()) != index_magic || count > entries_per_page ||
      load_le<std::uint32_t>(page.data() + 8) != name.index || load_le<std::uint32_t>(page.data() + 12) != number ||
      load_le<std::uint64_t>(page.data() + 16) != name.generation ||
      load_le<std::uint32_t>(page.data() + head_crc_at) != page_crc(page, name.cluster)) {
    return std::nullopt;
  }
  std::vector<Entry> entries;
  entries.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Entry entry = get_entry(page.data() + page_head_bytes + std::size_t{i} * entry_bytes);
    const bool inside = entry.place % page_bytes == 0 && entry.place >= blocks_begin(slab_bytes) &&
                        entry.place + space_of(entry.payload_bytes) <= slab_bytes;
    if (!inside) return std::nullopt;
    entries.push_back(entry);
  }
  return entries;
}

void encode_block_head(const SlabName& name, const Entry& entry, MutableBytes head) {
  ENSURE(head.size() == block_head_bytes, "a block's head of {} bytes", head.size());
  std::ranges::fill(head, std::byte{0});
  store_le(head.data(), block_magic);
  store_le(head.data() + 4, name.index);
  store_le(head.data() + 8, name.generation);
  put_entry(head.data() + 16, entry);
  store_le(head.data() + head_crc_at, block_crc(head, name.cluster, entry));
}

bool verify_block(Bytes block, const SlabName& name, const Entry& entry) {
  if (block.size() < block_head_bytes || block.size() - block_head_bytes < entry.payload_bytes) return false;
  std::byte expected[block_head_bytes];
  encode_block_head(name, entry, expected);
  if (std::memcmp(block.data(), expected, block_head_bytes) != 0) return false;
  return bytes::crc32c(block.subspan(block_head_bytes, entry.payload_bytes)) == entry.payload_crc;
}

}  // namespace weir::cache::slab
