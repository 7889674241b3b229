// runtime/reactor.h: one event loop, the home of one shard. Time, chance and every wake-up come through it.
// Why:        the door for simulation: the real reactor stands on epoll, the simulated ones share one queue ordered by
//             (virtual time, sequence).
// Contract:   everything that belongs to a shard is touched only from its reactor. post() may be called from any thread;
//             all else only on the reactor itself. Callbacks and coroutine resumptions run one at a time.
// Invariants: current() is the reactor whose event is running on this thread (asserted by the awaitables).
// Tests:      runtime/testing/reactor_conformance.h runs on the real and the simulated reactor.
#pragma once

#include <coroutine>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/strong.h"
#include "base/units.h"

namespace weir::runtime {

using ShardId = base::Strong<std::uint32_t, struct ShardIdTag>;
using Callback = std::move_only_function<void()>;

/// Handle of a pending timer; 0 = none.
using TimerId = std::uint64_t;

class Reactor {
 public:
  virtual ~Reactor() = default;
  [[nodiscard]] ShardId shard() const { return shard_; }
  /// Monotonic, counts suspended time (CLOCK_BOOTTIME). Cheap: may be cached per event-loop turn.
  [[nodiscard]] virtual base::MonoTime now() const = 0;
  /// Milliseconds since 1970 UTC; may jump.
  [[nodiscard]] virtual base::WallMs wall_now_ms() const = 0;
  /// 64 random bits. Real: seeded from the OS. Simulated: from the run's seed.
  [[nodiscard]] virtual std::uint64_t random() = 0;
  /// Runs the callback later on this reactor, in order of posting per calling thread. Thread-safe.
  virtual void post(Callback callback) = 0;
  /// Resumes the coroutine later on this reactor. Thread-safe.
  virtual void post_resume(std::coroutine_handle<> handle) {
    post([handle] { handle.resume(); });
  }
  /// Runs the callback later on this reactor, as one step of long work: in order with other steps, behind everything else that waits, and
  /// (real) a few short ones or one long one between two looks at sockets and files. Only on this reactor.
  virtual void post_step(Callback callback) { call_at(now(), std::move(callback)); }
  /// Runs the callback at or after `when`. Returns its id for cancel_timer().
  virtual TimerId call_at(base::MonoTime when, Callback callback) = 0;
  /// After this the callback does not run (if it had not begun). Unknown or finished ids are ignored.
  virtual void cancel_timer(TimerId id) = 0;

  /// The reactor running on this thread; nullptr outside one.
  static Reactor* current_or_null();
  /// The same; asserts that there is one.
  static Reactor& current();

 protected:
  explicit Reactor(ShardId shard) : shard_(shard) {}
  /// Set by implementations around each event they run.
  class CurrentGuard {
   public:
    explicit CurrentGuard(Reactor& reactor);
    ~CurrentGuard();
    CurrentGuard(const CurrentGuard&) = delete;
    CurrentGuard& operator=(const CurrentGuard&) = delete;

   private:
    Reactor* previous_;
  };

 private:
  ShardId shard_;
};

}  // namespace weir::runtime
