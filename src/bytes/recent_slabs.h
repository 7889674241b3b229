// bytes/recent_slabs.h: the last few freed allocations of this thread, given out again to the next that ask for as much.
// Why:        a connection with large frames takes and frees one allocation per request. From the general allocator that memory
//             comes back cold (its free list is read from memory that fell out of the cache, the next one is another block):
//             5 % of the broker's time at 64 KB records. Last in, first out, the same warm bytes serve again.
// Contract:   take() returns memory of at least size_bytes, aligned to alignment_bytes, or null; give() takes such memory over,
//             or returns false and leaves it to the caller. Never more than slabs_max allocations of capacity_bytes_min to
//             capacity_bytes_max each and bytes_max together; one of a cache line's alignment only.
// Invariants: what is kept has no holder. A capacity is a multiple of capacity_step_bytes, so that frames of nearly equal size
//             share; what is given out exceeds the demand by less than a quarter and a step.
// Threads:    one instance per thread, reached by its own thread only; memory may be freed on another thread than took it.
// Limits:     off under ASan and TSan (they must see every free). Memory kept: bytes_max per thread.
// Tests:      buffer_test.cc.
#pragma once

#include <array>
#include <cstddef>

namespace weir::bytes {

class RecentSlabs {
 public:
  static constexpr std::size_t alignment_bytes = 64;
  static constexpr std::size_t capacity_step_bytes = 4096;
  static constexpr std::size_t capacity_bytes_min = 32U << 10U;
  static constexpr std::size_t capacity_bytes_max = 2U << 20U;
  static constexpr std::size_t slabs_max = 8;
  static constexpr std::size_t bytes_max = 4U << 20U;
  struct Memory {
    std::byte* data = nullptr;
    std::size_t capacity_bytes = 0;
  };

  RecentSlabs() = default;
  RecentSlabs(const RecentSlabs&) = delete;
  RecentSlabs& operator=(const RecentSlabs&) = delete;
  ~RecentSlabs();

  /// The capacity to allocate for a demand of size_bytes, so that it can be kept later.
  static std::size_t capacity_for(std::size_t size_bytes);
  static bool serves(std::size_t size_bytes, std::size_t alignment) {
    return enabled && alignment <= alignment_bytes && size_bytes >= capacity_bytes_min && size_bytes <= capacity_bytes_max;
  }
  /// data is null when none fits.
  [[nodiscard]] Memory take(std::size_t size_bytes);
  [[nodiscard]] bool give(Memory memory);
  [[nodiscard]] std::size_t kept_bytes() const { return kept_bytes_; }

  /// This thread's; null once the thread ends.
  static RecentSlabs* of_this_thread();

 private:
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  static constexpr bool enabled = false;
#else
  static constexpr bool enabled = true;
#endif
#else
  static constexpr bool enabled = false;
#endif
  std::array<Memory, slabs_max> kept_{};  // [0, count_), the last given last
  std::size_t count_ = 0;
  std::size_t kept_bytes_ = 0;
};

}  // namespace weir::bytes
