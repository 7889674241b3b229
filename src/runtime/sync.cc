#include "runtime/sync.h"

#include <algorithm>

#include "runtime/scope.h"
#include "runtime/submit.h"

namespace weir::runtime {

void Stop::request() {
  if (requested_) return;
  requested_ = true;
  for (runtime::Callback& callback : callbacks_) callback();
}

Stop::Callback::Callback(Stop* stop, runtime::Callback callback) : stop_(stop) {
  if (stop_ == nullptr) return;
  if (stop_->requested_) {
    callback();
    return;
  }
  at_ = stop_->callbacks_.insert(stop_->callbacks_.end(), std::move(callback));
}

Stop::Callback::~Callback() {
  if (at_) stop_->callbacks_.erase(*at_);
}

namespace {

// Suspends until woken by its list's owner, the deadline or the stop. `waiters` may be null (a pure sleep).
struct ListAwaiter {
  std::list<detail::Waiter*>* waiters;
  base::MonoTime deadline;
  Stop* stop;
  detail::Waiter waiter{};
  TimerId timer = 0;
  std::list<detail::Waiter*>::iterator at{};
  std::optional<Stop::Callback> on_stop{};

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    waiter.handle = handle;
    waiter.reactor = &Reactor::current();
    if (waiters != nullptr) at = waiters->insert(waiters->end(), &waiter);
    if (deadline != no_deadline) {
      timer = waiter.reactor->call_at(deadline, [w = &waiter, this] {
        timer = 0;
        w->wake(Wake::timeout);
      });
    }
    on_stop.emplace(stop, [w = &waiter] { w->wake(Wake::stopped); });
  }
  Wake await_resume() {
    on_stop.reset();
    if (timer != 0) waiter.reactor->cancel_timer(timer);
    if (waiters != nullptr) waiters->erase(at);
    return waiter.result;
  }
};

}  // namespace

void Event::set() {
  if (set_) return;
  set_ = true;
  pulse();
}

void Event::pulse() {
  for (detail::Waiter* waiter : waiters_) waiter->wake(Wake::ready);
}

Task<Wake> Event::wait(base::MonoTime deadline, Stop* stop) {
  if (set_) co_return Wake::ready;
  if (stop != nullptr && stop->requested()) co_return Wake::stopped;
  co_return co_await ListAwaiter{.waiters = &waiters_, .deadline = deadline, .stop = stop};
}

Task<Wake> sleep_until(base::MonoTime when, Stop* stop) {
  if (stop != nullptr && stop->requested()) co_return Wake::stopped;
  co_return co_await ListAwaiter{.waiters = nullptr, .deadline = when, .stop = stop};
}

Task<Wake> sleep_for(base::Duration duration, Stop* stop) { return sleep_until(Reactor::current().now() + duration, stop); }

Task<void> yield() {
  struct Awaiter {
    [[nodiscard]] bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const { Reactor::current().post_resume(handle); }
    void await_resume() const noexcept {}
  };
  co_await Awaiter{};
}

bool Semaphore::try_acquire(std::size_t units) {
  const std::size_t wanted = std::min(units, total_);
  if (waiting_count_ > 0 || free_ < wanted) return false;
  free_ -= wanted;
  return true;
}

Task<Wake> Semaphore::acquire(std::size_t units, base::MonoTime deadline, Stop* stop) {
  if (try_acquire(units)) co_return Wake::ready;
  const std::size_t wanted = std::min(units, total_);
  const std::uint64_t ticket = next_ticket_++;
  queue_.push_back(ticket);
  ++waiting_count_;
  Wake why = Wake::ready;
  while (!(queue_.front() == ticket && free_ >= wanted)) {
    why = co_await changed_.wait(deadline, stop);
    if (why != Wake::ready) break;
  }
  --waiting_count_;
  std::erase(queue_, ticket);
  if (why == Wake::ready) free_ -= wanted;
  changed_.pulse();  // the next in the queue may fit now
  co_return why;
}

void Semaphore::release(std::size_t units) {
  free_ += std::min(units, total_);
  ENSURE(free_ <= total_, "released more than was taken: {} free of {}", free_, total_);
  changed_.pulse();
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
