// perf/engine_parts.h: what the engine's threads share. Inside perf only.
#pragma once

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>

#include "perf/engine.h"
#include "perf/sequence.h"

namespace weir::perf {

inline constexpr const char* stamp_header = "weir-perf";

/// The header's value. One process writes and reads it: the machine's byte order.
struct Stamp {
  std::uint64_t run_id = 0;
  std::int64_t intended_us = 0;  ///< on the run's clock
  std::int64_t actual_us = 0;
  std::uint64_t number = 0;
  std::uint64_t producer = 0;
};

/// What one client thread counted since the last interval.
struct Counts {
  std::uint64_t delivered = 0;
  std::uint64_t delivered_bytes = 0;
  std::uint64_t consumed = 0;
  std::uint64_t consumed_bytes = 0;
  std::uint64_t failed = 0;
  Latencies latencies;
};

/// What one client thread counts; the run's thread takes it over at each interval.
struct Recorder {
  std::mutex mutex;
  std::array<PhaseResult, phase_count> phases;
  Counts interval;
};

struct Shared {
  const Options* options = nullptr;
  const Plan* plan = nullptr;
  const ValuePool* pool = nullptr;
  std::uint64_t run_id = 0;
  std::chrono::steady_clock::time_point start;  ///< set before any thread runs
  std::atomic<double> rate{0};
  /// When each phase began on the run's clock; INT64_MAX: it has not.
  std::array<std::atomic<std::int64_t>, phase_count> phase_begin_us{};
  std::atomic<std::int64_t> measure_end_us{INT64_MAX};
  std::atomic<bool> stop_producing{false};
  std::atomic<bool> stop_consuming{false};
  std::atomic<int> producers_running{0};
  std::atomic<int> consumers_ready{0};
  std::atomic<std::int64_t> go_us{-1};         ///< when the first record is due; -1: not yet
  std::atomic<int> groups_reading{INT32_MAX};  ///< groups with a smaller index read, the others stand still
  std::mutex error_mutex;
  std::string error;

  [[nodiscard]] std::int64_t now_us() const {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count();
  }
  void fail(const std::string& text) {
    const std::scoped_lock lock(error_mutex);
    if (error.empty()) error = text;
    stop_producing = true;
    stop_consuming = true;
  }
  /// The phase of a record by its intended time; nothing when it was meant for after the end.
  [[nodiscard]] std::optional<Phase> phase_of(std::int64_t intended_us) const {
    if (intended_us >= measure_end_us) return std::nullopt;
    for (std::size_t i = phase_count; i-- > 0;) {
      if (intended_us >= phase_begin_us[i]) return static_cast<Phase>(i);
    }
    return Phase::warmup;
  }
};

struct ProducerSide {
  Shared* shared = nullptr;
  std::string topic;
  std::size_t index = 0;  ///< among all producers
  std::size_t producer_count = 1;
  int partition_count = 1;
  KafkaHandle client;
  Recorder recorder;
  std::vector<std::uint64_t> numbers;  ///< next number by partition
  std::uint64_t sent = 0;
};

/// The streams of one partition as one group sees them.
struct PartitionStreams {
  std::mutex mutex;  ///< a partition moves between consumers when a group rebalances
  std::vector<SequenceTracker> by_producer;
};
struct GroupView {
  std::vector<std::unique_ptr<PartitionStreams>> partitions;
};

struct ConsumerSide {
  Shared* shared = nullptr;
  std::string topic;
  std::string group_id;
  int group_index = 0;
  int consumer_index = 0;
  int consumer_count = 1;  ///< in its group
  int all_consumer_count = 1;
  int partition_count = 1;
  GroupView* view = nullptr;
  KafkaHandle client;
  Recorder recorder;
};

[[nodiscard]] base::Result<void> open_producer(ProducerSide& side);
void produce_loop(ProducerSide* side);
[[nodiscard]] base::Result<void> open_consumer(ConsumerSide& side);
void consume_loop(ConsumerSide* side);
/// Gives the group a committed offset at the end of each partition, so that it begins there.
[[nodiscard]] base::Result<void> begin_at_end(const Options& options, const std::string& group_id, const std::string& topic,
                                              int partitions);

}  // namespace weir::perf
