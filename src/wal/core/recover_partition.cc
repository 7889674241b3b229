#include "wal/core/recover_partition.h"

#include <algorithm>

namespace weir::wal {

bool valid_by_history(std::span<const HistoryEntry> history, model::LeaderEpoch epoch, model::Offset base,
                      std::int32_t offset_count) {
  if (offset_count < 1) return false;
  // The last entry that starts at or below base is the one in force there: entries that a later one with the same start
  // overrules cover nothing.
  const auto after = std::upper_bound(history.begin(), history.end(), base,
                                      [](model::Offset offset, const HistoryEntry& entry) { return offset < entry.start; });
  if (after == history.begin()) return false;
  if (std::prev(after)->epoch != epoch) return false;
  return after == history.end() || base + offset_count <= after->start;
}

PartitionDecision recover_partition(const PartitionEvidence& evidence) {
  PartitionDecision decision;
  std::vector<const FoundRecord*> valid;
  valid.reserve(evidence.records.size());
  for (const FoundRecord& record : evidence.records) {
    const bool counts = valid_by_history(evidence.history, record.epoch, record.base_offset, record.offset_count) &&
                        record.base_offset + record.offset_count > evidence.uploaded_to;
    if (counts) {
      valid.push_back(&record);
    } else {
      decision.dead.push_back(record.index);
    }
  }
  // Of a re-appended record's copies the newest comes first: it lies in a file that no failed write fenced.
  std::sort(valid.begin(), valid.end(), [](const FoundRecord* a, const FoundRecord* b) {
    if (a->base_offset != b->base_offset) return a->base_offset < b->base_offset;
    if (a->lsn != b->lsn) return a->lsn > b->lsn;
    return a->index < b->index;
  });
  decision.end = evidence.uploaded_to;
  for (const FoundRecord* record : valid) {
    // The first record may begin below uploaded_to (a log start inside a batch); each later one must begin exactly at E.
    const bool continues = decision.tail.empty() ? record->base_offset <= decision.end : record->base_offset == decision.end;
    if (continues && record->base_offset + record->offset_count > decision.end) {
      decision.tail.push_back(record->index);
      decision.end = record->base_offset + record->offset_count;
    } else {
      decision.dead.push_back(record->index);
    }
  }
  std::sort(decision.dead.begin(), decision.dead.end());
  decision.witness = evidence.history.empty() ? evidence.uploaded_to : evidence.history.back().start;
  if (evidence.witness) decision.witness = std::max(decision.witness, *evidence.witness);
  decision.quarantine = decision.witness > decision.end;
  return decision;
}

}  // namespace weir::wal
