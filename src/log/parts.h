// log/parts.h: what the shards of one Log share: the doors they are built from, metric cells, limits; and what a partition is
// opened from.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cache/core/pace.h"
#include "log/core/extents.h"
#include "log/log.h"
#include "log/metrics_decl.h"

namespace weir::log {

inline constexpr std::size_t queued_produces_per_partition_max =
    10000;                                                   ///< waiting for admission; connections bound their bytes
inline constexpr std::size_t wal_reads_inflight_max = 32;    ///< per shard
inline constexpr std::size_t object_reads_inflight_max = 8;  ///< objects fetched side by side for one read
inline constexpr std::size_t read_attempts_max = 8;          ///< what was planned may move to an object meanwhile
inline constexpr std::size_t time_search_steps_max = 64;     ///< blocks or batches opened for one question by time
inline constexpr base::Duration locate_timeout = std::chrono::seconds(10);
inline constexpr std::uint64_t record_overhead_bytes = 128;  ///< what a tail record costs beside its payload
inline constexpr std::size_t combine_crc_bytes_min =
    16384;  ///< from here on combining CRCs is cheaper than reading the batch again
inline constexpr base::Duration retry_pause = std::chrono::milliseconds(100);
inline constexpr base::Duration retry_pause_max = std::chrono::seconds(5);
inline constexpr base::Duration producer_expiry_period = std::chrono::minutes(10);
inline constexpr base::Duration stop_wait_max = std::chrono::seconds(10);  ///< for batches in flight at the stop

/// What all shards are built from; outlives them.
struct Doors {
  runtime::Runtime& runtime;
  wal::Wal& wal;
  meta::Meta& meta;
  store::ObjectStore& store;
  model::ClusterId cluster;
  Options options;
  std::shared_ptr<cache::Pace> catchup_pace;
};

/// Where batches were read from, fastest first.
enum class ReadFrom : std::uint8_t { group, wal, memory, store };
struct ReadCells {
  runtime::Counter& bytes;
  runtime::LatencyHistogram& time;
};

/// The metric cells of the room; shared by the shards.
struct Cells {
  explicit Cells(runtime::Metrics& metrics);
  runtime::Counter& appended_batches;
  runtime::Counter& appended_bytes;
  runtime::Counter& confirmed_batches;
  runtime::LatencyHistogram& confirm_time;
  runtime::Counter& duplicates;
  runtime::Counter& refused;
  runtime::Counter& not_admitted;
  runtime::Counter& outcome_unknown;
  runtime::Counter& epochs_opened;
  runtime::Counter& voids;
  runtime::Counter& voided_batches;
  std::array<ReadCells, 4> read;  ///< by ReadFrom
  [[nodiscard]] ReadCells& read_from(ReadFrom from) { return read[static_cast<std::size_t>(from)]; }
  runtime::Gauge& partitions;
  runtime::Gauge& quarantined;
  runtime::Gauge& tail_memory;
  runtime::Gauge& backlog;
  runtime::Counter& producers_forgotten;
};

/// All that is known of one partition when it is opened; made on shard 0, adopted on the owner's shard.
struct PartitionEvidence {
  struct Uploaded {
    ObjectPtr object;
    object::PartitionEntry entry;
  };
  model::TopicPartition id;
  meta::OwnRecord own;
  model::Offset log_start{0};
  ManifestPtr manifest;                       ///< null: none; objects below its covers_to do not count
  std::vector<Uploaded> uploaded;             ///< in upload order
  std::vector<wal::RecoveredRecord> records;  ///< as recovered
  std::optional<model::Offset> stated;        ///< highest high watermark that a valid group states
  std::string unreadable_object;              ///< an object that may hold its data and is lost or damaged; empty: none
};

}  // namespace weir::log
