#include "runtime/sync.h"

#include <algorithm>

#include "runtime/scope.h"
#include "runtime/submit.h"

namespace weir::runtime {

void Stop::request() {
  if (requested_) return;
  requested_ = true;
  for (detail::Link* at = callbacks_.next; at != &callbacks_; at = at->next) static_cast<Callback*>(at)->callback_();
}

Stop::Callback::Callback(Stop* stop, runtime::Callback callback) : callback_(std::move(callback)) {
  if (stop == nullptr) return;
  if (stop->requested_) {
    callback_();
  } else {
    link_before(stop->callbacks_);
  }
}

WaitAwaiter::~WaitAwaiter() { forget_others(); }

bool WaitAwaiter::await_ready() noexcept {
  if (already_ready_) return true;
  if (stop_ == nullptr || !stop_->requested()) return false;
  result_ = Wake::stopped;
  return true;
}

void WaitAwaiter::await_suspend(std::coroutine_handle<> waiter) {
  waiter_ = waiter;
  reactor_ = &Reactor::current();
  if (list_ != nullptr) link_before(*list_);
  if (deadline_ != no_deadline) {
    timer_ = reactor_->call_at(deadline_, [this] {
      timer_ = 0;
      wake(Wake::timeout);
    });
  }
  if (stop_ != nullptr) on_stop_.emplace(stop_, [this] { wake(Wake::stopped); });
}

Wake WaitAwaiter::await_resume() {
  forget_others();
  return result_;
}

// Leaves the list at once: its owner may be gone before the waiter runs. The stop's ring is left later, by forget_others():
// a request walks it while it calls this.
void WaitAwaiter::wake(Wake why) {
  if (woken_) return;
  woken_ = true;
  result_ = why;
  unlink();
  reactor_->post_resume(waiter_);
}

void WaitAwaiter::forget_others() {
  on_stop_.reset();
  if (timer_ != 0) reactor_->cancel_timer(std::exchange(timer_, 0));
  unlink();
}

void Event::set() {
  if (set_) return;
  set_ = true;
  pulse();
}

void Event::pulse() {
  while (waiters_.linked()) static_cast<WaitAwaiter*>(waiters_.next)->wake(Wake::ready);
}

WaitAwaiter sleep_for(base::Duration duration, Stop* stop) { return sleep_until(Reactor::current().now() + duration, stop); }

bool Semaphore::try_acquire(std::size_t units) {
  const std::size_t wanted = std::min(units, total_);
  if (waiters_.linked() || free_ < wanted) return false;
  free_ -= wanted;
  return true;
}

Task<Wake> Semaphore::acquire(std::size_t units, base::MonoTime deadline, Stop* stop) {
  if (try_acquire(units)) co_return Wake::ready;
  const Wake why = co_await WaitAwaiter(&waiters_, false, deadline, stop, std::min(units, total_));
  if (why != Wake::ready) grant();  // the next in the queue may fit, now that this one has left
  co_return why;
}

void Semaphore::release(std::size_t units) {
  free_ += std::min(units, total_);
  ENSURE(free_ <= total_, "released more than was taken: {} free of {}", free_, total_);
  grant();
}

// Whoever is woken has its units already: nobody can come in between.
void Semaphore::grant() {
  while (waiters_.linked()) {
    auto* const first = static_cast<WaitAwaiter*>(waiters_.next);
    if (first->units_ > free_) return;
    free_ -= first->units_;
    first->wake(Wake::ready);
  }
}

namespace {
detail::Carrier run_in_scope(Task<void> task, std::size_t* running_count, Event* idle) {
  co_await yield();
  co_await task;
  task = Task<void>();  // the frame goes before the join sees it gone
  if (--*running_count == 0) idle->pulse();
}
}  // namespace

void Scope::spawn(std::string_view /*name*/, Task<void> task) {
  ++running_count_;
  run_in_scope(std::move(task), &running_count_, &idle_);
}

Task<void> Scope::stop() {
  stop_.request();
  co_await join();
}

Task<void> Scope::join() {
  while (running_count_ > 0) co_await idle_.wait();
}

}  // namespace weir::runtime
