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
#include <optional>
#include <utility>

#include "base/ensure.h"
#include "base/units.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace weir::runtime {

namespace detail {
/// A place in a ring of links: what waits lies in the waiting coroutine's frame, so that a wait allocates nothing.
struct Link {
  Link* previous = this;
  Link* next = this;
  Link() = default;
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  [[nodiscard]] bool linked() const { return next != this; }
  void unlink() {
    previous->next = next;
    next->previous = previous;
    previous = next = this;
  }
  void link_before(Link& other) {
    previous = other.previous;
    next = &other;
    previous->next = this;
    other.previous = this;
  }
};
}  // namespace detail

/// A request to stop, given once, seen by every wait that was handed it. Owned by a Scope or a server; borrowed by waits.
class Stop {
 public:
  Stop() = default;
  Stop(const Stop&) = delete;
  Stop& operator=(const Stop&) = delete;
  ~Stop() { ENSURE(!callbacks_.linked(), "a Stop was destroyed while waits borrow it"); }
  [[nodiscard]] bool requested() const { return requested_; }
  /// Idempotent. Runs the registered callbacks once, in order of registration.
  void request();

  /// Registers a callback for the request; unregisters when destroyed. Runs it at once (inside the constructor) if requested.
  /// The callback must neither register nor unregister callbacks of this Stop: it wakes, closes or marks, and returns.
  class Callback : private detail::Link {
   public:
    Callback(Stop* stop, runtime::Callback callback);
    ~Callback() { unlink(); }

   private:
    friend class Stop;
    runtime::Callback callback_;
  };

 private:
  bool requested_ = false;
  detail::Link callbacks_;  ///< the ring's head
};

/// Why a wait ended.
enum class Wake : std::uint8_t { ready, timeout, stopped };

inline constexpr base::MonoTime no_deadline = base::MonoTime::max();

/// One wait: until its list's owner wakes it, the deadline, or the stop; the first wins. Resumes on the reactor that awaited it,
/// through its queue. Only to be awaited at once: `co_await event.wait(...)`.
class [[nodiscard("a wait that is not awaited does not wait")]] WaitAwaiter : private detail::Link {
 public:
  /// list: the ring's head, null for a pure sleep. already_ready: do not wait at all.
  WaitAwaiter(detail::Link* list, bool already_ready, base::MonoTime deadline, Stop* stop, std::size_t units = 0)
      : list_(list), stop_(stop), deadline_(deadline), units_(units), already_ready_(already_ready) {}
  ~WaitAwaiter();
  [[nodiscard]] bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> waiter);
  Wake await_resume();

 private:
  friend class Event;
  friend class Semaphore;
  void wake(Wake why);
  void forget_others();
  detail::Link* list_;
  Stop* stop_;
  base::MonoTime deadline_;
  std::size_t units_;  ///< what a Semaphore's waiter wants
  std::coroutine_handle<> waiter_;
  Reactor* reactor_ = nullptr;
  TimerId timer_ = 0;
  std::optional<Stop::Callback> on_stop_;
  Wake result_ = Wake::ready;
  bool already_ready_;
  bool woken_ = false;
};

/// A condition that is set and reset; wait() returns while it is set.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { ENSURE(!waiters_.linked(), "an Event was destroyed while it is waited for"); }
  [[nodiscard]] bool is_set() const { return set_; }
  void set();
  void reset() { set_ = false; }
  /// Wakes all current waiters without setting (a condition variable's notify_all).
  void pulse();
  /// Gives Wake: waits until set or pulsed; `stop` may be null.
  WaitAwaiter wait(base::MonoTime deadline = no_deadline, Stop* stop = nullptr) { return {&waiters_, set_, deadline, stop}; }

 private:
  bool set_ = false;
  detail::Link waiters_;
};

/// Gives Wake: timeout = slept through, stopped = the stop came first (or was there already).
inline WaitAwaiter sleep_until(base::MonoTime when, Stop* stop = nullptr) { return {nullptr, false, when, stop}; }
WaitAwaiter sleep_for(base::Duration duration, Stop* stop = nullptr);

struct [[nodiscard]] YieldAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const { Reactor::current().post_resume(handle); }
  void await_resume() const noexcept {}
};
/// Lets every event that is already queued run first.
inline YieldAwaiter yield() { return {}; }
struct [[nodiscard]] StepAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const {
    Reactor::current().post_step([handle] { handle.resume(); });
  }
  void await_resume() const noexcept {}
};
/// The same, and due timers, sockets and files; of all who wait here as many go on between two looks at them, in order, as 0.1 ms hold, one
/// at least. For long work in steps of about that: what takes longer at once is a latency of every request of the shard.
inline StepAwaiter give_way() { return {}; }

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
  WaitAwaiter wait(base::MonoTime deadline = no_deadline, Stop* stop = nullptr) { return ready_.wait(deadline, stop); }

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
  void close() {
    closed_ = true;
    changed_.pulse();
  }

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
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;
  ~Semaphore() { ENSURE(!waiters_.linked(), "a Semaphore was destroyed while it is waited for"); }
  [[nodiscard]] std::size_t available() const { return free_; }
  [[nodiscard]] std::size_t total() const { return total_; }
  /// Takes units if they are free and nobody waits in front. A request above total() is granted when all are free.
  bool try_acquire(std::size_t units);
  Task<Wake> acquire(std::size_t units, base::MonoTime deadline = no_deadline, Stop* stop = nullptr);
  void release(std::size_t units);

 private:
  void grant();
  std::size_t free_;
  std::size_t total_;
  detail::Link waiters_;  ///< oldest first
};

}  // namespace weir::runtime
