// runtime/real_reactor.h: the reactor of the real runtime: one epoll set, own queue and timers.
// Why:        a shard posts to itself several times per request, and wakes its neighbours several times per record: a wake costs one
//             eventfd write (none when the neighbour is awake), a wait for a socket no system call. A general loop (Boost.Asio) took
//             an epoll_ctl per wait and per wake, the latter under a lock that the woken thread ran into (docs/performance.md).
// Place:      internal to runtime; made by real.cc.
// Contract:   one thread at a time drives it (loop_crew.h). A turn: what other threads posted, what was queued, due timers, steps of
//             long work, the turn hook (file submissions and completions); then readiness. The driver blocks only when no turn has more to do.
// Invariants: I1 a callback posted by another thread never waits for an unrelated event: `sleeping_` is set before the last look
//                at `remote_pending_`, and the poster looks at them in the opposite order.
//             I2 no periodic tick: the timerfd (CLOCK_BOOTTIME) is armed for the earliest timer only.
//             I3 every descriptor is watched edge-triggered: nothing is read only to silence it, and whoever waits keeps the edge
//                that came before (Socket).
// Limits:     batches_per_turn_max, events_per_poll_max, turns_without_poll_max keep I/O, timers and the queue from starving one
//             another. The queue itself is bounded by its posters: each entry is a suspended coroutine or a callback somebody
//             accounts for.
// Tests:      runtime/testing/reactor_conformance.h, runtime/real_test.cc
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <mutex>
#include <vector>

#include <sys/epoll.h>

#include "runtime/metrics.h"
#include "runtime/reactor.h"
#include "runtime/stream_rank.h"
#include "runtime/timer_heap.h"

namespace weir::runtime {

inline constexpr int batches_per_turn_max = 4;
inline constexpr int turns_without_poll_max = 4;
inline constexpr int events_per_poll_max = 64;
/// Of sockets in the background, beside half as many as came of the first rank (stream_rank.h).
inline constexpr int background_events_per_poll = 1;
inline constexpr int timers_per_turn_max = 1024;
/// A turn asks for the time only when a timer is due within this of the last look: else the next look is early enough.
inline constexpr base::Duration timer_horizon = std::chrono::milliseconds(1);
/// Of steps of long work between two looks at the sockets: one at least, then until so much time has gone; or, on a loop that everything
/// else keeps busy, a fourth of the time since the last look: uploads must keep up with what comes in.
inline constexpr base::Duration step_time = std::chrono::microseconds(100);
inline constexpr int step_time_share = 4;

/// What must happen once per turn, before the reactor may block.
class TurnHook {
 public:
  virtual ~TurnHook() = default;
  /// Called once, on the reactor's thread, before the first turn.
  virtual void on_start() = 0;
  /// Submits and reaps. True when it resumed something.
  virtual bool on_turn() = 0;
};

/// Measures how long one thread works between two looks at its sockets.
class AwayClock {
 public:
  explicit AwayClock(LatencyHistogram* cell) : cell_(cell) {}
  /// Before epoll_wait, and after it.
  void looks(base::MonoTime now) const {
    if (cell_ != nullptr && since_ != base::MonoTime{}) cell_->record(now - since_);
  }
  void looked(base::MonoTime now) { since_ = now; }

 private:
  LatencyHistogram* cell_;  ///< null: nobody asks
  base::MonoTime since_{};
};

/// Whom epoll's events are for: a socket, the signals' pipe.
class PollTarget {
 public:
  /// On the thread that drives the reactor; may unwatch and destroy any target, itself too.
  virtual void on_events(std::uint32_t events) = 0;

 protected:
  ~PollTarget() = default;
};

class RealReactor final : public Reactor {
 public:
  explicit RealReactor(ShardId shard);
  ~RealReactor() override;
  [[nodiscard]] base::MonoTime now() const override;
  [[nodiscard]] base::WallMs wall_now_ms() const override;
  [[nodiscard]] std::uint64_t random() override;
  void post(Callback callback) override;
  void post_step(Callback callback) override { steps_.push_back(std::move(callback)); }
  TimerId call_at(base::MonoTime when, Callback callback) override;
  void cancel_timer(TimerId id) override;

