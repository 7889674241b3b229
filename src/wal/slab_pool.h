// wal/slab_pool.h: the memory of one shard's groups.
// Why:        faulting in fresh pages costs more CPU than copying into them; a slab whose buffers are all gone is used again.
// Place:      L4, one per shard, used only there. Buffers may be dropped on any shard: the count in the slab tells.
// Limits:     bytes_max over all slabs alive, whoever holds them; idle_slabs_max kept warm.
// Tests:      wal/slab_pool_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes/buffer.h"

namespace weir::wal {

class SlabPool {
 public:
  static constexpr std::size_t idle_slabs_max = 4;

  SlabPool(std::size_t slab_bytes, std::uint64_t bytes_max) : slab_bytes_(slab_bytes), bytes_max_(bytes_max) {}
  /// Whether take(bytes) stays within the limit. With nothing alive it always does: progress beats the limit.
  [[nodiscard]] bool available(std::size_t bytes) const;
  /// A slab of slab_bytes, or larger when `bytes` is; its content is undefined.
  bytes::SlabRef take(std::size_t bytes);
  /// Gives back idle slabs beyond `keep`.
  void trim(std::size_t keep);
  /// Bytes of all slabs that somebody holds.
  [[nodiscard]] std::uint64_t held_bytes() const;
  [[nodiscard]] std::size_t slab_bytes() const { return slab_bytes_; }

 private:
  std::size_t slab_bytes_;
  std::uint64_t bytes_max_;
  std::vector<bytes::SlabRef> pooled_;  ///< all of slab_bytes
  std::vector<bytes::SlabRef> large_;   ///< watched only for the accounting
};

}  // namespace weir::wal
