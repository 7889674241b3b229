// runtime/timer_heap.h: the pending timers of one reactor, ordered by (time, order of creation).
// Why:        every read of every connection has a deadline that is cancelled a moment later; a real removal keeps the heap as
//             large as what is pending, where lazy deletion would keep ten minutes of dead deadlines.
// Contract:   add() and remove() cost O(log n) moves of 24-byte keys; ids are never reused while 2^32 generations last.
// Limits:     timers_max (asserted).
// Tests:      runtime/timer_heap_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"
#include "runtime/reactor.h"

namespace weir::runtime {

inline constexpr std::size_t timers_max = 16U << 20U;

class TimerHeap {
 public:
  TimerId add(base::MonoTime when, Callback callback);
  /// False when the id is unknown, finished or already removed.
  bool remove(TimerId id);
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  /// The earliest time; only when not empty.
  [[nodiscard]] base::MonoTime earliest() const { return heap_.front().when; }
  /// Takes the earliest timer out if it is due at `now`.
  std::optional<Callback> pop_due(base::MonoTime now);

 private:
  struct Key {
    base::MonoTime when;
    std::uint64_t sequence;
    std::uint32_t slot_index;
    [[nodiscard]] bool before(const Key& other) const {
      return when != other.when ? when < other.when : sequence < other.sequence;
    }
  };
  struct Slot {
    Callback callback;
    std::uint32_t generation = 1;
    std::uint32_t heap_index = 0;
  };
  void place(std::size_t heap_index, const Key& key);
  void sift_up(std::size_t heap_index);
  void sift_down(std::size_t heap_index);
  Callback take_at(std::size_t heap_index);

  std::vector<Key> heap_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_sequence_ = 0;
};

}  // namespace weir::runtime
