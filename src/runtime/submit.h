// runtime/submit.h: running something on another shard and getting its result back. Only moved or immutable values cross.
// Contract:   co_await submit_to(target, fn) runs fn on target's reactor and resumes on the caller's. fn returns a value or a
//             Task. Between one pair of shards, calls begin in order. The call waits without a deadline: what it runs must
//             bound itself.
#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "runtime/reactor.h"
#include "runtime/task.h"

namespace weir::runtime {

namespace detail {
template <class T>
struct IsTask : std::false_type {
  using value_type = T;
};
template <class T>
struct IsTask<Task<T>> : std::true_type {
  using value_type = T;
};

/// Starts at once and destroys itself; used only to carry a call across.
struct Carrier {
  struct promise_type {
    static void* operator new(std::size_t size_bytes) { return FramePool::take(size_bytes); }
    static void operator delete(void* frame, std::size_t size_bytes) noexcept { FramePool::give(frame, size_bytes); }
    Carrier get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };
};

template <class Fn, class R>
Carrier carry(Fn fn, std::optional<R>* result, Reactor* home, std::coroutine_handle<> waiter) {
  if constexpr (IsTask<std::invoke_result_t<Fn&>>::value) {
    result->emplace(co_await fn());
  } else {
    result->emplace(fn());
  }
  home->post_resume(waiter);
}
template <class Fn>
Carrier carry_void(Fn fn, Reactor* home, std::coroutine_handle<> waiter) {
  if constexpr (IsTask<std::invoke_result_t<Fn&>>::value) {
    co_await fn();
  } else {
    fn();
  }
  home->post_resume(waiter);
}

template <class Fn, class R>
struct SubmitAwaiter {
  Reactor* target;
  Fn fn;
  std::optional<R> result;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    Reactor* home = &Reactor::current();
    target->post([this, home, waiter]() mutable { carry<Fn, R>(std::move(fn), &result, home, waiter); });
  }
  R await_resume() { return std::move(*result); }
};
template <class Fn>
struct SubmitAwaiter<Fn, void> {
  Reactor* target;
  Fn fn;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    Reactor* home = &Reactor::current();
    target->post([this, home, waiter]() mutable { carry_void<Fn>(std::move(fn), home, waiter); });
  }
  void await_resume() noexcept {}
};
}  // namespace detail

/// See the header. A plain function object runs inline when the target is the current reactor.
template <class Fn>
auto submit_to(Reactor& target, Fn fn) -> Task<typename detail::IsTask<std::invoke_result_t<Fn&>>::value_type> {
  using R = typename detail::IsTask<std::invoke_result_t<Fn&>>::value_type;
  constexpr bool is_task = detail::IsTask<std::invoke_result_t<Fn&>>::value;
  if (&target == &Reactor::current()) {
    if constexpr (is_task) {
      co_return co_await fn();
    } else {
      co_return fn();
    }
  }
  co_return co_await detail::SubmitAwaiter<Fn, R>{.target = &target, .fn = std::move(fn)};
}

}  // namespace weir::runtime
