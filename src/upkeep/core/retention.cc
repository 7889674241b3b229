#include "upkeep/core/retention.h"

#include <algorithm>

namespace weir::upkeep {

std::optional<model::Offset> retention_point(std::span<const RetainedExtent> extents, std::uint64_t tail_bytes,
                                             const model::TopicConfig& config, base::WallMs now_ms) {
  if (!config.cleanup_delete || extents.empty()) return std::nullopt;
  std::size_t gone = 0;
  if (config.retention_ms >= 0) {
    while (gone < extents.size()) {
      const RetainedExtent& extent = extents[gone];
      const base::WallMs newest = extent.max_timestamp >= 0 ? extent.max_timestamp : extent.created_ms;
      if (now_ms - newest <= config.retention_ms) break;
      ++gone;
    }
  }
  if (config.retention_bytes >= 0) {
    std::uint64_t left_bytes = tail_bytes;
    for (std::size_t i = gone; i < extents.size(); ++i) left_bytes += extents[i].payload_bytes;
    const auto wanted_bytes = static_cast<std::uint64_t>(config.retention_bytes);
    while (gone < extents.size() && left_bytes - extents[gone].payload_bytes >= wanted_bytes)
      left_bytes -= extents[gone++].payload_bytes;
  }
  if (gone == 0) return std::nullopt;
  return extents[gone - 1].end_offset;
}

base::WallMs trusted_now(base::WallMs own_ms, std::optional<base::WallMs> store_ms) {
  return store_ms ? std::min(own_ms, *store_ms) : own_ms;
}

}  // namespace weir::upkeep
