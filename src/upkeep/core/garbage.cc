#include "upkeep/core/garbage.h"

#include <algorithm>

#include "meta/meta.h"

namespace weir::upkeep {

bool is_dead(const object::Footer& footer, const LiveData& live) {
  return std::ranges::all_of(footer.entries, [&](const object::PartitionEntry& entry) {
    if (!live.topics.contains(entry.partition.topic)) return true;
    const auto passed = [&](const std::map<model::TopicPartition, model::Offset>& by) {
      const auto found = by.find(entry.partition);
      return found != by.end() && entry.end_offset <= found->second;
    };
    return passed(live.log_start) || passed(live.covers_to);
  });
}

namespace {
bool is_manifest_orphan(const object::ObjectKey& name, const NamesView& view) {
  if (!view.topics.contains(name.manifest_of->topic)) return true;
  const auto manifest = view.manifests.find(*name.manifest_of);
  if (manifest == view.manifests.end()) return false;  // not open: nothing is known
  const std::uint64_t sequence = name.commit.value();
  // An edit that may be on its way: each of a session has a number of its own, above the manifest's.
  if (sequence > manifest->second.sequence) return name.session != view.own_session && !view.unsealed.contains(name.session);
  const auto& writers = manifest->second.writers;
  const auto after = std::ranges::upper_bound(writers, sequence, {}, &object::ManifestWriter::first_sequence);
  return after == writers.begin() || std::prev(after)->session != name.session;
}
}  // namespace

bool is_orphan(const object::ObjectKey& name, const NamesView& view) {
  if (name.cluster != view.cluster || name.incarnation != view.incarnation) return false;
  if (view.referenced.contains(name.id)) return false;
  if (name.manifest_of) return is_manifest_orphan(name, view);
  if (name.session == view.own_session) {
    return name.commit <= (meta::is_merge(name.commit) ? view.own_last_merge : view.own_last_commit);
  }
  return !view.unsealed.contains(name.session);
}

}  // namespace weir::upkeep
