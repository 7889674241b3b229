#include "runtime/timer_heap.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"

namespace weir::runtime {
namespace {
// Four children per node: half the depth of a binary heap, and the children share one or two cache lines.
constexpr std::size_t heap_arity = 4;
}  // namespace

TimerId TimerHeap::add(base::MonoTime when, Callback callback) {
  ENSURE(heap_.size() < timers_max, "{} timers are pending", heap_.size());
  std::uint32_t slot_index;
  if (free_slots_.empty()) {
    slot_index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot_index = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot_index].callback = std::move(callback);
  heap_.push_back(Key{.when = when, .sequence = next_sequence_++, .slot_index = slot_index});
  slots_[slot_index].heap_index = static_cast<std::uint32_t>(heap_.size() - 1);
  sift_up(heap_.size() - 1);
  return (std::uint64_t{slots_[slot_index].generation} << 32U) | slot_index;
}

bool TimerHeap::remove(TimerId id) {
  const auto slot_index = static_cast<std::uint32_t>(id);
  const auto generation = static_cast<std::uint32_t>(id >> 32U);
  if (slot_index >= slots_.size() || slots_[slot_index].generation != generation) return false;
  const Callback dropped = take_at(slots_[slot_index].heap_index);
  return true;
}

std::optional<Callback> TimerHeap::pop_due(base::MonoTime now) {
  if (heap_.empty() || heap_.front().when > now) return std::nullopt;
  return take_at(0);
}

// The slot's generation is bumped here, so that its id is unknown from now on; 0 stays free for "no timer".
Callback TimerHeap::take_at(std::size_t heap_index) {
  const std::uint32_t slot_index = heap_[heap_index].slot_index;
  Slot& slot = slots_[slot_index];
  ENSURE(slot.heap_index == heap_index, "the timer heap lost track of slot {}", slot_index);
  Callback callback = std::move(slot.callback);
  slot.callback = nullptr;
  if (++slot.generation == 0) slot.generation = 1;
  free_slots_.push_back(slot_index);

  const Key last = heap_.back();
  heap_.pop_back();
  if (heap_index < heap_.size()) {
    place(heap_index, last);
    sift_up(heap_index);
    sift_down(slots_[last.slot_index].heap_index);
  }
  return callback;
}

void TimerHeap::place(std::size_t heap_index, const Key& key) {
  heap_[heap_index] = key;
  slots_[key.slot_index].heap_index = static_cast<std::uint32_t>(heap_index);
}

void TimerHeap::sift_up(std::size_t heap_index) {
  const Key key = heap_[heap_index];
  while (heap_index > 0) {
    const std::size_t parent = (heap_index - 1) / heap_arity;
    if (!key.before(heap_[parent])) break;
    place(heap_index, heap_[parent]);
    heap_index = parent;
  }
  place(heap_index, key);
}

void TimerHeap::sift_down(std::size_t heap_index) {
  const Key key = heap_[heap_index];
  while (true) {
    const std::size_t first = heap_index * heap_arity + 1;
    if (first >= heap_.size()) break;
    std::size_t best = first;
    for (std::size_t child = first + 1; child < std::min(first + heap_arity, heap_.size()); ++child) {
      if (heap_[child].before(heap_[best])) best = child;
    }
    if (!heap_[best].before(key)) break;
    place(heap_index, heap_[best]);
    heap_index = best;
  }
  place(heap_index, key);
}

}  // namespace weir::runtime
