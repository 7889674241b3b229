// sim/world.h: virtual time and the one event queue of a simulated run.
// Why:        a whole cluster with its clients, disks, network, store and keyspace runs in one thread, so that a seed replays
//             exactly and ten virtual minutes cost a second.
// Place:      the root of every simulated door; sim/ only.
// Contract:   events run in order of (virtual time, sequence). An event belongs to a reactor (a shard of a process) or to the
//             world (devices, network, store). Events of a dead process never run: what they hold is leaked on purpose, since
//             a killed process runs no destructors either. Events of a paused one are held, in order.
// Limits:     events_per_instant_max: more at one virtual time is a livelock and aborts.
// Tests:      sim/world_test.cc
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "runtime/reactor.h"
#include "sim/faults.h"
#include "sim/rng.h"
#include "sim/trace.h"

namespace weir::sim {

class Incarnation;
class SimReactor;

inline constexpr std::uint64_t events_per_instant_max = 1'000'000;
inline constexpr std::uint64_t trace_checkpoint_events = 1'000;
/// Virtual time begins here, so that MonoTime{} stays "none"; and the wall clock's reading at that moment.
inline constexpr base::MonoTime world_start{std::chrono::seconds(1'000)};
inline constexpr base::WallMs world_start_wall_ms = 1'790'000'000'000;

class World {
 public:
  explicit World(std::uint64_t seed, bool print_trace = false);
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World();

  [[nodiscard]] base::MonoTime now() const { return now_; }
  [[nodiscard]] base::WallMs wall_ms() const;
  /// An independent stream of chance for a door.
  Rng rng(std::string_view label) { return rng_.fork(label); }
  Trace& trace() { return trace_; }
  void note(std::string_view what, std::uint64_t a = 0, std::uint64_t b = 0) { trace_.note(now_, what, a, b); }
  FaultTable& faults() { return faults_; }
  void fire(Fault fault) {
    faults_.fire(fault);
    note(to_string(fault));
  }

  /// An event at `when` (not before now); reactor null: of the world itself. The id cancels it.
  runtime::TimerId at(base::MonoTime when, SimReactor* reactor, runtime::Callback callback);
  runtime::TimerId after(base::Duration delay, runtime::Callback callback) {
    return at(now_ + delay, nullptr, std::move(callback));
  }
  void cancel(runtime::TimerId id);
  /// Runs when the current event has ended, before any other: for crashes that strike inside an event of their victim.
  void after_this_event(runtime::Callback callback) { after_event_.push_back(std::move(callback)); }

  /// Runs one event; false when there is none.
  bool step();
  /// Runs all events up to the time and sets the clock to it.
  void run_until(base::MonoTime when);
  void run_for(base::Duration duration) { run_until(now_ + duration); }
  /// Until the condition holds (checked after each event) or the time has come; whether it held.
  bool run_until(const std::function<bool()>& condition, base::MonoTime limit);
  [[nodiscard]] std::uint64_t events_run() const { return events_run_; }

  /// A place where an armed crash may strike the process.
  void crash_point(Incarnation& process, CrashPoint point);
  /// The `nth` crash point from now (1 = the next) of any process, of this kind or of any (count_), runs `strike` after its
  /// event. One is armed for each kind at a time, and one for any.
  void arm_crash(CrashPoint kind, std::uint64_t nth, std::function<void(Incarnation&, CrashPoint)> strike);
  void disarm_crash() { armed_.clear(); }

  /// Numbers in order of creation, for traces.
  std::uint64_t next_id() { return ++last_id_; }
  /// Keeps what a dead process owned from being destroyed.
  static void bury(runtime::Callback callback);

 private:
  friend class SimReactor;
  struct Slot {
    runtime::Callback callback;
    SimReactor* reactor = nullptr;
    std::uint32_t generation = 0;
  };
  struct Entry {
    base::MonoTime when;
    std::uint64_t sequence;
    std::uint32_t slot;
    bool operator>(const Entry& other) const { return when != other.when ? when > other.when : sequence > other.sequence; }
  };
  void enqueue(base::MonoTime when, std::uint32_t slot);
  void run_slot(std::uint32_t slot);
  void free_slot(std::uint32_t slot);
  void ended_event();

  Rng rng_;
  Trace trace_;
  FaultTable faults_;
  base::MonoTime now_ = world_start;
  std::uint64_t next_sequence_ = 0;
  std::uint64_t events_run_ = 0;
  std::uint64_t events_this_instant_ = 0;
  std::uint64_t last_id_ = 0;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::vector<Entry> heap_;      ///< min-heap of later events
  std::deque<Entry> now_queue_;  ///< events of this very instant, in sequence: no heap work for the common post()
  std::vector<runtime::Callback> after_event_;
  struct Armed {
    std::uint64_t in = 0;
    std::function<void(Incarnation&, CrashPoint)> strike;
  };
  std::map<CrashPoint, Armed> armed_;  ///< count_: any kind
};

}  // namespace weir::sim
