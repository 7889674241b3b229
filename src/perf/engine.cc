#include "perf/engine.h"

#include <algorithm>
#include <random>
#include <thread>

#include <fmt/core.h>

#include "perf/engine_parts.h"
#include "perf/machine.h"

namespace weir::perf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double caught_up_seconds = 0.5;  // a backlog of less than what comes in so long is none

// All clients of a run and the clock that they follow.
class Run {
 public:
  Run(const Options& options, const ValuePool& pool, const std::vector<std::string>& topics, const Plan& plan)
      : options_(options), plan_(plan), topics_(topics) {
    shared_.options = &options;
    shared_.plan = &plan;
    shared_.pool = &pool;
    std::random_device device;
    shared_.start = Clock::now();
    shared_.run_id = (std::uint64_t{device()} << 32U) | device();
    for (auto& begin : shared_.phase_begin_us) begin = INT64_MAX;
    shared_.rate = plan.rate;
    result_.rate_asked = plan.rate;
  }

  RunResult go() {
    if (auto opened = open(); !opened) shared_.fail(opened.error().text);
    start_threads();
    if (shared_.error.empty()) follow_plan();
    finish();
    return std::move(result_);
  }

 private:
  base::Result<void> open() {
    const std::size_t producers = topics_.size() * static_cast<std::size_t>(options_.producers_per_topic);
    const std::size_t consumers =
        topics_.size() * static_cast<std::size_t>(options_.groups_per_topic * options_.consumers_per_group);
    if (producers + consumers > clients_max)
      return base::fail(base::ErrorKind::invalid,
                        fmt::format("{} clients are more than {}", producers + consumers, clients_max));
    for (const std::string& topic : topics_) {
      for (int p = 0; p < options_.producers_per_topic; ++p) {
        auto side = std::make_unique<ProducerSide>();
        side->shared = &shared_;
        side->topic = topic;
        side->index = producers_.size();
        side->producer_count = producers;
        side->partition_count = options_.partitions_per_topic;
        WEIR_TRY(open_producer(*side));
        producers_.push_back(std::move(side));
      }
    }
    for (const std::string& topic : topics_) {
      for (int g = 0; g < options_.groups_per_topic; ++g) WEIR_TRY(open_group(topic, g, static_cast<int>(consumers)));
    }
    return {};
  }

  base::Result<void> open_group(const std::string& topic, int group, int all_consumers) {
    auto view = std::make_unique<GroupView>();
    for (int p = 0; p < options_.partitions_per_topic; ++p) {
      view->partitions.push_back(std::make_unique<PartitionStreams>());
      view->partitions.back()->by_producer.resize(producers_.size());
    }
    const std::string group_id = fmt::format("{}-group-{}-{:x}", topic, group, shared_.run_id);
    if (options_.subscribe && !plan_.from_start)
      WEIR_TRY(begin_at_end(options_, group_id, topic, options_.partitions_per_topic));
    for (int c = 0; c < options_.consumers_per_group; ++c) {
      auto side = std::make_unique<ConsumerSide>();
      side->shared = &shared_;
      side->topic = topic;
      side->group_id = group_id;
      side->group_index = group;
      side->consumer_index = c;
      side->consumer_count = options_.consumers_per_group;
      side->all_consumer_count = all_consumers;
      side->partition_count = options_.partitions_per_topic;
      side->view = view.get();
      WEIR_TRY(open_consumer(*side));
      consumers_.push_back(std::move(side));
    }
    views_.emplace_back(topic, std::move(view));
    return {};
  }

  void start_threads() {
    if (!shared_.error.empty()) return;
    for (auto& side : consumers_) threads_.emplace_back(consume_loop, side.get());
    while (shared_.consumers_ready < static_cast<int>(consumers_.size()) && !shared_.stop_consuming)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    shared_.producers_running = static_cast<int>(producers_.size());
    for (auto& side : producers_) threads_.emplace_back(produce_loop, side.get());
    begin_us_ = last_tick_us_ = shared_.now_us();
    shared_.go_us = begin_us_;
  }

  void follow_plan() {
    enter(Phase::warmup);
    if (plan_.from_start) shared_.groups_reading = 0;
    sleep_ticking(plan_.warmup_seconds, [] { return false; });
    if (plan_.backlog_seconds > 0 || plan_.from_start) catch_up();
    plan_.on_measure_begin();
    const CpuTimes before = cpu_times();
    enter(Phase::measure);
    sleep_ticking(plan_.seconds, [] { return false; });
    shared_.measure_end_us = shared_.now_us();
    const CpuTimes after = cpu_times();
    plan_.on_measure_end();
    result_.client_cpu_seconds = after.process_seconds - before.process_seconds;
    result_.machine_busy_ratio = busy_ratio(before, after);
  }

