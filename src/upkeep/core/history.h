// upkeep/core/history.h: up to where a partition's history and its recent objects may go, without reading more leaves than needed.
// Why:        retention looks at every partition every few minutes; what lies in a manifest is known by leaf (1,000 objects) until one
//             is read. Pure.
// Contract:   as retention_point() over all objects one by one, in the order of offsets: the caller expands the leaf that is named, by
//             its entries, and asks again, until none is named. A leaf goes whole, unread, when all of it may go.
// Limits:     history_leaves_max leaves are named, one after the other: the one that the log start lies in, and those that time and
//             size end in; leaves without any timestamps (-1) too, up to the same number, then the rest waits for the next round.
// Tests:      upkeep/core/history_test.cc (against retention_point over plain lists).
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "object/manifest.h"
#include "upkeep/core/retention.h"

namespace weir::upkeep {

/// Leaves read for one partition in one round.
inline constexpr std::size_t history_leaves_max = 16;

/// One object, or a leaf of many.
struct HistoryPiece {
  RetainedExtent extent;  ///< of a leaf: what its entries add up to
  std::optional<std::size_t> leaf = std::nullopt;
  base::WallMs oldest_max_timestamp = -1;  ///< of a leaf
  bool below_start = false;                ///< of a leaf: some of it lies below the log start
};

/// The leaves of which something lies above the log start.
[[nodiscard]] std::vector<HistoryPiece> history_pieces(const object::ManifestRoot& root, model::Offset log_start);
/// The leaf's entries above the log start, in the leaf's place.
void expand(std::vector<HistoryPiece>& pieces, std::size_t leaf_index, const object::Leaf& leaf, model::Offset log_start);

struct HistoryLook {
  std::optional<std::size_t> leaf;     ///< expand this one, then look again
  std::optional<model::Offset> point;  ///< the new log start, if one is due
};
[[nodiscard]] HistoryLook look_at_history(std::span<const HistoryPiece> pieces, std::uint64_t tail_bytes,
                                          const model::TopicConfig& config, base::WallMs now_ms);

}  // namespace weir::upkeep
