#include "runtime/frame_pool.h"

namespace weir::runtime {

constinit thread_local FramePool::Pool FramePool::mine;

namespace {
thread_local bool ended = false;
}

struct FramePool::Ending {
  ~Ending() {
    ended = true;
    mine.kept_max = 0;
    for (std::size_t i = 0; i < mine.classes.size(); ++i) {
      Class& frames = mine.classes[i];
      while (frames.first != nullptr) {
        Block* const block = frames.first;
        frames.first = block->next;
        ::operator delete(block, (i + 1) * frame_step_bytes);
      }
      frames.count = 0;
    }
  }
};

bool FramePool::begin() noexcept {
  if (ended) return false;
  static thread_local const Ending ending;
  mine.kept_max = kept_per_class_max;
  return true;
}

std::size_t FramePool::kept_count() {
  std::size_t sum = 0;
  for (const Class& frames : mine.classes) sum += frames.count;
  return sum;
}

}  // namespace weir::runtime
