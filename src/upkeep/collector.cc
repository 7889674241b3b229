// upkeep/collector.cc: unlinking dead objects, deleting garbage, sweeping orphans. The order of reads in each is what makes it
// safe.
#include <fmt/format.h>

#include "runtime/submit.h"
#include "store/multipart.h"
#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

using base::ErrorKind;
using runtime::Task;

namespace {
LiveData live_data(const meta::Snapshot& snapshot) {
  LiveData live;
  for (const auto& [name, topic] : snapshot.topics) live.topics.insert(topic.id);
  live.log_start = snapshot.log_start;
  for (const auto& [partition, manifest] : snapshot.manifests) live.covers_to[partition] = manifest.covers_to;
  return live;
}
}  // namespace

Task<std::optional<std::set<model::ObjectId>>> UpkeepImpl::referenced_by_log() {
  std::set<model::ObjectId> referenced;
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    std::vector<model::TopicPartition> all = co_await partitions_of(shard);
    for (std::size_t next = 0; next < all.size();) {
      for (const PartitionExtents& partition : co_await extents_of(shard, all, next)) {
        referenced.insert(partition.objects.begin(), partition.objects.end());
      }
    }
    log::Shard* at = log_.shards[shard];
    const std::optional<std::vector<model::ObjectId>> kept =
        co_await runtime::submit_to(*doors_.runtime.shards[shard], [at] { return at->kept_objects(); });
    if (!kept) co_return std::nullopt;
    referenced.insert(kept->begin(), kept->end());
  }
  co_return referenced;
}

Task<base::Result<bool>> UpkeepImpl::proves_dead(const meta::ObjectRecord& object, const LiveData& live) {
  if (const auto known = footers_.find(object.id); known != footers_.end()) co_return is_dead(*known->second, live);
  const object::Identity identity{.cluster = naming_.cluster, .object = object.id};
  WEIR_CO_TRY_ASSIGN(
      const bytes::Buffer data,
      co_await doors_.store.get(object.key, object.footer_position, object.footer_bytes, {.deadline = request_deadline()}));
  WEIR_CO_TRY_ASSIGN(const object::Footer footer, object::parse_footer(data.view(), object.footer_position, identity));
  co_return is_dead(footer, live);
}

Task<UpkeepImpl::Done> UpkeepImpl::unlink_dead() {
  // Objects first, topics and log starts after them: a topic that the second read does not show was deleted, it cannot be one
  // that the first read was too early for. That no extent mentions an object only makes it worth a look at its footer: a commit
  // may not have reached its shard, and quarantined partitions have no extents.
  WEIR_CO_TRY_ASSIGN(meta::Snapshot listed, co_await doors_.meta.load());
  const std::optional<std::set<model::ObjectId>> referenced = co_await referenced_by_log();
  if (!referenced) co_return Done();  // partitions are still opening: what they need is not known
  std::erase_if(listed.objects, [&](const meta::ObjectRecord& object) { return referenced->contains(object.id); });
  if (listed.objects.empty()) co_return Done();
  WEIR_CO_TRY_ASSIGN(const meta::Snapshot after, co_await doors_.meta.load());
  const LiveData live = live_data(after);
  std::vector<meta::ObjectRecord> dead;
  std::size_t footers = 0;
  for (meta::ObjectRecord& object : listed.objects) {
    if (scope_.stopping() || footers++ == footers_per_round_max) break;
    const base::Result<bool> proven = co_await proves_dead(object, live);
    if (!proven) {
      if (proven.kind() == ErrorKind::retry || proven.kind() == ErrorKind::cancelled ||
          proven.kind() == ErrorKind::unknown_outcome) {
        co_return std::unexpected(proven.error());
      }
      doors_.runtime.log->error("upkeep", "an object's footer cannot be read; it is kept",
                                {{"key", object.key}, {"error", proven.error().text}});
      continue;
    }
    if (*proven) dead.push_back(std::move(object));
  }
  if (dead.empty()) co_return Done();
  const std::size_t count = dead.size();
  WEIR_CO_TRY(co_await doors_.meta.unlink_objects(std::move(dead), runtime::Reactor::current().wall_now_ms()));
  cells_.unlinked.add(count);
  doors_.runtime.log->info("upkeep", "objects that hold nothing readable are unlinked", {{"objects", count}});
  co_return Done();
}

