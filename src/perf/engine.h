// perf/engine.h: one run of load on a Kafka: producers at a schedule, consumers, phases, and everything that is measured.
// Why:        a driver that waits for a slow broker before it sends the next record hides what its users would have felt: here each
//             record has an intended time, and lateness of the driver itself counts.
// Contract:   run() blocks the calling thread, which ticks the interval callback; one thread per client. Each record carries in a
//             header the run's id, its producer's number, its number within (producer, partition), and both its times in
//             microseconds: latencies, loss, duplicates and order are taken from it while the run goes on.
//             A record belongs to the phase in which it was meant to be sent, however late it arrives.
// Phases:     warmup, [backlog: consumers stand still, catchup: they read what gathered], measure.
// Limits:     clients_max; drain_seconds_max after the end; catchup_seconds_max; what librdkafka's queue refuses is late, never
//             skipped.
// Tests:      tests/system/test_perf.py (against a broker), perf/sequence_test.cc, perf/histogram_test.cc
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "perf/histogram.h"
#include "perf/kafka_client.h"
#include "perf/options.h"
#include "perf/value_pool.h"

namespace weir::perf {

inline constexpr double drain_seconds_max = 60;
inline constexpr double catchup_seconds_max = 3600;
inline constexpr int catchup_stalled_intervals_max = 15;  ///< without a smaller backlog than before

enum class Phase : std::uint8_t { warmup, backlog, catchup, measure };
inline constexpr std::size_t phase_count = 4;
[[nodiscard]] std::string to_string(Phase phase);

struct Latencies {
  Histogram produce_intended;  ///< intended send -> acknowledged
  Histogram produce_actual;    ///< actual send -> acknowledged
  Histogram end_to_end;        ///< intended send -> a consumer has it
  Histogram end_to_end_actual;
  void merge(const Latencies& other);
};

/// A histogram in a few numbers; a quantile is empty where too few samples lie beyond it.
struct Summary {
  std::uint64_t count = 0;
  double mean_us = 0;
  std::int64_t max_us = 0;
  std::optional<std::int64_t> p50_us, p90_us, p99_us, p999_us;
};
[[nodiscard]] Summary summarize(const Histogram& histogram);

struct Interval {
  double at_seconds = 0;  ///< its end, since the start of the run
  double seconds = 0;
  Phase phase = Phase::warmup;
  std::uint64_t delivered = 0;
  std::uint64_t delivered_bytes = 0;
  std::uint64_t consumed = 0;
  std::uint64_t consumed_bytes = 0;
  std::uint64_t failed = 0;
  std::int64_t backlog = 0;  ///< records acknowledged and not yet read, over all groups
  Summary produce;           ///< from the intended send
  Summary produce_actual;
  Summary end_to_end;
};

struct PhaseResult {
  double begin_seconds = 0;
  double end_seconds = 0;
  std::uint64_t delivered = 0;
  std::uint64_t delivered_bytes = 0;
  std::uint64_t consumed = 0;
  std::uint64_t consumed_bytes = 0;
  Latencies latencies;
};

struct RunResult {
  double rate_asked = 0;
  std::array<PhaseResult, phase_count> phases;
  std::vector<Interval> intervals;
  std::uint64_t sent = 0;
  std::uint64_t delivered = 0;
  std::uint64_t failed = 0;
  std::uint64_t consumed = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  double client_cpu_seconds = 0;   ///< of this process, in the measured phase
  double machine_busy_ratio = -1;  ///< of all cores, in the measured phase; -1: unknown
  std::string error;
  [[nodiscard]] const PhaseResult& measured() const { return phases[static_cast<std::size_t>(Phase::measure)]; }
};

struct Plan {
  double rate = 1000;          ///< records per second of all producers; 0: as fast as they can
  double catchup_rate = 1000;  ///< while the backlog is read
  double warmup_seconds = 5;
  double backlog_seconds = 0;
  double seconds = 30;
  bool from_start = false;  ///< consumers begin at the start of the topics
  std::function<void(const Interval&)> on_interval = [](const Interval&) {};
  std::function<void()> on_measure_begin = [] {};
  std::function<void()> on_measure_end = [] {};
};

/// Runs on topics that exist.
[[nodiscard]] RunResult run(const Options& options, const ValuePool& pool, const std::vector<std::string>& topics,
                            const Plan& plan);

}  // namespace weir::perf
