// runtime/loop_crew.h: the threads that drive the reactors: one each under load, one for all of them while there is little to do.
// Why:        a produce crosses shards several times (connection, partition, the lane of the WAL). When both shards' threads sleep in
//             between, every hop wakes a core: about 10 us of CPU each on a virtual machine, a third of what a lone record costs
//             (docs/performance.md). While one core could do all the work, one thread does: a hop is then a push to a queue.
// Place:      internal to runtime; made by real.cc.
// Contract:   run() starts the threads; stop() asks every reactor to stop and joins them. Which thread drives a reactor changes only
//             between turns and through a lock, so what runs on a reactor never runs twice at once and sees all that ran before.
// Invariants: I1 a reactor has exactly one driver. I2 nothing that is posted waits for a fold or an unfold: a thread that was asked to
//             hand its reactor over goes on driving it until it has. I3 no periodic tick: load is looked at when thread 0 is awake
//             anyway. I4 once any reactor stops, every thread drives its own again, to the end.
// Limits:     fold_below, unfold_above (of one core), looked at every fold_look / unfold_look; not folded again within refold_after.
// Tests:      runtime/loop_crew_test.cc
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/real.h"
#include "runtime/real_reactor.h"

namespace weir::runtime {

class LoopCrew {
 public:
  static constexpr double fold_below = 0.40;    ///< CPU of all loops together, in cores
  static constexpr double unfold_above = 0.60;  ///< of the one thread that drives all
  static constexpr base::Duration fold_look = std::chrono::milliseconds(100);
  static constexpr base::Duration unfold_look = std::chrono::milliseconds(20);
  static constexpr base::Duration refold_after = std::chrono::seconds(1);

  /// `away` (null: nobody asks) outlives the crew: how long each thread works between two looks at its sockets.
  LoopCrew(std::vector<RealReactor*> reactors, Folding folding, LatencyHistogram* away = nullptr);
  ~LoopCrew();
  LoopCrew(const LoopCrew&) = delete;
  LoopCrew& operator=(const LoopCrew&) = delete;
  void run();
  void stop();
  /// How often one thread took over all reactors. Any thread.
  [[nodiscard]] std::uint64_t folds() const { return folds_.load(std::memory_order_relaxed); }

 private:
  void drive_own(std::size_t index);
  void drive_all(AwayClock& away);
  /// Blocks until the reactor is this thread's again.
  void hand_over();
  /// True when this thread drove all reactors meanwhile.
  bool consider_fold(AwayClock& away);
  /// Gives every thread its reactor back.
  void unfold();
  [[nodiscard]] bool too_busy(base::MonoTime now);
  [[nodiscard]] double cpu_seconds_of_loops() const;
  void look_anew();

  std::vector<RealReactor*> reactors_;
  Folding folding_;
  LatencyHistogram* away_;
  int all_fd_ = -1;  ///< an epoll set of the reactors' own
  std::vector<std::thread> threads_;
  std::vector<clockid_t> clocks_;  ///< of the threads' CPU time

  std::atomic<bool> wanted_{false};     ///< thread 0 asks the others to hand over
  std::atomic<std::size_t> parked_{0};  ///< how many have
  std::atomic<bool> over_{false};       ///< no folding any more
  std::atomic<std::uint64_t> folds_{0};
  std::mutex mutex_;
  std::condition_variable unfolded_;

  // thread 0 only
  base::MonoTime looked_at_{};
  base::MonoTime no_fold_before_{};
  double cpu_looked_ = 0;
  std::uint64_t restless_turns_ = 0;
};

}  // namespace weir::runtime