  // The loop is driven from outside (loop_crew.h), by one thread at a time; the next one takes over through a lock. Callbacks still
  // queued when nobody drives it any more are destroyed without running.

  /// Once, on the shard's own thread, before the first turn.
  void begin();
  /// What was posted and queued, due timers, the hook; never blocks. True: there is more to do at once.
  bool turn();
  /// A step of long work waits: the driver may look at sockets, and not block.
  [[nodiscard]] bool has_steps() const { return !steps_.empty(); }
  /// The driver has looked at the sockets of all that it drives, at that time.
  void looked(base::MonoTime at);
  /// Before the driver may block: from now on whoever posts wakes it. False: something was posted already, do not block.
  [[nodiscard]] bool prepare_sleep();
  /// Delivers readiness; -1 blocks. Ends what prepare_sleep() began. This is the driver's look at all that it drives; `away` is its.
  void poll(int timeout_ms, AwayClock& away);
  /// Delivers what is ready: the driver has looked at all that it drives, and this one has something.
  void poll_ready();
  /// The driver is awake for another reason: posting needs no wake.
  void awake() { sleeping_.store(false); }
  [[nodiscard]] bool posted() const { return remote_pending_.load(); }
  [[nodiscard]] bool stopping() const { return stopping_; }
  /// Readable when poll(0) would deliver something.
  [[nodiscard]] int poll_descriptor() const { return first_.fd; }
  /// Thread-safe.
  void request_stop();
  /// Before it is driven. Borrowed.
  void set_turn_hook(TurnHook* hook) { hook_ = hook; }
  /// Edge-triggered. On the thread that drives it, or before that. The target is borrowed until unwatch(). False: errno says why.
  [[nodiscard]] bool watch(int fd, std::uint32_t events, PollTarget& target, Rank rank = Rank::first);
  /// Before the descriptor is closed; no event reaches the target any more. On the thread that drives it, or afterwards.
  void unwatch(int fd, const PollTarget& target, Rank rank = Rank::first);
  /// An eventfd: every write makes the loop take one more turn. It is never read.
  [[nodiscard]] int wake_descriptor() const { return wake_fd_; }

 private:
  void run_queued();
  void run_due_timers();
  void deliver();
  void run_steps();
  void take_remote();
  void arm_timer();

  struct TimerTarget final : PollTarget {
    explicit TimerTarget(RealReactor& reactor) : reactor_(reactor) {}
    void on_events(std::uint32_t /*events*/) override { reactor_.armed_for_ = base::MonoTime::max(); }
    RealReactor& reactor_;
  };

  /// An epoll set and what a look at it gave.
  struct PollSet {
    int fd;
    std::array<epoll_event, events_per_poll_max> events{};
    int count = 0;
    int index = 0;  ///< being delivered

    /// How many came.
    int wait(int events_max, int timeout_ms);
    void deliver();
    void forget(const PollTarget& target);
  };
  struct BackgroundTarget final : PollTarget {
    explicit BackgroundTarget(bool& ready) : ready_(ready) {}
    void on_events(std::uint32_t /*events*/) override { ready_ = true; }
    bool& ready_;
  };

  PollSet first_;  ///< everything but what is in the background; that set is a member of this one, by level
  PollSet background_;
  bool background_ready_ = false;
  BackgroundTarget background_target_{background_ready_};
  int wake_fd_;
  int timer_fd_;
  TimerTarget timer_target_{*this};
  base::MonoTime armed_for_ = base::MonoTime::max();
  TimerHeap timers_;
  std::vector<Callback> queue_;
  std::vector<Callback> running_;
  std::deque<Callback> steps_;  ///< bounded as the queue is
  bool may_step_ = true;        ///< none ran since the last look at the sockets
  base::MonoTime looked_at_{};  ///< the last look at the sockets
  bool stepping_ = false;       ///< there were steps at that look
  TurnHook* hook_ = nullptr;
  bool stopping_ = false;
  std::array<std::uint64_t, 4> random_state_{};

  std::atomic<bool> sleeping_{false};
  std::atomic<bool> remote_pending_{false};
  std::mutex remote_mutex_;
  std::vector<Callback> remote_;  ///< guarded by remote_mutex_
};

}  // namespace weir::runtime
