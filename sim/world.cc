#include "sim/world.h"

#include <algorithm>
#include <utility>

#include "base/ensure.h"
#include "sim/process.h"

// Killed processes leak what they owned, on purpose (world.h): the leak checker must not call that an error, in no program that
// simulates.
extern "C" const char* __asan_default_options();  // NOLINT: the sanitizer's name
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }

namespace weir::sim {

World::World(std::uint64_t seed, bool print_trace) : rng_(seed), trace_(print_trace) {}

World::~World() {
  // What is still queued may own coroutines and objects in any state: they are not run and not destroyed.
  for (Slot& slot : slots_) {
    if (slot.callback) bury(std::move(slot.callback));
  }
}

base::WallMs World::wall_ms() const {
  return world_start_wall_ms + std::chrono::duration_cast<std::chrono::milliseconds>(now_ - world_start).count();
}

void World::bury(runtime::Callback callback) {
  // Never freed: see the header.
  static auto* const graveyard = new std::deque<runtime::Callback>;
  graveyard->push_back(std::move(callback));
}

runtime::TimerId World::at(base::MonoTime when, SimReactor* reactor, runtime::Callback callback) {
  std::uint32_t index = 0;
  if (free_slots_.empty()) {
    index = static_cast<std::uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.callback = std::move(callback);
  slot.reactor = reactor;
  enqueue(std::max(when, now_), index);
  return (static_cast<std::uint64_t>(slot.generation) << 32U) | (index + 1U);
}

void World::enqueue(base::MonoTime when, std::uint32_t slot) {
  const Entry entry{when, next_sequence_++, slot};
  if (when == now_) {
    now_queue_.push_back(entry);
    return;
  }
  heap_.push_back(entry);
  std::push_heap(heap_.begin(), heap_.end(), std::greater<>{});
}

void World::cancel(runtime::TimerId id) {
  if (id == 0) return;
  const auto index = static_cast<std::uint32_t>(id & 0xFFFFFFFFU) - 1U;
  if (index >= slots_.size() || slots_[index].generation != static_cast<std::uint32_t>(id >> 32U)) return;
  slots_[index].callback = nullptr;  // the queue entry is skipped when its time comes
}

void World::free_slot(std::uint32_t slot) {
  slots_[slot].callback = nullptr;
  slots_[slot].reactor = nullptr;
  ++slots_[slot].generation;
  free_slots_.push_back(slot);
}

void World::run_slot(std::uint32_t index) {
  Slot& slot = slots_[index];
  if (!slot.callback) {
    free_slot(index);
    return;
  }
  SimReactor* const reactor = slot.reactor;
  if (reactor == nullptr) {
    runtime::Callback callback = std::move(slot.callback);
    free_slot(index);
    trace_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    callback();
    return;
  }
  if (reactor->dead()) {
    bury(std::move(slot.callback));
    free_slot(index);
    return;
  }
  if (reactor->held()) {
    reactor->held_slots_.push_back(index);
    return;
  }
  runtime::Callback callback = std::move(slot.callback);
  free_slot(index);
  trace_.mix(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  trace_.mix(reactor->id());
  reactor->run(callback);
  if (reactor->dead()) bury(std::move(callback));
}

bool World::step() {
  Entry entry{};
  const bool queue_first = !now_queue_.empty() &&
                           (heap_.empty() || heap_.front().when > now_ || heap_.front().sequence > now_queue_.front().sequence);
  if (queue_first) {
    entry = now_queue_.front();
    now_queue_.pop_front();
  } else {
    if (heap_.empty()) return false;
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>{});
    entry = heap_.back();
    heap_.pop_back();
    if (entry.when > now_) {
      now_ = entry.when;
      events_this_instant_ = 0;
    }
  }
  ENSURE(++events_this_instant_ <= events_per_instant_max, "livelock: virtual time stands still at {} ns",
         now_.time_since_epoch().count());
  run_slot(entry.slot);
  ended_event();
  return true;
}

void World::ended_event() {
  if (++events_run_ % trace_checkpoint_events == 0) trace_.checkpoint();
  while (!after_event_.empty()) {
    std::vector<runtime::Callback> callbacks = std::exchange(after_event_, {});
    for (runtime::Callback& callback : callbacks) callback();
  }
}

void World::run_until(base::MonoTime when) {
  while (!now_queue_.empty() || (!heap_.empty() && heap_.front().when <= when)) step();
  if (now_ < when) {
    now_ = when;
    events_this_instant_ = 0;
  }
}

bool World::run_until(const std::function<bool()>& condition, base::MonoTime limit) {
  while (!condition()) {
    if (now_queue_.empty() && (heap_.empty() || heap_.front().when > limit)) {
      if (now_ < limit) now_ = limit;
      return condition();
    }
    step();
  }
  return true;
}

void World::arm_crash(CrashPoint kind, std::uint64_t nth, std::function<void(Incarnation&, CrashPoint)> strike) {
  armed_.insert_or_assign(kind, Armed{.in = nth, .strike = std::move(strike)});
}

void World::crash_point(Incarnation& process, CrashPoint point) {
  if (armed_.empty() || process.dead() || !process.may_crash()) return;
  for (const CrashPoint kind : {point, CrashPoint::count_}) {
    const auto it = armed_.find(kind);
    if (it == armed_.end() || --it->second.in > 0) continue;
    faults_.strike(point);
    note(to_string(point), process.id());
    after_this_event([strike = std::move(it->second.strike), &process, point] {
      if (!process.dead()) strike(process, point);
    });
    armed_.erase(it);
  }
}

}  // namespace weir::sim
