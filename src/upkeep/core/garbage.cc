#include "upkeep/core/garbage.h"

#include <algorithm>

namespace weir::upkeep {

bool is_dead(const object::Footer& footer, const LiveData& live) {
  return std::ranges::all_of(footer.entries, [&](const object::PartitionEntry& entry) {
    if (!live.topics.contains(entry.partition.topic)) return true;
    const auto start = live.log_start.find(entry.partition);
    return start != live.log_start.end() && entry.end_offset <= start->second;
  });
}

bool is_orphan(const object::ObjectKey& name, const NamesView& view) {
  if (name.cluster != view.cluster || name.incarnation != view.incarnation) return false;
  if (view.referenced.contains(name.id)) return false;
  if (name.session == view.own_session) return name.commit <= view.own_last_commit;
  return !view.unsealed.contains(name.session);
}

}  // namespace weir::upkeep
