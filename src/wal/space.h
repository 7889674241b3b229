// wal/space.h: what lane and appenders of all shards know about WAL space, without hops: two counters and a flag.
// Why:        an append must be refused *before* it has an offset; asking the lane would cost a hop per produce.
// Invariants: usable_bytes is a lower bound published by the lane; unplaced_bytes counts admitted bytes without a place.
#pragma once

#include <atomic>
#include <cstdint>

namespace weir::wal {

struct Space {
  std::atomic<std::int64_t> usable_bytes{0};
  std::atomic<std::int64_t> unplaced_bytes{0};
  std::atomic<bool> fenced{false};
  [[nodiscard]] bool has(std::uint64_t bytes) const {
    return unplaced_bytes.load(std::memory_order_relaxed) + static_cast<std::int64_t>(bytes) <=
           usable_bytes.load(std::memory_order_relaxed);
  }
};

}  // namespace weir::wal
