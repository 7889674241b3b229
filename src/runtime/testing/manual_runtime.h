// runtime/testing/manual_runtime.h: reactors on one thread and virtual time, for unit tests of the rooms above runtime.
// Why:        a test of a protocol must choose the order of events and must never sleep: time jumps to the next timer when
//             nothing else is queued. sim/ has the whole broker with faults; this is the few lines a unit test needs.
// Contract:   events of all shards run in one order (virtual time, sequence), so a run is the same every time. run() drives a
//             task of shard 0 to its end and fails loudly when nothing is left that could wake it.
// Limits:     manual_events_max per run(): a loop that never ends is a failure, not a hang.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/ensure.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/submit.h"
#include "runtime/task.h"

namespace weir::runtime::testing {

inline constexpr std::uint64_t manual_events_max = 50'000'000;

/// The queue that all reactors of a test share.
class ManualQueue {
 public:
  using Key = std::pair<base::MonoTime, std::uint64_t>;
  Key add(base::MonoTime when, Callback run) {
    Key key{std::max(when, now_), next_sequence_++};
    events_.emplace(key, std::move(run));
    return key;
  }
  void erase(Key key) { events_.erase(key); }
  /// False when nothing is queued.
  bool step() {
    if (events_.empty()) return false;
    auto node = events_.extract(events_.begin());
    now_ = node.key().first;
    node.mapped()();
    return true;
  }
  [[nodiscard]] base::MonoTime now() const { return now_; }
  /// Whether an event is due without moving the clock.
  [[nodiscard]] bool due() const { return !events_.empty() && events_.begin()->first.first <= now_; }

 private:
  base::MonoTime now_{base::Duration(std::chrono::hours(1))};
  std::uint64_t next_sequence_ = 1;
  std::map<Key, Callback> events_;
};

class ManualReactor final : public Reactor {
 public:
  ManualReactor(ShardId shard, ManualQueue& queue, std::uint64_t seed) : Reactor(shard), queue_(queue), state_(seed) {}
  [[nodiscard]] base::MonoTime now() const override { return queue_.now(); }
  [[nodiscard]] base::WallMs wall_now_ms() const override {
    return 1'800'000'000'000 + std::chrono::duration_cast<std::chrono::milliseconds>(queue_.now().time_since_epoch()).count();
  }
  [[nodiscard]] std::uint64_t random() override {  // splitmix64
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }
  void post(Callback callback) override { enqueue(queue_.now(), std::move(callback)); }
  TimerId call_at(base::MonoTime when, Callback callback) override {
    const TimerId id = next_timer_++;
    timers_[id] = enqueue(when, [this, id, run = std::move(callback)]() mutable {
      timers_.erase(id);
      run();
    });
    return id;
  }
  void cancel_timer(TimerId id) override {
    const auto found = timers_.find(id);
    if (found == timers_.end()) return;
    queue_.erase(found->second);
    timers_.erase(found);
  }

 private:
  ManualQueue::Key enqueue(base::MonoTime when, Callback callback) {
    return queue_.add(when, [this, run = std::move(callback)]() mutable {
      CurrentGuard guard(*this);
      run();
    });
  }
  ManualQueue& queue_;
  std::uint64_t state_;
  TimerId next_timer_ = 1;
  std::map<TimerId, ManualQueue::Key> timers_;
};

/// Runs a blocking job as an event of its own, on the test's thread.
class ManualBlockingPool final : public BlockingPool {
 public:
  void submit(Reactor& home, Callback job, Callback done) override {
    home.post([&home, job = std::move(job), done = std::move(done)]() mutable {
      job();
      home.post(std::move(done));
    });
  }
};

/// Keeps the lines; a test may look for one.
class ManualLogger final : public Logger {
 public:
  [[nodiscard]] bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view room, std::string_view message, std::initializer_list<Field> fields) override {
    std::string line = fmt::format("{}: {}", room, message);
    for (const Field& field : fields) line += fmt::format(" {}={}", field.key, field.value);
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

class ManualMetrics final : public Metrics {
 public:
  Counter& counter(const MetricDecl& decl, std::string_view labels) override { return counters_[key(decl, labels)]; }
  Gauge& gauge(const MetricDecl& decl, std::string_view labels) override { return gauges_[key(decl, labels)]; }
  LatencyHistogram& histogram(const MetricDecl& decl, std::string_view labels) override {
    return histograms_[key(decl, labels)];
  }
  [[nodiscard]] std::string render(Detail) const override { return {}; }

 private:
  static std::string key(const MetricDecl& decl, std::string_view labels) { return fmt::format("{}{{{}}}", decl.name, labels); }
  std::map<std::string, Counter> counters_;
  std::map<std::string, Gauge> gauges_;
  std::map<std::string, LatencyHistogram> histograms_;
};

/// The doors of one test. Files and network are the test's to set.
class ManualRuntime {
 public:
  explicit ManualRuntime(std::uint32_t shard_count = 1, std::uint64_t seed = 1) {
    for (std::uint32_t i = 0; i < shard_count; ++i) {
      reactors_.push_back(std::make_unique<ManualReactor>(ShardId(i), queue_, seed + i));
      doors.shards.push_back(reactors_.back().get());
    }
    doors.blocking = &blocking_;
    doors.log = &log;
    doors.metrics = &metrics;
  }
  /// Runs the task on the shard until it has ended; other events run as they come.
  template <class T>
  T run(Task<T> task, ShardId shard = ShardId(0)) {
    static_assert(!std::is_void_v<T>, "give the task a value: a void task that never ends would look like one that did");
    std::optional<T> result;
    doors.shard(shard).post([&task, &result] { keep(std::move(task), &result); });
    for (std::uint64_t steps = 0; !result; ++steps) {
      ENSURE(steps < manual_events_max, "the task did not end within {} events", manual_events_max);
      ENSURE(queue_.step(), "nothing is queued and the task has not ended: it waits for something that cannot come");
    }
    return std::move(*result);
  }
  /// Runs everything that is due now, without moving the clock.
  void drain() {
    while (queue_.due()) queue_.step();
  }
  /// Moves the clock, running what becomes due.
  void advance(base::Duration duration) {
    bool reached = false;
    queue_.add(queue_.now() + duration, [&reached] { reached = true; });
    while (!reached) queue_.step();
    drain();
  }
  [[nodiscard]] base::MonoTime now() const { return queue_.now(); }

  Runtime doors;
  ManualLogger log;
  ManualMetrics metrics;

 private:
  template <class T>
  static detail::Carrier keep(Task<T> task, std::optional<T>* result) {
    T value = co_await task;
    task = Task<T>();
    result->emplace(std::move(value));
  }
  ManualQueue queue_;
  std::vector<std::unique_ptr<ManualReactor>> reactors_;
  ManualBlockingPool blocking_;
};

}  // namespace weir::runtime::testing
