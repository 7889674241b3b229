// runtime/task.h: Task<T>, weir's coroutine type: lazy, single-owner, resumed by symmetric transfer.
// Why:        no library's type appears above runtime, so the simulator can run the same coroutines on virtual time; a nested
//             call costs about 10 ns.
// Contract:   a Task starts when it is awaited (once), or when a Scope runs it. It runs on the reactor that resumes it: all
//             awaitables of runtime/ resume on the reactor of the coroutine that waits. Exceptions must not leave a
//             coroutine body (they end the process): operating errors are Result values.
// Lifetimes:  parameters by value or a borrow that outlives the await; never a capturing-lambda coroutine.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/ensure.h"
#include "runtime/frame_pool.h"

namespace weir::runtime {

template <class T = void>
class Task;

namespace detail {

struct FinalAwaiter {
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    return self.promise().continuation_ ? self.promise().continuation_ : std::noop_coroutine();
  }
  void await_resume() const noexcept {}
};

class PromiseBase {
 public:
  static void* operator new(std::size_t size_bytes) { return FramePool::take(size_bytes); }
  static void operator delete(void* frame, std::size_t size_bytes) noexcept { FramePool::give(frame, size_bytes); }
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  std::coroutine_handle<> continuation_;
};

template <class T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object() noexcept;
  template <class U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T take() { return std::move(*value_); }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object() noexcept;
  void return_void() noexcept {}
  void take() noexcept {}
};

}  // namespace detail

template <class T>
class [[nodiscard("a task that is not awaited never runs")]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using value_type = T;
  Task() = default;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, {});
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
    handle_.promise().continuation_ = waiter;
    return handle_;
  }
  T await_resume() { return handle_.promise().take(); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() noexcept {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() noexcept {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}
}  // namespace detail

}  // namespace weir::runtime
