// groups/parts.h: what the partitions of one coordinator share: doors, limits, metric cells.
#pragma once

#include "groups/core/types.h"
#include "groups/metrics_decl.h"
#include "log/log.h"
#include "runtime/runtime.h"

namespace weir::groups {

struct Options {
  Limits limits;
  base::Duration commit_timeout = std::chrono::seconds(5);            ///< offsets.commit.timeout.ms
  base::Duration retention_check = std::chrono::minutes(10);          ///< offsets.retention.check.interval.ms
  std::uint32_t load_bytes = 5U << 20U;                               ///< offsets.load.buffer.size: read at once
  std::uint64_t checkpoint_bytes_min = 4U << 20U;                     ///< a shorter log is not worth a checkpoint
  model::CompressionType compression = model::CompressionType::none;  ///< offsets.topic.compression.codec
};

inline constexpr std::uint64_t checkpoint_factor = 4;         ///< and so many times the live state
inline constexpr std::size_t batch_bytes_max = 256U << 10U;   ///< records put together into one batch
inline constexpr std::size_t flights_max = 16;                ///< batches of a partition on their way; more wait and merge
inline constexpr std::size_t queued_writes_max = 100'000;     ///< of a partition; past it requests are refused
inline constexpr std::size_t waiting_requests_max = 200'000;  ///< of a partition
inline constexpr base::Duration retry_pause = std::chrono::milliseconds(100);
inline constexpr base::Duration retry_pause_max = std::chrono::seconds(5);
inline constexpr base::Duration read_timeout = std::chrono::seconds(5);
inline constexpr base::Duration quiet_wait_max = std::chrono::seconds(5);  ///< for a group's writes, before its removal

struct Cells {
  explicit Cells(runtime::Metrics& metrics)
      : groups(metrics.gauge(groups_now)),
        members(metrics.gauge(members_now)),
        offsets(metrics.gauge(offsets_now)),
        generations(metrics.counter(generations_total)),
        commits(metrics.counter(commits_total)),
        write_time(metrics.histogram(commit_seconds)),
        failed_writes(metrics.counter(failed_writes_total)),
        loads(metrics.counter(loads_total)),
        loaded_bytes(metrics.counter(loaded_bytes_total)),
        loaded_records(metrics.counter(loaded_records_total)),
        load_time(metrics.histogram(load_seconds)),
        checkpoints(metrics.counter(checkpoints_total)) {}
  runtime::Gauge& groups;
  runtime::Gauge& members;
  runtime::Gauge& offsets;
  runtime::Counter& generations;
  runtime::Counter& commits;
  runtime::LatencyHistogram& write_time;
  runtime::Counter& failed_writes;
  runtime::Counter& loads;
  runtime::Counter& loaded_bytes;
  runtime::Counter& loaded_records;
  runtime::LatencyHistogram& load_time;
  runtime::Counter& checkpoints;
};

/// Outlives the partitions.
struct Doors {
  runtime::Runtime& runtime;
  log::Log& log;
  Options options;
  Cells& cells;
};

}  // namespace weir::groups
