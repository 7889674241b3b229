// upkeep/core/combine.h: the entries of one partition in neighbouring objects as one entry of the merged object. Pure.
// Contract:   opening the partition from the one is as opening it from all of them, in order: epochs, producers, transactions,
//             aborted spans and times say the same. A statement (a part below the log start, kept for its producers) counts
//             no open transaction, as an entry below the log start does not when a partition is opened.
// Detail:     parts need not touch: what lies between them is below the log start and was never uploaded. A producer whose newest
//             news was a marker is dated by its newest batch in the merged entry, so it may expire earlier after a restart.
// Tests:      upkeep/core/combine_test.cc.
#pragma once

#include <span>

#include "object/format.h"

namespace weir::upkeep {

struct CombinePart {
  const object::PartitionEntry* entry = nullptr;
  bool statement = false;
};

/// All but blocks and payload_bytes. `parts` ascend and are of one partition, one at least.
[[nodiscard]] object::PartitionEntry combine_entries(std::span<const CombinePart> parts);

/// The part [from, end) of a combined entry, for one of several objects: all but blocks and payload_bytes. `from` may lie above the
/// entry's first offset: what lies below states producers only. What producers did is stated with the entry's end.
[[nodiscard]] object::PartitionEntry cut_entry(const object::PartitionEntry& entry, model::Offset from, model::Offset end);

}  // namespace weir::upkeep
