#include "upkeep/core/retention.h"

#include <algorithm>

namespace weir::upkeep {
namespace {

struct Segment {
  std::size_t end = 0;  ///< index of the first piece behind it
  std::uint64_t payload_bytes = 0;
  std::uint64_t tail_bytes = 0;  ///< of it, not uploaded
  base::WallMs newest = -1;
};

base::WallMs newest_of(const RetainedExtent& extent) {
  return extent.max_timestamp >= 0 ? extent.max_timestamp : extent.created_ms;
}

Segment segment_at(std::span<const RetentionPiece> pieces, std::size_t at, std::uint64_t tail_bytes,
                   const model::TopicConfig& config) {
  const auto bytes_max = static_cast<std::uint64_t>(config.segment_bytes);
  const base::WallMs first = newest_of(pieces[at].extent);
  Segment segment{.end = at + 1, .payload_bytes = pieces[at].extent.payload_bytes, .newest = first};
  while (segment.end < pieces.size() && !pieces[segment.end - 1].ends_segment) {
    const RetainedExtent& next = pieces[segment.end].extent;
    if (segment.payload_bytes + next.payload_bytes > bytes_max || newest_of(next) - first > config.segment_ms) return segment;
    segment.payload_bytes += next.payload_bytes;
    segment.newest = std::max(segment.newest, newest_of(next));
    ++segment.end;
  }
  if (segment.end == pieces.size() && !pieces.back().ends_segment) {
    segment.tail_bytes = std::min(tail_bytes, bytes_max - std::min(bytes_max, segment.payload_bytes));
  }
  return segment;
}

// Whether so much goes, of all that is left.
struct Rules {
  const model::TopicConfig& config;
  base::WallMs now_ms;
  [[nodiscard]] bool by_time() const { return config.retention_ms >= 0; }
  [[nodiscard]] bool by_size() const { return config.retention_bytes >= 0; }
  [[nodiscard]] bool is_old(base::WallMs newest) const { return by_time() && now_ms - newest > config.retention_ms; }
  [[nodiscard]] bool is_too_much(std::uint64_t left_bytes, std::uint64_t bytes) const {
    return by_size() && left_bytes >= bytes && left_bytes - bytes >= static_cast<std::uint64_t>(config.retention_bytes);
  }
};

}  // namespace

RetentionLook look_at_retention(std::span<const RetentionPiece> pieces, model::Offset log_start, std::uint64_t tail_bytes,
                                const model::TopicConfig& config, base::WallMs now_ms,
                                const std::optional<FirstSegment>& known) {
  const Rules rules{.config = config, .now_ms = now_ms};
  if (!config.cleanup_delete || pieces.empty() || (!rules.by_time() && !rules.by_size())) return {};
  std::uint64_t left_bytes = tail_bytes;
  for (const RetentionPiece& piece : pieces) left_bytes += piece.extent.payload_bytes;
  if (known && known->start == log_start && known->segment_bytes == config.segment_bytes &&
      known->segment_ms == config.segment_ms && !rules.is_old(known->newest) &&
      !rules.is_too_much(left_bytes, known->payload_bytes)) {
    return {.first = known};
  }
  RetentionLook look;
  for (std::size_t gone = 0; gone < pieces.size();) {
    const RetentionPiece& piece = pieces[gone];
    const Segment segment = segment_at(pieces, gone, tail_bytes, config);
    const bool old = !piece.times_unknown && rules.is_old(segment.newest);
    if (old || rules.is_too_much(left_bytes, segment.payload_bytes + segment.tail_bytes)) {
      left_bytes -= segment.payload_bytes;
      gone = segment.end;
      look.point = pieces[gone - 1].extent.end_offset;
      continue;
    }
    if (piece.grain != Grain::block) {
      if (rules.by_time() || rules.is_too_much(left_bytes, 1)) look.expand = gone;
      return look;
    }
    look.first = {.start = look.point.value_or(log_start),
                  .segment_bytes = config.segment_bytes,
                  .segment_ms = config.segment_ms,
                  .newest = segment.newest,
                  .payload_bytes = segment.payload_bytes};
    return look;
  }
  return look;
}

base::WallMs trusted_now(base::WallMs own_ms, std::optional<base::WallMs> store_ms) {
  return store_ms ? std::min(own_ms, *store_ms) : own_ms;
}

}  // namespace weir::upkeep
