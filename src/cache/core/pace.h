// cache/core/pace.h: how fast object blocks are read from the store, all shards of a broker together.
// Why:        a backlog that is read at full speed takes the network, the store's request rate and the processor from produces; its
//             reader can wait (weir.catchup.bandwidth).
// Contract:   reserve() says when a read of so many bytes may begin, and books it; reads are given their times in the order in which
//             they ask. Any thread: one word, changed by compare-and-swap, so that what one shard does not use another one may.
// Invariants: over any time t at most rate * (t + burst) bytes begin, and one read more.
// Limits:     burst: what was not used longer ago than that is lost.
// Tests:      cache/core/pace_test.cc
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace weir::cache {

class Pace {
 public:
  static constexpr base::Duration burst = std::chrono::milliseconds(250);

  /// 0: as fast as it goes.
  explicit Pace(std::uint64_t bytes_per_second) : bytes_per_second_(bytes_per_second) {}

  /// When the read may begin (`now` or later); nothing, and nothing is booked, when that would be after `latest`.
  std::optional<base::MonoTime> reserve(base::MonoTime now, std::uint64_t size_bytes, base::MonoTime latest) {
    if (bytes_per_second_ == 0) return now;
    const base::Duration::rep now_ns = ns(now.time_since_epoch());
    const base::Duration::rep oldest_ns = now_ns - ns(burst);
    // In floating point: no product of a size and a billion has to fit, and a nanosecond is no money.
    const auto cost_ns =
        static_cast<std::int64_t>(static_cast<double>(size_bytes) * 1e9 / static_cast<double>(bytes_per_second_));
    std::int64_t free_ns = free_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t begin_ns = std::max<std::int64_t>(free_ns, oldest_ns);
      const base::MonoTime begin = std::max(now, base::MonoTime(std::chrono::nanoseconds(begin_ns)));
      if (begin > latest) return std::nullopt;
      if (free_at_ns_.compare_exchange_weak(free_ns, begin_ns + cost_ns, std::memory_order_relaxed)) return begin;
    }
  }
  [[nodiscard]] std::uint64_t bytes_per_second() const { return bytes_per_second_; }

 private:
  static std::int64_t ns(base::Duration d) { return std::chrono::duration_cast<std::chrono::nanoseconds>(d).count(); }

  const std::uint64_t bytes_per_second_;
  std::atomic<std::int64_t> free_at_ns_{0};  ///< all that was booked has begun and been paid for by then
};

}  // namespace weir::cache
