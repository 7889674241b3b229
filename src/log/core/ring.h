// log/core/ring.h: a double-ended queue in one power-of-two array, nothing allocated while empty.
// Why:        std::deque takes 576 bytes when empty; ten thousand idle partitions hold several queues each.
// Contract:   indices count from the front. References are valid until the next push. A popped slot is reset at once (its
//             buffers are let go); memory is given back when the ring runs empty after having been large.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/ensure.h"

namespace weir::log {

template <class T>
class Ring {
 public:
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] T& operator[](std::size_t i) { return slots_[(head_ + i) & (slots_.size() - 1)]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return slots_[(head_ + i) & (slots_.size() - 1)]; }
  [[nodiscard]] T& front() { return slots_[head_]; }
  [[nodiscard]] const T& front() const { return slots_[head_]; }
  [[nodiscard]] T& back() { return (*this)[size_ - 1]; }
  [[nodiscard]] const T& back() const { return (*this)[size_ - 1]; }
  void push_back(T value) {
    if (size_ == slots_.size()) grow();
    (*this)[size_] = std::move(value);
    ++size_;
  }
  T pop_front() {
    ENSURE(size_ > 0, "pop of an empty ring");
    T value = std::exchange(slots_[head_], T{});
    head_ = (head_ + 1) & (slots_.size() - 1);
    --size_;
    maybe_shrink();
    return value;
  }
  T pop_back() {
    ENSURE(size_ > 0, "pop of an empty ring");
    T value = std::exchange(back(), T{});
    --size_;
    maybe_shrink();
    return value;
  }
  void clear() {
    std::vector<T>().swap(slots_);
    head_ = 0;
    size_ = 0;
  }

 private:
  static constexpr std::size_t slots_first = 4;
  static constexpr std::size_t slots_kept_empty_max = 64;
  void grow() {
    std::vector<T> larger(slots_.empty() ? slots_first : slots_.size() * 2);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move((*this)[i]);
    slots_ = std::move(larger);
    head_ = 0;
  }
  void maybe_shrink() {
    if (size_ == 0 && slots_.size() > slots_kept_empty_max) clear();
  }

  std::vector<T> slots_;  ///< size: zero or a power of two
  std::size_t head_ = 0;
  std::size_t size_ = 0;
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
