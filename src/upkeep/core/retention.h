// upkeep/core/retention.h: up to where a partition's old objects may go, by age and by size. Pure.
// Contract:   Kafka's rules, with an object's entry in the place of a segment: an extent goes when its newest timestamp is
// older than
//             retention.ms, in order from the oldest, stopping at the first that stays; and while what would remain without it
//             is still at least retention.bytes. A log start lies on an extent's boundary.
// Detail:     an extent without timestamps counts from its upload, as Kafka's segments do from their file's time.
// Tests:      upkeep/core/retention_test.cc (table).
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "model/ids.h"
#include "model/topic_config.h"

namespace weir::upkeep {

struct RetainedExtent {
  model::Offset end_offset;
  std::uint64_t payload_bytes = 0;
  base::WallMs max_timestamp = -1;
  base::WallMs created_ms = 0;
};

/// The new log start, or nothing when nothing is to go. `extents` ascend; `tail_bytes` are behind them, not uploaded.
[[nodiscard]] std::optional<model::Offset> retention_point(std::span<const RetainedExtent> extents, std::uint64_t tail_bytes,
                                                           const model::TopicConfig& config, base::WallMs now_ms);

/// The time that retention believes: the broker's clock or the store's, whichever is earlier: a clock that jumps ahead must not
/// delete data.
[[nodiscard]] base::WallMs trusted_now(base::WallMs own_ms, std::optional<base::WallMs> store_ms);

}  // namespace weir::upkeep
