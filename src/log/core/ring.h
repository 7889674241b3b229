// log/core/ring.h: a double-ended queue that is small while it holds little and never stops to move much.
// Why:        std::deque takes 576 bytes when empty; ten thousand idle partitions hold several queues each. A single array that
//             doubles would stop a shard: to touch and fill the next 20 MB for the tail of one partition took 28 ms, during which
//             no request was answered.
// Contract:   indices count from the front. References are valid until the next push. A popped slot is reset at once (its
//             buffers are let go); chunks are given back once they are popped, all memory when the ring runs empty after having
//             had more than one.
// Limits:     nothing is allocated while empty at first; one chunk that doubles up to chunk_slots_max; then chunks of that many,
//             so a push moves at most chunk_slots_max elements and one pointer per chunk.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/ensure.h"

namespace weir::log {

template <class T>
class Ring {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] T& operator[](std::size_t i) { return slot(head_ + i); }
  [[nodiscard]] const T& operator[](std::size_t i) const { return const_cast<Ring*>(this)->slot(head_ + i); }
  [[nodiscard]] T& front() { return (*this)[0]; }
  [[nodiscard]] const T& front() const { return (*this)[0]; }
  [[nodiscard]] T& back() { return (*this)[size_ - 1]; }
  void push_back(T value) {
    if (full()) grow();
    std::unique_ptr<T[]>& chunk = chunks_[chunk_of(head_ + size_)];
    if (!chunk) chunk = std::make_unique<T[]>(chunk_slots());
    ++size_;
    back() = std::move(value);
  }
  T pop_front() {
    ENSURE(size_ > 0, "pop of an empty ring");
    T value = std::exchange(front(), T{});
    const std::size_t chunk = chunk_of(head_);
    head_ = (head_ + 1) & (chunks_.size() * chunk_slots() - 1);
    --size_;
    if (chunk_of(head_) != chunk) chunks_[chunk].reset();
    maybe_shrink();
    return value;
  }
  /// Lets go of the first `count`; whole chunks at once.
  void drop_front(std::size_t count) {
    ENSURE(count <= size_, "{} leave a ring of {}", count, size_);
    while (count > 0) {
      const std::size_t in_chunk = std::min(count, chunk_slots() - (head_ & (chunk_slots() - 1)));
      if (chunks_.size() > 1 && in_chunk == chunk_slots()) {
        chunks_[chunk_of(head_)].reset();
        head_ = (head_ + in_chunk) & (chunks_.size() * chunk_slots() - 1);
        size_ -= in_chunk;
      } else {
        for (std::size_t i = 0; i < in_chunk; ++i) (void)pop_front();
      }
      count -= in_chunk;
    }
    maybe_shrink();
  }
  T pop_back() {
    ENSURE(size_ > 0, "pop of an empty ring");
    T value = std::exchange(back(), T{});
    --size_;
    maybe_shrink();
    return value;
  }
  void clear() {
    std::vector<std::unique_ptr<T[]>>().swap(chunks_);
    head_ = 0;
    size_ = 0;
    chunk_shift_ = 0;
  }

 private:
  static constexpr std::size_t chunk_slots_first = 4;
  static constexpr std::size_t chunk_slots_max = 64;
  [[nodiscard]] std::size_t chunk_of(std::size_t position) const { return (position >> chunk_shift_) & (chunks_.size() - 1); }
  [[nodiscard]] std::size_t chunk_slots() const { return std::size_t{1} << chunk_shift_; }
  [[nodiscard]] T& slot(std::size_t position) { return chunks_[chunk_of(position)][position & (chunk_slots() - 1)]; }
  /// A single chunk is used round and round; of several, the front's is never shared with the back's next round.
  [[nodiscard]] bool full() const {
    if (chunks_.size() <= 1) return size_ == chunks_.size() * chunk_slots();
    return size_ + (head_ & (chunk_slots() - 1)) == chunks_.size() * chunk_slots();
  }
  void grow() {
    if (chunks_.size() <= 1 && chunk_slots() < chunk_slots_max) {
      const std::size_t slots = chunks_.empty() ? chunk_slots_first : chunk_slots() * 2;
      auto larger = std::make_unique<T[]>(slots);
      for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
      chunks_.resize(1);
      chunks_[0] = std::move(larger);
      chunk_shift_ = static_cast<std::uint32_t>(std::countr_zero(slots));
      head_ = 0;
      return;
    }
    if (chunks_.size() == 1 && head_ != 0) {
      auto in_order = std::make_unique<T[]>(chunk_slots());
      for (std::size_t i = 0; i < size_; ++i) in_order[i] = std::move((*this)[i]);
      chunks_[0] = std::move(in_order);
      head_ = 0;
    }
    std::vector<std::unique_ptr<T[]>> more(chunks_.size() * 2);
    const std::size_t first = chunk_of(head_);
    for (std::size_t i = 0; i < chunks_.size(); ++i) more[i] = std::move(chunks_[(first + i) & (chunks_.size() - 1)]);
    chunks_ = std::move(more);
    head_ &= chunk_slots() - 1;
  }
  void maybe_shrink() {
    if (size_ == 0 && chunks_.size() > 1) clear();
  }

  std::vector<std::unique_ptr<T[]>> chunks_;  ///< as many as a power of two, some of them not made
  std::size_t head_ = 0;                      ///< in [0, chunks x chunk_slots())
  std::size_t size_ = 0;
  std::uint32_t chunk_shift_ = 0;  ///< every chunk has 2^chunk_shift_ slots; no division: every look at the tail comes here
};

/// First index in [0, size) for which `after(i)` is true, or size; `after` is false then true along the range.
template <class Predicate>
[[nodiscard]] std::size_t first_index(std::size_t size, Predicate after) {
  std::size_t low = 0;
  while (low < size) {
    const std::size_t middle = low + (size - low) / 2;
    if (after(middle)) {
      size = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/// A member of at most one List at a time; the element derives from Link<Tag>. Nothing is allocated.
template <class Tag>
struct Link {
  Link* previous = nullptr;
  Link* next = nullptr;
  [[nodiscard]] bool linked() const { return next != nullptr; }
};

template <class T, class Tag>
class List {
 public:
  List() { head_.previous = head_.next = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  [[nodiscard]] bool empty() const { return head_.next == &head_; }
  void push_back(T& element) {
    Link<Tag>& link = element;
    ENSURE(!link.linked(), "the element is in a list already");
    link.previous = head_.previous;
    link.next = &head_;
    head_.previous->next = &link;
    head_.previous = &link;
  }
  static void remove(T& element) {
    Link<Tag>& link = element;
    if (!link.linked()) return;
    link.previous->next = link.next;
    link.next->previous = link.previous;
    link.previous = link.next = nullptr;
  }
  [[nodiscard]] T* front() { return empty() ? nullptr : static_cast<T*>(head_.next); }
  [[nodiscard]] const T* front() const { return empty() ? nullptr : static_cast<const T*>(head_.next); }
  [[nodiscard]] T* after(T& element) {
    Link<Tag>* next = static_cast<Link<Tag>&>(element).next;
    return next == &head_ ? nullptr : static_cast<T*>(next);
  }

 private:
  Link<Tag> head_;
};

}  // namespace weir::log
