#include "wal/slab_pool.h"

#include <algorithm>

namespace weir::wal {
namespace {
std::size_t aligned(std::size_t bytes) {
  return (bytes + bytes::io_alignment_bytes - 1) / bytes::io_alignment_bytes * bytes::io_alignment_bytes;
}
}  // namespace

std::uint64_t SlabPool::held_bytes() const {
  std::uint64_t held = 0;
  for (const bytes::SlabRef& slab : pooled_) held += slab.unique() ? 0U : slab.size();
  for (const bytes::SlabRef& slab : large_) held += slab.unique() ? 0U : slab.size();
  return held;
}

bool SlabPool::available(std::size_t bytes) const {
  const std::uint64_t held = held_bytes();
  return held == 0 || held + std::max(slab_bytes_, aligned(bytes)) <= bytes_max_;
}

bytes::SlabRef SlabPool::take(std::size_t bytes) {
  if (bytes > slab_bytes_) {
    trim(0);
    large_.push_back(bytes::SlabRef::allocate(aligned(bytes), bytes::io_alignment_bytes));
    return large_.back();
  }
  trim(idle_slabs_max);
  for (const bytes::SlabRef& slab : pooled_) {
    if (slab.unique()) return slab;
  }
  pooled_.push_back(bytes::SlabRef::allocate(slab_bytes_, bytes::io_alignment_bytes));
  return pooled_.back();
}

void SlabPool::trim(std::size_t keep) {
  std::erase_if(large_, [](const bytes::SlabRef& slab) { return slab.unique(); });
  std::erase_if(pooled_, [&keep](const bytes::SlabRef& slab) {
    if (!slab.unique()) return false;
    if (keep == 0) return true;
    --keep;
    return false;
  });
}

}  // namespace weir::wal
