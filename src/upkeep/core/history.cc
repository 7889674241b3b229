#include "upkeep/core/history.h"

#include "base/ensure.h"

namespace weir::upkeep {
namespace {

// In the place of pieces[index]; the last of them ends a segment if that did.
void replace(std::vector<RetentionPiece>& pieces, std::size_t index, std::vector<RetentionPiece> finer) {
  ENSURE(!finer.empty(), "nothing in the place of a piece that ends at {}", pieces[index].extent.end_offset.value());
  finer.back().ends_segment = pieces[index].ends_segment;
  const auto at = pieces.begin() + static_cast<std::ptrdiff_t>(index);
  pieces.insert(pieces.erase(at), finer.begin(), finer.end());
}

}  // namespace

std::vector<RetentionPiece> history_pieces(const object::ManifestRoot& root, model::Offset log_start) {
  std::vector<RetentionPiece> pieces;
  for (std::size_t i = 0; i < root.leaves.size(); ++i) {
    const object::LeafRef& ref = root.leaves[i];
    if (ref.end_offset <= log_start) continue;
    pieces.push_back(
        {.extent = {.end_offset = ref.end_offset, .payload_bytes = ref.payload_bytes, .max_timestamp = ref.max_timestamp},
         .grain = Grain::leaf,
         .leaf = i,
         .times_unknown = ref.oldest_max_timestamp < 0,
         .ends_segment = true});
  }
  return pieces;
}

void expand(std::vector<RetentionPiece>& pieces, std::size_t index, const object::Leaf& leaf, model::Offset log_start) {
  std::vector<RetentionPiece> entries;
  for (const object::ManifestEntry& entry : leaf.entries) {
    if (entry.end_offset <= log_start) continue;
    entries.push_back({.extent = {.end_offset = entry.end_offset,
                                  .payload_bytes = entry.payload_bytes,
                                  .max_timestamp = entry.max_timestamp,
                                  .created_ms = entry.created_ms},
                       .grain = Grain::object});
  }
  replace(pieces, index, std::move(entries));
}

bool expand(std::vector<RetentionPiece>& pieces, std::size_t index, std::span<const object::BlockRef> blocks,
            model::Offset log_start) {
  const RetainedExtent& whole = pieces[index].extent;
  if (blocks.empty() || blocks.back().end_offset != whole.end_offset) return false;
  std::vector<RetentionPiece> finer;
  // A block without timestamps counts as its object does.
  const base::WallMs newest_ms = whole.max_timestamp >= 0 ? whole.max_timestamp : whole.created_ms;
  for (const object::BlockRef& block : blocks) {
    if (block.end_offset <= log_start) continue;
    finer.push_back({.extent = {.end_offset = block.end_offset,
                                .payload_bytes = block.payload_bytes,
                                .max_timestamp = block.max_timestamp,
                                .created_ms = newest_ms}});
  }
  if (finer.empty()) return false;
  replace(pieces, index, std::move(finer));
  return true;
}

}  // namespace weir::upkeep
