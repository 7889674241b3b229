// wal/core/recover_partition.h: the pure decision of what a partition's log is after a crash (protocols.md, 2, steps 3 to 5).
// Why:        judged per partition, never per WAL; each weaker rule fell to a short trace (docs/rfcs/0001-wal.md).
// Contract:   pure and total: every input gives a decision. Inputs are everything recovery read and everything own/P and the
//             objects state.
// Tests:      wal/core/recover_partition_test.cc (every case), tests/model (exhaustive small worlds on this very function).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/ids.h"

namespace weir::wal {

struct HistoryEntry {
  model::LeaderEpoch epoch;
  model::Offset start;  ///< the epoch's offsets begin here and end where the next entry's begin
  bool operator==(const HistoryEntry&) const = default;
};

/// One record as found; `index` is the caller's.
struct FoundRecord {
  model::LeaderEpoch epoch;
  model::Offset base_offset;
  std::int32_t offset_count = 0;
  std::uint64_t lsn = 0;
  std::size_t index = 0;
};

struct PartitionEvidence {
  model::Offset uploaded_to;              ///< end of what committed objects hold (log start when nothing)
  std::span<const HistoryEntry> history;  ///< own/P's, ascending; the last one is the epoch in force
  std::span<const FoundRecord> records;   ///< any order, duplicates of re-appended records allowed
  std::optional<model::Offset> witness;   ///< the highest HW stated by any valid group, of any epoch or session
};

struct PartitionDecision {
  model::Offset end;              ///< E: end of the contiguous valid range
  model::Offset witness;          ///< W: max(own/P's start in force, statements)
  bool quarantine = false;        ///< W > E: acked data are missing
  std::vector<std::size_t> tail;  ///< indices of the records of [uploaded_to, E) in offset order, one per range
  std::vector<std::size_t> dead;  ///< all other records: dead for ever (released once P is open)
};

[[nodiscard]] PartitionDecision recover_partition(const PartitionEvidence& evidence);

/// Whether own/P's history gives [base, base + count) to `epoch`.
[[nodiscard]] bool valid_by_history(std::span<const HistoryEntry> history, model::LeaderEpoch epoch, model::Offset base,
                                    std::int32_t offset_count);

}  // namespace weir::wal