Task<UpkeepImpl::Done> UpkeepImpl::delete_garbage() {
  WEIR_CO_TRY_ASSIGN(const std::vector<meta::GarbageRecord> garbage, co_await doors_.meta.list_garbage());
  cells_.garbage.set(static_cast<std::int64_t>(garbage.size()));
  std::map<model::ObjectId, base::MonoTime> seen;
  std::vector<meta::GarbageRecord> due;
  for (const meta::GarbageRecord& record : garbage) {
    const auto known = garbage_seen_.find(record.id);
    const base::MonoTime since = known == garbage_seen_.end() ? now() : known->second;
    seen[record.id] = since;
    if (now() >= since + options_.garbage_wait) due.push_back(record);
  }
  garbage_seen_ = std::move(seen);
  if (due.empty()) co_return Done();
  std::vector<std::string> keys;
  for (const meta::GarbageRecord& record : due) keys.push_back(record.key);
  WEIR_CO_TRY(co_await doors_.store.remove(std::move(keys), {.deadline = request_deadline()}));
  const std::size_t count = due.size();
  for (const meta::GarbageRecord& record : due) garbage_seen_.erase(record.id);
  WEIR_CO_TRY(co_await doors_.meta.drop_garbage(std::move(due)));
  cells_.deleted.add(count);
  cells_.garbage.add(-static_cast<std::int64_t>(count));
  doors_.runtime.log->info("upkeep", "objects are deleted", {{"objects", count}});
  co_return Done();
}

Task<base::Result<std::vector<std::string>>> UpkeepImpl::list_names() {
  std::vector<std::string> names;
  for (std::size_t hash = 0; hash < object::object_key_hash_count; ++hash) {
    std::string after;
    do {
      WEIR_CO_TRY_ASSIGN(store::ListPage page, co_await doors_.store.list(object::object_key_prefix(hash, naming_.cluster),
                                                                          after, {.deadline = request_deadline()}));
      for (store::ObjectInfo& info : page.objects) names.push_back(std::move(info.key));
      after = std::move(page.next_start_after);
      if (scope_.stopping()) co_return base::fail(ErrorKind::cancelled, "stopping");
    } while (!after.empty());
  }
  co_return names;
}

// Only of partitions that have names here.
Task<void> UpkeepImpl::add_manifest_facts(const std::vector<std::string>& names, NamesView& view) {
  std::set<model::TopicPartition> wanted;
  for (const std::string& name : names) {
    const std::optional<object::ObjectKey> key = object::parse_object_key(name);
    if (key && key->manifest_of) wanted.insert(*key->manifest_of);
  }
  if (wanted.empty()) co_return;
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    log::Shard* at = log_.shards[shard];
    const auto found = co_await runtime::submit_to(*doors_.runtime.shards[shard], [at, &wanted] {
      std::map<model::TopicPartition, ManifestFacts> facts;
      for (const model::TopicPartition& partition : wanted) {
        const std::optional<log::ManifestBasis> basis = at->manifest_basis(partition);
        if (!basis) continue;  // another shard's, or not open
        ManifestFacts& of = facts[partition];
        if (!basis->manifest) continue;
        of.sequence = basis->manifest->root.sequence;
        of.writers = basis->manifest->root.writers;
      }
      return facts;
    });
    view.manifests.insert(found.begin(), found.end());
  }
}

Task<UpkeepImpl::Done> UpkeepImpl::sweep() {
  // Our last commit before the listing, everybody's references after it: see garbage.h.
  NamesView view{.cluster = naming_.cluster,
                 .incarnation = naming_.incarnation,
                 .own_session = doors_.meta.session(),
                 .own_last_commit = doors_.meta.last_commit(),
                 .own_last_merge = doors_.meta.last_merge()};
  WEIR_CO_TRY_ASSIGN(const std::vector<std::string> names, co_await list_names());
  WEIR_CO_TRY_ASSIGN(std::vector<store::MultipartUpload> uploads, co_await list_uploads());
  WEIR_CO_TRY_ASSIGN(const meta::Snapshot snapshot, co_await doors_.meta.load());
  for (const meta::SessionRecord& session : snapshot.sessions) {
    if (session.state != meta::SessionState::sealed) view.unsealed.insert(session.id);
  }
  for (const meta::ObjectRecord& object : snapshot.objects) view.referenced.insert(object.id);
  for (const meta::GarbageRecord& record : snapshot.garbage) view.referenced.insert(record.id);
  for (const auto& [name, topic] : snapshot.topics) view.topics.insert(topic.id);
  co_await add_manifest_facts(names, view);
  std::vector<std::string> upload_keys;
  for (const store::MultipartUpload& upload : uploads) upload_keys.push_back(upload.key);
  co_await add_manifest_facts(upload_keys, view);
  std::map<std::string, base::MonoTime> seen;
  std::vector<std::string> due;
  for (const std::string& name : names) {
    const std::optional<object::ObjectKey> key = object::parse_object_key(name);
    if (!key || !is_orphan(*key, view)) continue;
    const auto known = orphans_seen_.find(name);
    if (known != orphans_seen_.end() && now() >= known->second + options_.garbage_wait) {
      due.push_back(name);
    } else if (seen.size() < orphans_seen_max) {
      seen[name] = known == orphans_seen_.end() ? now() : known->second;
    }
  }
  const std::size_t count = due.size();
  if (count > 0) {
    WEIR_CO_TRY(co_await doors_.store.remove(due, {.deadline = request_deadline()}));
    cells_.orphans.add(count);
    doors_.runtime.log->info("upkeep", "objects that no commit references are deleted", {{"objects", count}});
  }
  orphans_seen_ = std::move(seen);
  co_return co_await abort_stale(std::move(uploads), &view);
}

}  // namespace weir::upkeep
