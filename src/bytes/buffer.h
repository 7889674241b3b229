// bytes/buffer.h: reference-counted memory that is written once and then shared, also between shards.
// Why:        the group buffer is a batch's only home from receive to upload: WAL write, fetch, cache and upload all hold
//             slices of the same memory (docs/architecture.md).
// Contract:   Slab is allocated with an alignment (4096 for O_DIRECT) and freed with its last Buffer. A Buffer is an
//             immutable view; whoever created the slab may write through SlabWriter only to bytes that no Buffer shows yet.
// Invariants: a Buffer's range lies inside its slab (asserted in slice()).
// Failure:    allocation failure aborts: memory is bounded by budgets before it is asked for.
// Threads:    the count is atomic; contents are immutable once shared, so any shard may read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::bytes {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline constexpr std::size_t io_alignment_bytes = 4096;

/// One allocation with a count. Not used directly: see SlabRef and Buffer.
class Slab {
 public:
  /// Aborts when memory is not there. alignment: a power of two.
  static Slab* allocate(std::size_t size_bytes, std::size_t alignment_bytes);
  void add_ref() noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void release() noexcept;
  [[nodiscard]] std::uint32_t holders() const noexcept { return refs_.load(std::memory_order_acquire); }
  [[nodiscard]] std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_bytes_; }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;

 private:
  Slab(std::byte* data, std::size_t size, std::size_t capacity, std::size_t alignment)
      : data_(data), size_bytes_(size), capacity_bytes_(capacity), alignment_bytes_(alignment) {}
  ~Slab() = default;
  std::atomic<std::uint32_t> refs_{1};
  std::byte* data_;
  std::size_t size_bytes_;
  std::size_t capacity_bytes_;  ///< what was allocated; 0: not for this thread's recent slabs (recent_slabs.h)
  std::size_t alignment_bytes_;
};

/// Shared ownership of a slab, with write access for its creator.
class SlabRef {
 public:
  SlabRef() = default;
  static SlabRef allocate(std::size_t size_bytes, std::size_t alignment_bytes = 64);
  SlabRef(const SlabRef& other) noexcept : slab_(other.slab_) {
    if (slab_ != nullptr) slab_->add_ref();
  }
  SlabRef(SlabRef&& other) noexcept : slab_(std::exchange(other.slab_, nullptr)) {}
  SlabRef& operator=(SlabRef other) noexcept {
    std::swap(slab_, other.slab_);
    return *this;
  }
  ~SlabRef() {
    if (slab_ != nullptr) slab_->release();
  }
  [[nodiscard]] explicit operator bool() const { return slab_ != nullptr; }
  [[nodiscard]] MutableBytes writable() const { return {slab_->data(), slab_->size()}; }
  [[nodiscard]] std::size_t size() const { return slab_ == nullptr ? 0 : slab_->size(); }
  /// Nobody else holds the slab: its owner may write it anew (a pool's reuse). False when empty.
  [[nodiscard]] bool unique() const { return holders() == 1; }
  [[nodiscard]] std::uint32_t holders() const { return slab_ == nullptr ? 0 : slab_->holders(); }

 private:
  friend class Buffer;
  Slab* slab_ = nullptr;
};

/// An immutable slice of a slab; cheap to copy (one atomic increment). Empty when default-constructed.
class Buffer {
 public:
  Buffer() = default;
  /// A slice [offset, offset + size) of slab.
  Buffer(SlabRef slab, std::size_t offset_bytes, std::size_t size_bytes);
  static Buffer copy_of(Bytes source);
  static Buffer copy_of(std::string_view source);
  [[nodiscard]] const std::byte* data() const { return data_; }
  [[nodiscard]] std::size_t size() const { return size_bytes_; }
  [[nodiscard]] bool empty() const { return size_bytes_ == 0; }
  [[nodiscard]] Bytes view() const { return {data_, size_bytes_}; }
  [[nodiscard]] std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_bytes_}; }
  /// A part of this buffer that shares ownership; the range must lie inside (asserted).
  [[nodiscard]] Buffer slice(std::size_t offset_bytes, std::size_t size_bytes) const;
  /// True when both lie in one slab (and then keep the same memory alive).
  [[nodiscard]] bool shares_slab(const Buffer& other) const {
    return owner_.slab_ != nullptr && owner_.slab_ == other.owner_.slab_;
  }
  /// Grows this view over `next` when that lies directly behind it in the same slab; false and unchanged otherwise.
  bool try_extend(const Buffer& next) {
    if (!shares_slab(next) || data_ + size_bytes_ != next.data_) return false;
    size_bytes_ += next.size_bytes_;
    return true;
  }
  /// The slab behind, for memory accounting (its whole size stays alive with this slice). 0 when empty.
  [[nodiscard]] std::size_t slab_size() const { return owner_.size(); }

 private:
  SlabRef owner_;
  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

/// Several buffers to be sent or stored one after the other.
using BufferList = std::vector<Buffer>;
[[nodiscard]] std::size_t total_size(const BufferList& list);

inline Bytes as_bytes(std::string_view text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }
inline std::string_view as_text(Bytes data) { return {reinterpret_cast<const char*>(data.data()), data.size()}; }

}  // namespace weir::bytes
