// cache/core/slab_format.h: what a slab file of the disk cache holds (docs/formats/cache-v1.md): a header page, index pages, blocks.
// Why:        a start reads some pages of each slab and knows every block in it; a block proves by itself what it is.
// Contract:   pure: bytes in, bytes out; little-endian; everything begins at a multiple of page_bytes.
// Invariants: each CRC covers the cluster and the place: the header that of the slab, an index page also its number and the slab's
//             generation, a block also object, position, place and generation. What was written for another lap of the slab, another
//             slab, cluster or object never passes.
// Failure:    nullopt: not what was asked for, for whatever reason; a cache does not care which. Never a crash, whatever the bytes.
// Limits:     slab_bytes_min..slab_bytes_max; entries_per_page blocks per index page.
// Tests:      cache/core/slab_format_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "bytes/buffer.h"
#include "cache/block_id.h"

namespace weir::cache::slab {

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::uint32_t page_bytes = 4096;
inline constexpr std::uint32_t page_head_bytes = 64;
inline constexpr std::uint32_t entry_bytes = 40;
inline constexpr std::uint32_t entries_per_page = (page_bytes - page_head_bytes) / entry_bytes;
inline constexpr std::uint32_t block_head_bytes = 64;
inline constexpr std::uint32_t slab_bytes_min = 64U << 10U;
inline constexpr std::uint32_t slab_bytes_max = 1U << 30U;
/// A slab has room in its index for one block per so many bytes, so that memory stays in proportion to the disk.
inline constexpr std::uint32_t bytes_per_entry = 64U << 10U;

/// Which slab, and which lap of it: a slab that is used again gets a higher generation than any other has.
struct SlabName {
  model::ClusterId cluster;
  std::uint32_t index = 0;
  std::uint64_t generation = 0;  ///< 0: never used
  bool operator==(const SlabName&) const = default;
};

/// One block in a slab.
struct Entry {
  BlockId id;
  std::uint32_t place = 0;  ///< of its head in the slab
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;  ///< CRC32C of the payload alone
  bool operator==(const Entry&) const = default;
};

[[nodiscard]] constexpr std::uint32_t index_page_count(std::uint32_t slab_bytes) {
  return (slab_bytes / bytes_per_entry + entries_per_page - 1) / entries_per_page;
}
[[nodiscard]] constexpr std::uint32_t entries_max(std::uint32_t slab_bytes) {
  return index_page_count(slab_bytes) * entries_per_page;
}
/// Where blocks begin.
[[nodiscard]] constexpr std::uint32_t blocks_begin(std::uint32_t slab_bytes) {
  return (1 + index_page_count(slab_bytes)) * page_bytes;
}
/// What a block takes in a slab.
[[nodiscard]] constexpr std::uint64_t space_of(std::uint64_t payload_bytes) {
  return (block_head_bytes + payload_bytes + page_bytes - 1) / page_bytes * page_bytes;
}

/// Each fills the page, or the head, completely.
void encode_header(const SlabName& name, std::uint32_t slab_bytes, bytes::MutableBytes page);
void encode_index_page(const SlabName& name, std::uint32_t number, std::span<const Entry> entries, bytes::MutableBytes page);
void encode_block_head(const SlabName& name, const Entry& entry, bytes::MutableBytes head);

/// The generation that the header states for this cluster, index and size.
[[nodiscard]] std::optional<std::uint64_t> decode_header(bytes::Bytes page, model::ClusterId cluster, std::uint32_t index,
                                                         std::uint32_t slab_bytes);
/// The page's entries, each inside the slab.
[[nodiscard]] std::optional<std::vector<Entry>> decode_index_page(bytes::Bytes page, const SlabName& name, std::uint32_t number,
                                                                  std::uint32_t slab_bytes);
/// Whether `block` (head and payload, at least) is the entry's, byte for byte.
[[nodiscard]] bool verify_block(bytes::Bytes block, const SlabName& name, const Entry& entry);

}  // namespace weir::cache::slab
