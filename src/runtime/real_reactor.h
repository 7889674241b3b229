// runtime/real_reactor.h: the reactor of the real runtime: one thread, one Asio io_context (epoll), own queue and timers.
// Why:        Asio's own post and timers cost a lock and an allocation each; a shard posts to itself several times per request.
//             So Asio is asked only for readiness, and everything the shard tells itself stays in a plain vector.
// Place:      internal to runtime (it names Asio); made by real.cc.
// Contract:   run() is called once, on the shard's own thread. A turn: what was queued, due timers, what other threads posted,
//             the turn hook (file submissions), then readiness; it blocks in epoll only when nothing is queued.
// Invariants: I1 a callback posted by another thread never waits for an unrelated event: `sleeping_` is set before the last look
//                at `remote_pending_`, and the poster looks at them in the opposite order.
//             I2 no periodic tick: the timerfd (CLOCK_BOOTTIME) is armed for the earliest timer only.
// Limits:     batches_per_turn_max, polls_per_turn_max keep I/O, timers and the queue from starving one another. The queue itself
//             is bounded by its posters: each entry is a suspended coroutine or a callback somebody accounts for.
// Tests:      runtime/testing/reactor_conformance.h
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "runtime/reactor.h"
#include "runtime/timer_heap.h"

namespace weir::runtime {

inline constexpr int batches_per_turn_max = 4;
inline constexpr int polls_per_turn_max = 64;
inline constexpr int timers_per_turn_max = 1024;

/// What must happen once per turn, before the reactor may block.
class TurnHook {
 public:
  virtual ~TurnHook() = default;
  /// Called once, on the reactor's thread, before the first turn.
  virtual void on_start() = 0;
  /// Submits and reaps. True when it resumed something.
  virtual bool on_turn() = 0;
};

class RealReactor final : public Reactor {
 public:
  explicit RealReactor(ShardId shard);
  ~RealReactor() override;
  [[nodiscard]] base::MonoTime now() const override;
  [[nodiscard]] base::WallMs wall_now_ms() const override;
  [[nodiscard]] std::uint64_t random() override;
  void post(Callback callback) override;
  TimerId call_at(base::MonoTime when, Callback callback) override;
  void cancel_timer(TimerId id) override;

  /// Runs events until request_stop(). Callbacks still queued then are destroyed without running.
  void run();
  /// Thread-safe.
  void request_stop();
  /// Before run(). Borrowed.
  void set_turn_hook(TurnHook* hook) { hook_ = hook; }
  [[nodiscard]] boost::asio::io_context& io() { return io_; }

 private:
  void run_queued();
  void run_due_timers();
  void take_remote();
  void wait_for_io();
  void arm_timer();
  void watch_timer();

  boost::asio::io_context io_{1};
  boost::asio::posix::stream_descriptor timer_descriptor_;
  base::MonoTime armed_for_ = base::MonoTime::max();
  TimerHeap timers_;
  std::vector<Callback> queue_;
  std::vector<Callback> running_;
  TurnHook* hook_ = nullptr;
  bool stopping_ = false;
  std::array<std::uint64_t, 4> random_state_{};

  std::atomic<bool> sleeping_{false};
  std::atomic<bool> remote_pending_{false};
  std::mutex remote_mutex_;
  std::vector<Callback> remote_;  ///< guarded by remote_mutex_
};

}  // namespace weir::runtime
