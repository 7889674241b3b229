#include "bytes/recent_slabs.h"

#include <algorithm>
#include <new>

namespace weir::bytes {
namespace {

// A slab may be freed by what is destroyed after this thread's instance.
thread_local bool ended = false;

}  // namespace

RecentSlabs* RecentSlabs::of_this_thread() {
  struct Instance {
    RecentSlabs slabs;
    ~Instance() { ended = true; }
  };
  static thread_local Instance instance;
  return ended ? nullptr : &instance.slabs;
}

RecentSlabs::~RecentSlabs() {
  for (std::size_t i = 0; i < count_; ++i) ::operator delete(kept_[i].data, std::align_val_t(alignment_bytes));
}

std::size_t RecentSlabs::capacity_for(std::size_t size_bytes) {
  return (size_bytes + capacity_step_bytes - 1) / capacity_step_bytes * capacity_step_bytes;
}

RecentSlabs::Memory RecentSlabs::take(std::size_t size_bytes) {
  const std::size_t most = size_bytes + size_bytes / 4 + capacity_step_bytes;
  for (std::size_t i = count_; i > 0; --i) {
    const Memory memory = kept_[i - 1];
    if (memory.capacity_bytes < size_bytes || memory.capacity_bytes > most) continue;
    std::move(kept_.begin() + i, kept_.begin() + count_, kept_.begin() + i - 1);
    --count_;
    kept_bytes_ -= memory.capacity_bytes;
    return memory;
  }
  return {};
}

bool RecentSlabs::give(Memory memory) {
  if (memory.capacity_bytes > bytes_max - kept_bytes_) return false;
  if (count_ == slabs_max) {  // the oldest makes room: sizes that nobody asks for any more must not stay for good
    ::operator delete(kept_[0].data, std::align_val_t(alignment_bytes));
    kept_bytes_ -= kept_[0].capacity_bytes;
    std::move(kept_.begin() + 1, kept_.begin() + count_, kept_.begin());
    --count_;
  }
  kept_[count_++] = memory;
  kept_bytes_ += memory.capacity_bytes;
  return true;
}

}  // namespace weir::bytes
