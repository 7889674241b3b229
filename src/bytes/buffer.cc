#include "bytes/buffer.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "base/ensure.h"
#include "bytes/recent_slabs.h"

namespace weir::bytes {

Slab* Slab::allocate(std::size_t size_bytes, std::size_t alignment_bytes) {
  if (RecentSlabs* const recent = RecentSlabs::serves(size_bytes, alignment_bytes) ? RecentSlabs::of_this_thread() : nullptr) {
    RecentSlabs::Memory memory = recent->take(size_bytes);
    if (memory.data == nullptr) {
      memory.capacity_bytes = RecentSlabs::capacity_for(size_bytes);
      memory.data =
          static_cast<std::byte*>(::operator new(memory.capacity_bytes, std::align_val_t(RecentSlabs::alignment_bytes)));
    }
    return new Slab(memory.data, size_bytes, memory.capacity_bytes, RecentSlabs::alignment_bytes);
  }
  void* memory = ::operator new(size_bytes, std::align_val_t(alignment_bytes));
  return new Slab(static_cast<std::byte*>(memory), size_bytes, 0, alignment_bytes);
}

void Slab::release() noexcept {
  if (refs_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  RecentSlabs* const recent = capacity_bytes_ > 0 ? RecentSlabs::of_this_thread() : nullptr;
  if (recent == nullptr || !recent->give({.data = data_, .capacity_bytes = capacity_bytes_})) {
    ::operator delete(data_, std::align_val_t(alignment_bytes_));
  }
  delete this;
}

SlabRef SlabRef::allocate(std::size_t size_bytes, std::size_t alignment_bytes) {
  SlabRef ref;
  ref.slab_ = Slab::allocate(size_bytes, alignment_bytes);
  return ref;
}

Buffer::Buffer(SlabRef slab, std::size_t offset_bytes, std::size_t size_bytes)
    : owner_(std::move(slab)), size_bytes_(size_bytes) {
  ENSURE(offset_bytes <= owner_.size() && size_bytes <= owner_.size() - offset_bytes, "slice {}+{} of a slab of {}",
         offset_bytes, size_bytes, owner_.size());
  data_ = owner_.slab_ == nullptr ? nullptr : owner_.slab_->data() + offset_bytes;
}

Buffer Buffer::copy_of(Bytes source) {
  if (source.empty()) return {};
  SlabRef slab = SlabRef::allocate(source.size());
  std::memcpy(slab.writable().data(), source.data(), source.size());
  return Buffer(std::move(slab), 0, source.size());
}

Buffer Buffer::copy_of(std::string_view source) { return copy_of(as_bytes(source)); }

Buffer Buffer::slice(std::size_t offset_bytes, std::size_t size_bytes) const {
  ENSURE(offset_bytes <= size_bytes_ && size_bytes <= size_bytes_ - offset_bytes, "slice {}+{} of a buffer of {}", offset_bytes,
         size_bytes, size_bytes_);
  Buffer part = *this;
  part.data_ = data_ + offset_bytes;
  part.size_bytes_ = size_bytes;
  return part;
}

std::size_t total_size(const BufferList& list) {
  std::size_t total = 0;
  for (const Buffer& buffer : list) total += buffer.size();
  return total;
}

}  // namespace weir::bytes
