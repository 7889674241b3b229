// runtime/frame_pool.h: freed coroutine frames of this thread, given out again to the next coroutine of about the same size.
// Why:        a produce and the fetch that takes its record make about forty frames. From the general allocator each costs reads of
//             its bookkeeping, which between two records has fallen out of the cache (docs/performance.md).
// Contract:   take() and give() are what a promise's operator new and delete call, with the frame's size; any thread may give back
//             what another took.
// Invariants: what is kept has no owner; a block of a class is as large as the class's largest frame.
// Threads:    one pool per thread, reached by its own thread only.
// Limits:     frames of at most frame_bytes_max, kept_per_class_max of each class of frame_step_bytes: 1 MiB per thread if all classes
//             are full. Off under ASan and TSan (they must see every free).
// Tests:      runtime/frame_pool_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace weir::runtime {

class FramePool {
 public:
  static constexpr std::size_t frame_step_bytes = 64;
  static constexpr std::size_t frame_bytes_max = 2048;
  static constexpr std::uint32_t kept_per_class_max = 32;

  static void* take(std::size_t size_bytes) {
    if constexpr (enabled) {
      if (size_bytes <= frame_bytes_max) {
        Class& frames = mine.classes[class_of(size_bytes)];
        if (Block* const block = frames.first; block != nullptr) {
          frames.first = block->next;
          --frames.count;
          return block;
        }
        size_bytes = rounded(size_bytes);
      }
    }
    return ::operator new(size_bytes);
  }
  static void give(void* frame, std::size_t size_bytes) noexcept {
    if constexpr (enabled) {
      if (size_bytes <= frame_bytes_max) {
        Class& frames = mine.classes[class_of(size_bytes)];
        if (frames.count < mine.kept_max || (mine.kept_max == 0 && begin())) {
          frames.first = ::new (frame) Block{frames.first};
          ++frames.count;
          return;
        }
        size_bytes = rounded(size_bytes);
      }
    }
    ::operator delete(frame, size_bytes);
  }
  /// Of the calling thread.
  [[nodiscard]] static std::size_t kept_count();

 private:
  struct Block {
    Block* next;
  };
  struct Class {
    Block* first = nullptr;
    std::uint32_t count = 0;
  };
  struct Pool {
    std::array<Class, frame_bytes_max / frame_step_bytes> classes{};
    std::uint32_t kept_max = 0;  ///< 0: nothing was kept yet, or the thread ends
  };
  struct Ending;
  static constexpr std::size_t class_of(std::size_t size_bytes) { return (size_bytes - 1) / frame_step_bytes; }
  static constexpr std::size_t rounded(std::size_t size_bytes) { return (class_of(size_bytes) + 1) * frame_step_bytes; }
  /// The thread's first frame: what is kept goes when the thread ends. False: it is ending.
  static bool begin() noexcept;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  static constexpr bool enabled = false;
#else
  static constexpr bool enabled = true;
#endif
#else
  static constexpr bool enabled = false;
#endif
  static constinit thread_local Pool mine;
};

}  // namespace weir::runtime