  // Consumers stand still while records gather, then read them, group after group.
  void catch_up() {
    if (!plan_.from_start) {
      enter(Phase::backlog);
      shared_.groups_reading = 0;
      sleep_ticking(plan_.backlog_seconds, [] { return false; });
    }
    enter(Phase::catchup);
    shared_.rate = plan_.catchup_rate;
    for (int g = 1; g < options_.groups_per_topic; ++g) {
      shared_.groups_reading = g;
      sleep_ticking(options_.group_start_delay_seconds, [] { return false; });
    }
    shared_.groups_reading = INT32_MAX;
    const double groups = std::max(1, options_.groups_per_topic);
    const double near = std::max(1.0, std::max(plan_.catchup_rate, 1.0) * caught_up_seconds * groups);
    int quiet = 0;
    int stalled = 0;
    std::int64_t lowest = INT64_MAX;
    sleep_ticking(catchup_seconds_max, [&] {
      // Of topics that were there before, nobody knows how much there is: the end is when reading is no faster than writing.
      const Interval& last = result_.intervals.back();
      const bool level =
          last.consumed > 0 && static_cast<double>(last.consumed) < 1.2 * groups * static_cast<double>(last.delivered);
      quiet = (plan_.from_start ? level : static_cast<double>(last.backlog) < near) ? quiet + 1 : 0;
      // Lost records never come, and readers may be too slow: a backlog that does not shrink is not waited for.
      stalled = last.backlog < lowest ? 0 : stalled + 1;
      lowest = std::min(lowest, last.backlog);
      return quiet >= 2 || (!plan_.from_start && stalled >= catchup_stalled_intervals_max);
    });
    shared_.rate = plan_.rate;
  }

  void enter(Phase phase) {
    phase_ = phase;
    shared_.phase_begin_us[static_cast<std::size_t>(phase)] = phase == Phase::warmup ? INT64_MIN : shared_.now_us();
    result_.phases[static_cast<std::size_t>(phase)].begin_seconds = since_begin(shared_.now_us());
    entered_.push_back(phase);
  }

