// What a merge of objects changes on a shard: the same records lie elsewhere.
#include <algorithm>

#include "log/shard.h"

namespace weir::log {

std::vector<Shard::Need> ShardLog::needs(std::span<const Part> parts) const {
  std::vector<Need> out;
  out.reserve(parts.size());
  for (const Part& part : parts) {
    const PartitionPtr p = find(part.partition);
    Need need = Need::none;
    if (p && p->phase != Phase::removed) {
      const auto is_kept = [&](const auto& item) { return item.second->id == part.object; };
      if (part.end_offset > std::max(p->log_start, p->covers_to())) {
        need = Need::readable;
      } else if (p->phase == Phase::quarantined || std::ranges::any_of(p->kept_statements, is_kept)) {
        need = Need::statement;
      }
    }
    out.push_back(need);
  }
  return out;
}

void ShardLog::merged(const meta::ObjectRecord& object, std::span<const object::PartitionEntry> entries,
                      const std::set<model::ObjectId>& inputs) {
  const auto shared = std::make_shared<const meta::ObjectRecord>(object);
  for (const object::PartitionEntry& entry : entries) {
    const PartitionPtr p = find(entry.partition);
    if (!p || p->phase == Phase::removed || p->phase == Phase::loading || p->phase == Phase::quarantined) continue;
    p->extents.replace(inputs, shared, entry);
    ++p->merge_count;
    if (p->producers) {
      for (const object::ProducerDelta& delta : entry.producers) {
        p->producers->restated(delta.producer_id, entry.base_offset, entry.end_offset);
      }
    }
    const auto kept = std::erase_if(p->kept_statements, [&](const auto& item) { return inputs.contains(item.second->id); });
    if (kept > 0 && entry.end_offset <= p->log_start) p->kept_statements[entry.end_offset] = shared;
    p->drop_statements();
    p->check();
  }
}

}  // namespace weir::log
