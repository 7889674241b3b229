#include "upkeep/core/combine.h"

#include <algorithm>
#include <map>

#include "base/ensure.h"

namespace weir::upkeep {
namespace {

// As ProducerTable::merge() takes one delta after the other.
void add_delta(object::ProducerDelta& into, const object::ProducerDelta& delta) {
  if (delta.epoch != into.epoch) into.batches.clear();
  into.epoch = delta.epoch;
  for (const object::ProducerBatch& batch : delta.batches) {
    // A restated batch may be known already.
    if (!into.batches.empty() && batch.base_offset <= into.batches.back().base_offset) continue;
    if (into.batches.size() == object::producer_batches_max) into.batches.erase(into.batches.begin());
    into.batches.push_back(batch);
  }
  into.open_transaction_start = delta.open_transaction_start;
  into.coordinator_epoch = std::max(into.coordinator_epoch, delta.coordinator_epoch);
}

}  // namespace

object::PartitionEntry combine_entries(std::span<const CombinePart> parts) {
  ENSURE(!parts.empty(), "nothing to combine");
  const object::PartitionEntry& last = *parts.back().entry;
  object::PartitionEntry out{.partition = last.partition,
                             .base_offset = parts.front().entry->base_offset,
                             .end_offset = last.end_offset,
                             .last_stable_offset = last.last_stable_offset,
                             .first_unstable_offset = last.first_unstable_offset};
  std::map<model::ProducerId, object::ProducerDelta> producers;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const object::PartitionEntry& entry = *parts[i].entry;
    ENSURE(entry.partition == out.partition && (i == 0 || entry.base_offset >= parts[i - 1].entry->end_offset),
           "part [{}, {}) of a merge is out of order", entry.base_offset.value(), entry.end_offset.value());
    out.max_timestamp = std::max(out.max_timestamp, entry.max_timestamp);
    for (const object::EpochStart& epoch : entry.epochs) {
      if (out.epochs.empty() || epoch.epoch > out.epochs.back().epoch) out.epochs.push_back(epoch);
    }
    out.aborted.insert(out.aborted.end(), entry.aborted.begin(), entry.aborted.end());
    for (const object::TimeIndexEntry& point : entry.time_index) {
      if (out.time_index.empty() || point.timestamp > out.time_index.back().timestamp) out.time_index.push_back(point);
    }
    for (object::ProducerDelta delta : entry.producers) {
      if (parts[i].statement) delta.open_transaction_start = model::Offset(-1);
      const auto [at, fresh] = producers.try_emplace(delta.producer_id, delta);
      if (!fresh) add_delta(at->second, delta);
    }
  }
  for (auto& [id, delta] : producers) out.producers.push_back(std::move(delta));
  return out;
}

object::PartitionEntry cut_entry(const object::PartitionEntry& entry, model::Offset from, model::Offset end) {
  ENSURE(from < end && end <= entry.end_offset, "[{}, {}) of an entry up to {}", from.value(), end.value(),
         entry.end_offset.value());
  const bool whole = end == entry.end_offset;
  object::PartitionEntry out{.partition = entry.partition,
                             .base_offset = from,
                             .end_offset = end,
                             .max_timestamp = entry.max_timestamp,
                             .last_stable_offset = whole ? entry.last_stable_offset : std::min(entry.last_stable_offset, end),
                             .first_unstable_offset = whole ? entry.first_unstable_offset : model::Offset(-1)};
  for (const object::EpochStart& epoch : entry.epochs) {
    if (epoch.start >= end) break;
    if (epoch.start <= from) out.epochs.clear();  // the one before it is not in force any more
    out.epochs.push_back(epoch);
  }
  for (const object::AbortedSpan& span : entry.aborted) {
    if (span.last >= from && span.last < end) out.aborted.push_back(span);
  }
  for (const object::TimeIndexEntry& point : entry.time_index) {
    if (point.offset >= from && point.offset < end) out.time_index.push_back(point);
  }
  if (whole) out.producers = entry.producers;
  return out;
}

}  // namespace weir::upkeep
