#include "runtime/frame_pool.h"

#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool enabled = false;
#else
constexpr bool enabled = true;
#endif

void on_a_thread(void (*what)()) { std::thread(what).join(); }

TEST(FramePool, TheLastFreedFrameOfAClassIsGivenOutFirst) {
  on_a_thread([] {
    void* const first = FramePool::take(100);
    void* const second = FramePool::take(128);
    ASSERT_NE(first, second);
    std::memset(first, 1, 100);
    std::memset(second, 2, 128);
    FramePool::give(first, 100);
    FramePool::give(second, 128);
    if (enabled) {
      EXPECT_EQ(FramePool::kept_count(), 2U);
      void* const other_class = FramePool::take(129);
      EXPECT_NE(other_class, second);
      FramePool::give(other_class, 129);
      EXPECT_EQ(FramePool::take(65), second) << "a smaller frame of the same class";
      EXPECT_EQ(FramePool::take(128), first);
      FramePool::give(first, 128);
      FramePool::give(second, 65);
    }
  });
}

TEST(FramePool, KeepsABoundedNumberAndNoLargeFrames) {
  on_a_thread([] {
    std::vector<void*> frames;
    for (std::uint32_t i = 0; i < 2 * FramePool::kept_per_class_max; ++i) frames.push_back(FramePool::take(500));
    for (void* frame : frames) FramePool::give(frame, 500);
    FramePool::give(FramePool::take(FramePool::frame_bytes_max + 1), FramePool::frame_bytes_max + 1);
    EXPECT_EQ(FramePool::kept_count(), enabled ? FramePool::kept_per_class_max : 0U);
  });
}

// A frame outlives its thread, and one is freed after the pool has ended: both go to the general allocator (ASan would tell).
TEST(FramePool, FramesAreFreedOnOtherThreadsAndAfterTheEnd) {
  static void* crossing = nullptr;
  struct Late {
    void* frame = nullptr;
    ~Late() {
      FramePool::give(frame, 200);
      EXPECT_EQ(FramePool::kept_count(), 0U);
    }
  };
  on_a_thread([] {
    static thread_local Late late;  // ends after the pool, which keeps its first frame later
    late.frame = FramePool::take(200);
    crossing = FramePool::take(300);
    FramePool::give(FramePool::take(400), 400);
  });
  on_a_thread([] {
    FramePool::give(crossing, 300);
    EXPECT_EQ(FramePool::kept_count(), enabled ? 1U : 0U);
  });
}

}  // namespace
}  // namespace weir::runtime
