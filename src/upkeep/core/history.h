// upkeep/core/history.h: a partition's history and its recent objects as pieces for retention, each as coarse as it may be.
// Why:        retention looks at every partition every few minutes; what lies in a manifest is known by leaf (1,000 objects) until one
//             is read, and an object of it as a whole until its footer is. Pure.
// Contract:   a leaf's end is the end of a virtual segment: so a leaf goes whole, unread, when all of it may go.
// Limits:     retention_expansions_max parts are read for one partition in a round: those that the log start lies in, and those that the
//             last segment to go ends in; leaves without any timestamps (-1) too, up to the same number, then the rest waits for the next
//             round.
// Tests:      upkeep/core/history_test.cc (against a plain list of blocks).
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "object/manifest.h"
#include "upkeep/core/retention.h"

namespace weir::upkeep {

/// Leaves and footers read for one partition in one round.
inline constexpr std::size_t retention_expansions_max = 16;

/// The leaves of which something lies above the log start.
[[nodiscard]] std::vector<RetentionPiece> history_pieces(const object::ManifestRoot& root, model::Offset log_start);
/// The leaf's entries above the log start, in the place of the leaf that is pieces[index].
void expand(std::vector<RetentionPiece>& pieces, std::size_t index, const object::Leaf& leaf, model::Offset log_start);
/// The blocks above the log start, in the place of the object that is pieces[index]. False, and nothing is changed: they do not end where
/// the piece does, they are another object's.
[[nodiscard]] bool expand(std::vector<RetentionPiece>& pieces, std::size_t index, std::span<const object::BlockRef> blocks,
                          model::Offset log_start);

}  // namespace weir::upkeep
