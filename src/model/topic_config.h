// model/topic_config.h: a topic's settings in effect, typed; an immutable snapshot shared by the shards.
// Why:        the log and upkeep act on values; names, parsing, defaults and documentation live in config/ (one declaration each).
// Contract:   pure values; replaced whole (shared_ptr<const TopicConfig>) when a config changes.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>

#include "base/units.h"
#include "model/record_batch.h"

namespace weir::model {

struct TopicConfig {
  std::int32_t max_message_bytes = 1048588;
  TimestampType timestamp_type = TimestampType::create_time;
  std::int64_t timestamp_before_max_ms = std::numeric_limits<std::int64_t>::max();
  std::int64_t timestamp_after_max_ms = 3600000;
  std::optional<CompressionType> compression;  ///< empty: `producer`, keep what the client sent
  std::int64_t retention_ms = 604800000;       ///< -1: no limit
  std::int64_t retention_bytes = -1;           ///< per partition; -1: no limit
  std::int64_t segment_bytes = 1073741824;     ///< of a virtual segment, what retention takes at least; above 0
  std::int64_t segment_ms = 604800000;         ///< the same, by its records' timestamps; above 0
  bool cleanup_delete = true;
  bool cleanup_compact = false;
  std::int32_t min_insync_replicas = 1;
  bool operator==(const TopicConfig&) const = default;
};

}  // namespace weir::model
