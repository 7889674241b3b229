// runtime/sync.h: waiting within one shard: stop requests, sleeping, one-shot results, events, bounded channels, semaphores.
// Contract:   nothing here is thread-safe: all parties live on one reactor. Between shards use submit.h. A waiter is resumed
//             through the reactor's queue (never inside the call that wakes it), so a caller's invariants hold across a wake.
// Failure:    a wait that is stopped or past its deadline says so in its return value; nothing is thrown.
// Limits:     Channel and Semaphore have a named capacity given by their owner.
// Tests:      runtime/sync_test.cc
#pragma once

#include <coroutine>
#include <cstddef>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <utility>

#include "base/ensure.h"
#include "base/units.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace weir::runtime {

/// A request to stop, given once, seen by every wait that was handed it. Owned by a Scope or a server; borrowed by waits.
class Stop {
 public:
  Stop() = default;
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  ~Stop() { ENSURE(callbacks_.empty(), "a Stop was destroyed while {} waits borrow it", callbacks_.size()); }
  [[nodiscard]] bool requested() const { return requested_; }
  /// Idempotent. Runs the registered callbacks once, in order of registration.
  void request();

  /// Registers a callback for the request; unregisters when destroyed. Runs it at once (inside the constructor) if requested.
  /// The callback must neither register nor unregister callbacks of this Stop: it wakes, closes or marks, and returns.
  class Callback {
   public:
    Callback(Stop* stop, runtime::Callback callback);
    ~Callback();
    Callback(const Callback&) = delete;
    Callback& operator=(const Callback&) = delete;

   private:
    Stop* stop_;
    std::optional<std::list<runtime::Callback>::iterator> at_;
  };

 private:
  bool requested_ = false;
  std::list<runtime::Callback> callbacks_;
};

/// Why a wait ended.
enum class Wake : std::uint8_t { ready, timeout, stopped };

namespace detail {
/// A suspended coroutine in somebody's list, with optional deadline and stop. Lives in the awaiting coroutine's frame.
struct Waiter {
  std::coroutine_handle<> handle;
  Reactor* reactor = nullptr;
  Wake result = Wake::ready;
  bool done = false;
  /// Marks done and resumes through the queue; the first call wins.
  bool wake(Wake why) {
    if (done) return false;
    done = true;
    result = why;
    reactor->post_resume(handle);
    return true;
  }
};
}  // namespace detail

inline constexpr base::MonoTime no_deadline = base::MonoTime::max();

/// A condition that is set and reset; wait() returns while it is set.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { ENSURE(waiters_.empty(), "an Event was destroyed with {} waiters", waiters_.size()); }
  [[nodiscard]] bool is_set() const { return set_; }
  void set();
  void reset() { set_ = false; }
  /// Wakes all current waiters without setting (a condition variable's notify_all).
  void pulse();
  /// Waits until set or pulsed; `stop` may be null. Resumes on the calling reactor.
  Task<Wake> wait(base::MonoTime deadline = no_deadline, Stop* stop = nullptr);

 private:
  bool set_ = false;
  std::list<detail::Waiter*> waiters_;
};

/// Sleeps until the time; timeout = slept through, stopped = the stop came first (or was there already).
Task<Wake> sleep_until(base::MonoTime when, Stop* stop = nullptr);
Task<Wake> sleep_for(base::Duration duration, Stop* stop = nullptr);
/// Lets every event that is already queued run first.
Task<void> yield();

/// A value that arrives once, for any number of waiters on the same shard. Held by shared_ptr when sender and waiter differ.
template <class T>
class Completion {
 public:
  [[nodiscard]] bool has_value() const { return value_.has_value(); }
  [[nodiscard]] const T& value() const { return *value_; }
  T take() { return std::move(*value_); }
  /// The first value wins; returns false for later ones.
  bool complete(T value) {
    if (value_) return false;
    value_.emplace(std::move(value));
    ready_.set();
    return true;
  }
  /// ready: value() is there. T is not moved out.
  Task<Wake> wait(base::MonoTime deadline = no_deadline, Stop* stop = nullptr) { return ready_.wait(deadline, stop); }

 private:
  std::optional<T> value_;
  Event ready_;
};

/// A bounded queue between coroutines of one shard.
template <class T>
class Channel {
 public:
  explicit Channel(std::size_t capacity) : capacity_(capacity) { ENSURE(capacity > 0, "a channel needs room"); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] bool full() const { return items_.size() >= capacity_; }
  [[nodiscard]] bool closed() const { return closed_; }
  /// False when full or closed; the item is dropped then.
  bool try_push(T item) {
    if (closed_ || full()) return false;
    items_.push_back(std::move(item));
    changed_.pulse();
    return true;
  }
  /// Waits for room; false when closed or stopped.
  Task<bool> push(T item, Stop* stop = nullptr) {
    while (!closed_ && full()) {
      if (co_await changed_.wait(no_deadline, stop) == Wake::stopped) co_return false;
    }
    co_return try_push(std::move(item));
  }
  std::optional<T> try_pop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    changed_.pulse();
    return item;
  }
  /// The next item; empty when closed and drained, at the deadline, or stopped.
  Task<std::optional<T>> pop(base::MonoTime deadline = no_deadline, Stop* stop = nullptr) {
    while (items_.empty() && !closed_) {
      if (co_await changed_.wait(deadline, stop) != Wake::ready) co_return std::nullopt;
    }
    co_return try_pop();
  }
  /// No further push; what is inside can still be popped.
  void close() { closed_ = true; changed_.pulse(); }

 private:
  std::size_t capacity_;
  std::deque<T> items_;
  bool closed_ = false;
  Event changed_;
};

/// Counts units of a budget (bytes, requests). First come, first served.
class Semaphore {
 public:
  explicit Semaphore(std::size_t units) : free_(units), total_(units) {}
  [[nodiscard]] std::size_t available() const { return free_; }
  [[nodiscard]] std::size_t total() const { return total_; }
  /// Takes units if they are free and nobody waits in front. A request above total() is granted when all are free.
  bool try_acquire(std::size_t units);
  Task<Wake> acquire(std::size_t units, base::MonoTime deadline = no_deadline, Stop* stop = nullptr);
  void release(std::size_t units);

 private:
  std::size_t free_;
  std::size_t total_;
  std::size_t waiting_count_ = 0;
  std::uint64_t next_ticket_ = 0;
  std::deque<std::uint64_t> queue_;  ///< tickets of those that wait, oldest first
  Event changed_;
};

}  // namespace weir::runtime