  // Sleeps, ticking each interval; `done` is asked after each tick.
  template <class Done>
  void sleep_ticking(double seconds, Done done) {
    const std::int64_t until = shared_.now_us() + static_cast<std::int64_t>(seconds * 1e6);
    const auto step = static_cast<std::int64_t>(std::max(0.1, options_.interval_seconds) * 1e6);
    while (!shared_.stop_consuming && shared_.now_us() < until) {
      const std::int64_t next = std::min(until, last_tick_us_ + step);
      const std::int64_t left = next - shared_.now_us();
      if (left > 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(std::min<std::int64_t>(left, 50000)));
        continue;
      }
      tick();
      if (done()) return;
    }
    if (shared_.now_us() - last_tick_us_ > step / 4) tick();
  }

  void tick() {
    Counts sum;
    const std::int64_t now = shared_.now_us();
    for (const auto& recorder : recorders()) {
      const std::scoped_lock lock(recorder->mutex);
      sum.delivered += recorder->interval.delivered;
      sum.delivered_bytes += recorder->interval.delivered_bytes;
      sum.consumed += recorder->interval.consumed;
      sum.consumed_bytes += recorder->interval.consumed_bytes;
      sum.failed += recorder->interval.failed;
      sum.latencies.merge(recorder->interval.latencies);
      recorder->interval = Counts{};
    }
    result_.delivered += sum.delivered;
    result_.consumed += sum.consumed;
    result_.failed += sum.failed;
    result_.intervals.push_back({.at_seconds = since_begin(now),
                                 .seconds = static_cast<double>(now - last_tick_us_) / 1e6,
                                 .phase = phase_,
                                 .delivered = sum.delivered,
                                 .delivered_bytes = sum.delivered_bytes,
                                 .consumed = sum.consumed,
                                 .consumed_bytes = sum.consumed_bytes,
                                 .failed = sum.failed,
                                 .backlog = static_cast<std::int64_t>(result_.delivered) * options_.groups_per_topic -
                                            static_cast<std::int64_t>(result_.consumed),
                                 .produce = summarize(sum.latencies.produce_intended),
                                 .produce_actual = summarize(sum.latencies.produce_actual),
                                 .end_to_end = summarize(sum.latencies.end_to_end)});
    last_tick_us_ = now;
    plan_.on_interval(result_.intervals.back());
  }

  [[nodiscard]] double since_begin(std::int64_t at_us) const { return static_cast<double>(at_us - begin_us_) / 1e6; }

  std::vector<Recorder*> recorders() {
    std::vector<Recorder*> all;
    for (auto& side : producers_) all.push_back(&side->recorder);
    for (auto& side : consumers_) all.push_back(&side->recorder);
    return all;
  }

  std::uint64_t count_lost() {
    std::uint64_t lost = 0;
    for (const auto& [topic, view] : views_) {
      for (std::size_t p = 0; p < view->partitions.size(); ++p) {
        const std::scoped_lock lock(view->partitions[p]->mutex);
        for (const auto& producer : producers_) {
          if (producer->topic == topic) lost += view->partitions[p]->by_producer[producer->index].lost(producer->numbers[p]);
        }
      }
    }
    return lost;
  }

  // What is under way is waited for: it counts.
  void finish() {
    shared_.stop_producing = true;
    while (shared_.producers_running > 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const auto deadline = Clock::now() + std::chrono::duration<double>(drain_seconds_max);
    if (!threads_.empty()) tick();  // failures are known now: the client is flushed
    const std::uint64_t failed = result_.failed * static_cast<std::uint64_t>(options_.groups_per_topic);
    while (!shared_.stop_consuming && options_.groups_per_topic > 0 && Clock::now() < deadline && count_lost() > failed)
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    shared_.stop_consuming = true;
    for (std::thread& thread : threads_) thread.join();
    if (!threads_.empty()) tick();
    for (Recorder* recorder : recorders()) add_phases(*recorder);
    const double end = since_begin(std::min<std::int64_t>(shared_.measure_end_us, shared_.now_us()));
    for (std::size_t i = 0; i < entered_.size(); ++i) {
      result_.phases[static_cast<std::size_t>(entered_[i])].end_seconds =
          i + 1 < entered_.size() ? result_.phases[static_cast<std::size_t>(entered_[i + 1])].begin_seconds : end;
    }
    for (const auto& side : producers_) result_.sent += side->sent;
    const std::uint64_t missing = count_lost();
    // A record that failed was never acknowledged: nobody may miss it.
    result_.lost = missing > failed ? missing - failed : 0;
    for (const auto& [topic, view] : views_) {
      for (const auto& partition : view->partitions) {
        for (const SequenceTracker& tracker : partition->by_producer) {
          result_.duplicated += tracker.duplicated();
          result_.reordered += tracker.reordered();
        }
      }
    }
    result_.error = shared_.error;
  }

  void add_phases(const Recorder& recorder) {
    for (std::size_t i = 0; i < phase_count; ++i) {
      PhaseResult& into = result_.phases[i];
      into.delivered += recorder.phases[i].delivered;
      into.delivered_bytes += recorder.phases[i].delivered_bytes;
      into.consumed += recorder.phases[i].consumed;
      into.consumed_bytes += recorder.phases[i].consumed_bytes;
      into.latencies.merge(recorder.phases[i].latencies);
    }
  }

  const Options& options_;
  const Plan& plan_;
  const std::vector<std::string>& topics_;
  Shared shared_;
  std::vector<std::unique_ptr<ProducerSide>> producers_;
  std::vector<std::unique_ptr<ConsumerSide>> consumers_;
  std::vector<std::pair<std::string, std::unique_ptr<GroupView>>> views_;
  std::vector<std::thread> threads_;
  std::vector<Phase> entered_;
  Phase phase_ = Phase::warmup;
  std::int64_t begin_us_ = 0;
  std::int64_t last_tick_us_ = 0;
  RunResult result_;
};

}  // namespace

std::string to_string(Phase phase) {
  switch (phase) {
    case Phase::warmup: return "warmup";
    case Phase::backlog: return "backlog";
    case Phase::catchup: return "catchup";
    case Phase::measure: return "measure";
  }
  return "?";
}

Summary summarize(const Histogram& histogram) {
  return {.count = histogram.count(),
          .mean_us = histogram.mean(),
          .max_us = histogram.max(),
          .p50_us = histogram.quantile(0.5),
          .p90_us = histogram.quantile(0.9),
          .p99_us = histogram.quantile(0.99),
          .p999_us = histogram.quantile(0.999)};
}

void Latencies::merge(const Latencies& other) {
  produce_intended.merge(other.produce_intended);
  produce_actual.merge(other.produce_actual);
  end_to_end.merge(other.end_to_end);
  end_to_end_actual.merge(other.end_to_end_actual);
}

RunResult run(const Options& options, const ValuePool& pool, const std::vector<std::string>& topics, const Plan& plan) {
  return Run(options, pool, topics, plan).go();
}

}  // namespace weir::perf
