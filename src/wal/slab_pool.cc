#include "wal/slab_pool.h"

#include "base/ensure.h"

namespace weir::wal {
namespace {
std::size_t aligned(std::size_t bytes) {
  return (bytes + bytes::io_alignment_bytes - 1) / bytes::io_alignment_bytes * bytes::io_alignment_bytes;
}
}  // namespace

SlabPool::~SlabPool() { tell_of(0); }

std::uint64_t SlabPool::held_bytes() const {
  std::uint64_t held = 0;
  for (const bytes::SlabRef& slab : pooled_) held += slab.unique() ? 0U : slab.size();
  for (const bytes::SlabRef& slab : large_) held += slab.unique() ? 0U : slab.size();
  return held;
}

bool SlabPool::available(std::size_t bytes) const {
  const std::uint64_t held = held_bytes();
  if (held == 0) return true;
  const std::uint64_t above = above_least(held + std::max(slab_bytes_, aligned(bytes)));
  const std::uint64_t all = budget_.shared_bytes();
  ENSURE(all >= told_bytes_, "pools told of {} bytes together, this one alone of {}", all, told_bytes_);
  return above == 0 || all - told_bytes_ + above <= budget_.shared_bytes_max();
}

void SlabPool::tell_of(std::uint64_t held) {
  const std::uint64_t above = above_least(held);
  if (above == told_bytes_) return;
  budget_.shared_bytes_.fetch_add(above - told_bytes_, std::memory_order_relaxed);  // modulo 2^64: may be less
  told_bytes_ = above;
}

void SlabPool::tell() { tell_of(held_bytes()); }

bytes::SlabRef SlabPool::take(std::size_t bytes) {
  bytes::SlabRef slab = find_or_make(bytes);
  tell();  // counts the slab: the caller holds it beside the pool
  return slab;
}

bytes::SlabRef SlabPool::find_or_make(std::size_t bytes) {
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
  tell();
}

}  // namespace weir::wal
