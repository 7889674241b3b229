#include "upkeep/core/history.h"

#include <algorithm>

namespace weir::upkeep {
namespace {

bool is_old(base::WallMs timestamp, const model::TopicConfig& config, base::WallMs now_ms) {
  return now_ms - timestamp > config.retention_ms;
}

// Entries without timestamps count from their upload, which only the leaf itself tells.
bool times_unknown(const HistoryPiece& piece) { return piece.leaf && piece.oldest_max_timestamp < 0; }

}  // namespace

std::vector<HistoryPiece> history_pieces(const object::ManifestRoot& root, model::Offset log_start) {
  std::vector<HistoryPiece> pieces;
  for (std::size_t i = 0; i < root.leaves.size(); ++i) {
    const object::LeafRef& ref = root.leaves[i];
    if (ref.end_offset <= log_start) continue;
    pieces.push_back(
        {.extent = {.end_offset = ref.end_offset, .payload_bytes = ref.payload_bytes, .max_timestamp = ref.max_timestamp},
         .leaf = i,
         .oldest_max_timestamp = ref.oldest_max_timestamp,
         .below_start = ref.base_offset < log_start});
  }
  return pieces;
}

void expand(std::vector<HistoryPiece>& pieces, std::size_t leaf_index, const object::Leaf& leaf, model::Offset log_start) {
  const auto at = std::ranges::find(pieces, std::optional(leaf_index), &HistoryPiece::leaf);
  if (at == pieces.end()) return;
  std::vector<HistoryPiece> entries;
  for (const object::ManifestEntry& entry : leaf.entries) {
    if (entry.end_offset <= log_start) continue;
    entries.push_back({.extent = {.end_offset = entry.end_offset,
                                  .payload_bytes = entry.payload_bytes,
                                  .max_timestamp = entry.max_timestamp,
                                  .created_ms = entry.created_ms}});
  }
  pieces.insert(pieces.erase(at), entries.begin(), entries.end());
}

HistoryLook look_at_history(std::span<const HistoryPiece> pieces, std::uint64_t tail_bytes, const model::TopicConfig& config,
                            base::WallMs now_ms) {
  if (!config.cleanup_delete || pieces.empty()) return {};
  std::uint64_t left_bytes = tail_bytes;
  for (const HistoryPiece& piece : pieces) left_bytes += piece.extent.payload_bytes;
  std::size_t gone = 0;
  if (config.retention_ms >= 0) {
    for (; gone < pieces.size(); ++gone) {
      const HistoryPiece& piece = pieces[gone];
      if (times_unknown(piece)) return {.leaf = piece.leaf};
      const base::WallMs newest = piece.extent.max_timestamp >= 0 ? piece.extent.max_timestamp : piece.extent.created_ms;
      if (!is_old(newest, config, now_ms)) break;
      left_bytes -= piece.extent.payload_bytes;
    }
    // Its first entries may be old though the leaf is not.
    if (gone < pieces.size() && pieces[gone].leaf && is_old(pieces[gone].oldest_max_timestamp, config, now_ms))
      return {.leaf = pieces[gone].leaf};
  }
  if (config.retention_bytes >= 0) {
    const auto wanted_bytes = static_cast<std::uint64_t>(config.retention_bytes);
    for (; gone < pieces.size(); ++gone) {
      const HistoryPiece& piece = pieces[gone];
      // With all of a leaf counted that partly lies below the log start, there may seem to be more than there is.
      if (piece.below_start && left_bytes > wanted_bytes) return {.leaf = piece.leaf};
      if (left_bytes - piece.extent.payload_bytes < wanted_bytes) break;
      left_bytes -= piece.extent.payload_bytes;
    }
    if (gone < pieces.size() && pieces[gone].leaf && left_bytes > wanted_bytes) return {.leaf = pieces[gone].leaf};
  }
  if (gone == 0) return {};
  return {.point = pieces[gone - 1].extent.end_offset};
}

}  // namespace weir::upkeep
