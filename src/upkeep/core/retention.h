// upkeep/core/retention.h: up to where a partition's old records may go, by age and by size: in whole virtual segments. Pure.
// Why:        Kafka's retention takes segments; weir has none, but segment.bytes and segment.ms say how coarse a user wants it to be
//             (docs/retention.md).
// Contract:   from the log start on, pieces of the index are gathered to a segment until the next would take it past segment.bytes, or
//             is newer than its first one by more than segment.ms. The oldest segment goes when its newest timestamp is older than
//             retention.ms, or while what would remain without it is still at least retention.bytes; then the next one, and so on.
//             A segment that is still being written is no exception, as far as it is uploaded.
// Detail:     a piece is as coarse as its caller knows it: many objects, one object, a block. look_at_retention() names the piece that must
//             be known finer, if any, and is asked again; the answer is the same as if all were blocks, except that a segment ends
//             before an object that does not fit as a whole. What goes whole is never made finer.
//             Pieces without timestamps count from their upload, as Kafka's segments do from their file's time.
// Tests:      upkeep/core/retention_test.cc (table), upkeep/core/history_test.cc (against a plain list of blocks).
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
  base::WallMs max_timestamp = -1;  ///< -1: none
  base::WallMs created_ms = 0;
};

enum class Grain : std::uint8_t {
  block,   ///< or a whole object of one block: nothing finer is known
  object,  ///< of several blocks, perhaps
  leaf,    ///< many objects
};

struct RetentionPiece {
  RetainedExtent extent;
  Grain grain = Grain::block;
  std::size_t leaf = 0;        ///< of a leaf: its index in the manifest's root
  bool times_unknown = false;  ///< of a leaf: some of it has no timestamps, and only its entries tell when they were uploaded
  bool ends_segment = false;   ///< no segment goes on behind it
};

/// The first virtual segment, from the log start on, as a look found it. Worth keeping until the next look: while it stays, nothing goes,
/// and nothing has to be known finer again.
struct FirstSegment {
  model::Offset start;
  std::int64_t segment_bytes = 0;  ///< the topic's settings by which it was found
  std::int64_t segment_ms = 0;
  base::WallMs newest = -1;         ///< it may have grown since: this or a later one
  std::uint64_t payload_bytes = 0;  ///< these or more
};

struct RetentionLook {
  std::optional<std::size_t> expand = std::nullopt;   ///< index of the piece that must be known finer for more to go
  std::optional<model::Offset> point = std::nullopt;  ///< the new log start, if one is due whatever finer pieces say
  std::optional<FirstSegment> first = std::nullopt;   ///< that stays, when it is known
};

/// `pieces` ascend from `log_start` on, of which the first may hold a part below; `tail_bytes` are behind them, not uploaded. `known`: what
/// an earlier look found.
[[nodiscard]] RetentionLook look_at_retention(std::span<const RetentionPiece> pieces, model::Offset log_start,
                                              std::uint64_t tail_bytes, const model::TopicConfig& config, base::WallMs now_ms,
                                              const std::optional<FirstSegment>& known = std::nullopt);

/// The time that retention believes: the broker's clock or the store's, whichever is earlier: a clock that jumps ahead must not
/// delete data.
[[nodiscard]] base::WallMs trusted_now(base::WallMs own_ms, std::optional<base::WallMs> store_ms);

}  // namespace weir::upkeep
