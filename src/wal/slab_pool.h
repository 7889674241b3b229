// wal/slab_pool.h: the memory of one shard's groups, and the budget that the pools of all shards share.
// Why:        faulting in fresh pages costs more CPU than copying into them; a slab whose buffers are all gone is used again. A
//             fixed part for each shard would let one busy partition wait for memory that the other shards never use.
// Place:      L4. A pool: one per shard, used only there. Buffers may be dropped on any shard: the count in the slab tells.
//             The budget: any thread.
// Invariants: each pool has least_bytes for itself; what all pools hold above that is at most the rest of bytes_max, to within
//             one slab a pool (looking and taking are two steps). With nothing held a pool always gives: progress beats the limit.
// Limits:     what a pool holds is known to the others as of its last tell(); idle_slabs_max kept warm, not counted as held.
// Tests:      wal/slab_pool_test.cc
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bytes/buffer.h"

namespace weir::wal {

class SlabBudget {
 public:
  SlabBudget(std::uint64_t bytes_max, std::uint64_t least_bytes, std::size_t pool_count)
      : least_bytes_(least_bytes), shared_bytes_max_(bytes_max - std::min(bytes_max, least_bytes * pool_count)) {}
  SlabBudget(const SlabBudget&) = delete;
  SlabBudget& operator=(const SlabBudget&) = delete;

  [[nodiscard]] std::uint64_t least_bytes() const { return least_bytes_; }
  [[nodiscard]] std::uint64_t shared_bytes_max() const { return shared_bytes_max_; }
  /// Bytes above their least_bytes that all pools held when they told it last.
  [[nodiscard]] std::uint64_t shared_bytes() const { return shared_bytes_.load(std::memory_order_relaxed); }

 private:
  friend class SlabPool;
  const std::uint64_t least_bytes_;
  const std::uint64_t shared_bytes_max_;
  std::atomic<std::uint64_t> shared_bytes_ = 0;
};

class SlabPool {
 public:
  static constexpr std::size_t idle_slabs_max = 4;

  /// The budget outlives the pool.
  SlabPool(std::size_t slab_bytes, SlabBudget& budget) : slab_bytes_(slab_bytes), budget_(budget) {}
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  /// Whether take(bytes) stays within the budget. With nothing held here it always does.
  [[nodiscard]] bool available(std::size_t bytes) const;
  /// A slab of slab_bytes, or larger when `bytes` is; its content is undefined.
  bytes::SlabRef take(std::size_t bytes);
  /// Gives back idle slabs beyond `keep`.
  void trim(std::size_t keep);
  /// Makes known to the other pools what is held here now: slabs become free without a call to here.
  void tell();
  /// Whether this pool held more than its least_bytes when it told last.
  [[nodiscard]] bool holds_shared() const { return told_bytes_ > 0; }
  /// Bytes of all slabs that somebody holds.
  [[nodiscard]] std::uint64_t held_bytes() const;
  [[nodiscard]] std::size_t slab_bytes() const { return slab_bytes_; }

 private:
  [[nodiscard]] std::uint64_t above_least(std::uint64_t held) const { return held - std::min(held, budget_.least_bytes()); }
  bytes::SlabRef find_or_make(std::size_t bytes);
  void tell_of(std::uint64_t held);

  std::size_t slab_bytes_;
  SlabBudget& budget_;
  std::uint64_t told_bytes_ = 0;        ///< this pool's part of the budget's shared_bytes()
  std::vector<bytes::SlabRef> pooled_;  ///< all of slab_bytes
  std::vector<bytes::SlabRef> large_;   ///< watched only for the accounting
};

}  // namespace weir::wal
