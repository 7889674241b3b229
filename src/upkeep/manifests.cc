// upkeep/manifests.cc: changing a partition's manifest: the one way to do it, and the changes that only drop what lies below the log start.
// Order of each change: PUT the page object, commit man/P (what the old manifest named and the new one does not goes to gc/ in the same
// transaction), tell the shard. Until the commit nothing has changed; whatever fails leaves names that the sweep knows as nobody's,
// because a number that was given to an edit is never given to another.
#include <algorithm>

#include "bytes/crc32c.h"
#include "runtime/submit.h"
#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

using base::ErrorKind;
using base::fail;
using runtime::Task;

Task<std::optional<log::ManifestBasis>> UpkeepImpl::basis_of(PartitionPlace place) {
  log::Shard* at = log_.shards[place.shard];
  co_return co_await runtime::submit_to(*doors_.runtime.shards[place.shard],
                                        [at, partition = place.partition] { return at->manifest_basis(partition); });
}

Task<base::Result<std::shared_ptr<const object::Leaf>>> UpkeepImpl::leaf_of(PartitionPlace place, object::LeafRef ref) {
  log::Shard* at = log_.shards[place.shard];
  const base::MonoTime deadline = request_deadline();
  co_return co_await runtime::submit_to(*doors_.runtime.shards[place.shard], [at, partition = place.partition, ref, deadline] {
    return at->read_leaf(partition, ref, deadline);
  });
}

// Numbers of edits that failed are left out for ever: what was put for them is told by them.
std::uint64_t UpkeepImpl::next_sequence(const model::TopicPartition& partition, const log::ManifestPtr& manifest) const {
  const std::uint64_t committed = manifest ? manifest->root.sequence : 0;
  const auto tried = edits_tried_.find(partition);
  return std::max(committed, tried == edits_tried_.end() ? 0 : tried->second) + 1;
}

object::ManifestName UpkeepImpl::new_name(std::uint64_t sequence) const {
  runtime::Reactor& reactor = runtime::Reactor::current();
  const std::uint64_t high = reactor.random();
  return {.incarnation = naming_.incarnation,
          .session = doors_.meta.session(),
          .sequence = sequence,
          .id = model::ObjectId{model::Uuid::from_random(high, reactor.random())}};
}

Task<base::Result<object::ManifestEdit>> UpkeepImpl::prepare_edit(ManifestChange* change) {
  const log::ManifestBasis& basis = change->basis;
  object::ManifestEditInput input{.identity = {.cluster = naming_.cluster, .partition = change->place.partition},
                                  .page = new_name(change->sequence),
                                  .added = std::move(change->added),
                                  .log_start = basis.log_start,
                                  .producers_expire_before_ms = change->producers_expire_before_ms};
  if (basis.manifest) {
    input.old_root = &basis.manifest->root;
    input.old_place = basis.manifest->place();
    const object::ManifestEditNeeds needs = object::manifest_edit_needs(*input.old_root, basis.log_start, !input.added.empty());
    if (needs.first_leaf) {
      WEIR_CO_TRY_ASSIGN(const auto leaf, co_await leaf_of(change->place, input.old_root->leaves.front()));
      input.first_leaf = *leaf;
    }
    if (needs.last_leaf) {
      WEIR_CO_TRY_ASSIGN(const auto leaf, co_await leaf_of(change->place, input.old_root->leaves.back()));
      input.last_leaf = *leaf;
    }
  }
  co_return object::edit_manifest(std::move(input));
}

Task<base::Result<bool>> UpkeepImpl::commit_change(ManifestChange* change) {
  const model::TopicPartition partition = change->place.partition;
  const object::ManifestIdentity identity{.cluster = naming_.cluster, .partition = partition};
  edits_tried_[partition] = change->sequence;
  WEIR_CO_TRY_ASSIGN(object::ManifestEdit edit, co_await prepare_edit(change));
  cells_.manifest_puts.add();
  bytes::BufferList body{bytes::Buffer::copy_of(bytes::as_text(edit.body))};
  const store::PutOptions put{.if_none_match = true, .crc32c = bytes::crc32c(edit.body), .deadline = request_deadline()};
  WEIR_CO_TRY(co_await doors_.store.put(object::format_object_key(edit.place.page.key(identity)), std::move(body), put));
  std::vector<meta::GarbageRecord> dropped;
  for (const object::ManifestName& gone : edit.dropped) {
    dropped.push_back({.id = gone.id, .key = object::format_object_key(gone.key(identity))});
  }
  const meta::ManifestRecord old = change->basis.manifest ? change->basis.manifest->record : meta::ManifestRecord{};
  WEIR_CO_TRY_ASSIGN(meta::ManifestRecord committed,
                     co_await doors_.meta.commit_manifest(old, log::manifest_record(identity, edit.place, edit.root), dropped,
                                                          runtime::Reactor::current().wall_now_ms()));
  cells_.manifest_edits.add();
  cells_.manifest_dropped.add(dropped.size());
  const auto manifest =
      std::make_shared<const log::Manifest>(log::Manifest{.record = std::move(committed), .root = std::move(edit.root)});
  log::Shard* at = log_.shards[change->place.shard];
  co_await runtime::submit_to(*doors_.runtime.shards[change->place.shard], [at, manifest] { at->apply_manifest(manifest); });
  edits_tried_.erase(partition);
  co_return edit.drops_left;
}

// --- dropping ---

// Whether a whole object lies below the log start: only the first leaf tells, and it is not read again while the answer is known.
Task<base::Result<bool>> UpkeepImpl::drops_something(PartitionPlace place, const log::ManifestBasis* basis) {
  const log::Manifest& manifest = *basis->manifest;
  if (!object::manifest_edit_needs(manifest.root, basis->log_start, false).first_leaf) co_return false;
  const auto known = first_ends_.find(place.partition);
  if (known != first_ends_.end() && known->second.sequence == manifest.root.sequence) {
    co_return known->second.end <= basis->log_start;
  }
  WEIR_CO_TRY_ASSIGN(const auto leaf, co_await leaf_of(place, manifest.root.leaves.front()));
  const model::Offset end = leaf->entries.front().end_offset;
  first_ends_[place.partition] = {.sequence = manifest.root.sequence, .end = end};
  co_return end <= basis->log_start;
}

Task<UpkeepImpl::Done> UpkeepImpl::trim_partition(PartitionPlace place) {
  for (std::size_t edits = 0; edits < trims_per_round_max && !scope_.stopping(); ++edits) {
    std::optional<log::ManifestBasis> basis = co_await basis_of(place);
    if (!basis || !basis->manifest) co_return Done();
    WEIR_CO_TRY_ASSIGN(const bool due, co_await drops_something(place, &*basis));
    if (!due) co_return Done();
    const std::uint64_t sequence = next_sequence(place.partition, basis->manifest);
    ManifestChange change{.place = place, .basis = std::move(*basis), .sequence = sequence};
    WEIR_CO_TRY_ASSIGN(const bool left, co_await commit_change(&change));
    if (!left) co_return Done();
  }
  co_return Done();
}

Task<UpkeepImpl::Done> UpkeepImpl::trim_manifests() {
  std::set<model::TopicPartition> present;
  Done result;
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    for (const model::TopicPartition& partition : co_await partitions_of(shard)) {
      if (scope_.stopping()) co_return Done();
      present.insert(partition);
      const Done done = co_await trim_partition({.partition = partition, .shard = shard});
      if (done) continue;
      // A damaged or deleted partition must not keep the others waiting; a session that is over ends the round.
      const ErrorKind kind = done.kind();
      result = done;
      if (kind == ErrorKind::fenced || kind == ErrorKind::cancelled || kind == ErrorKind::retry) co_return result;
    }
  }
  std::erase_if(first_segments_, [&](const auto& item) { return !present.contains(item.first); });
  std::erase_if(first_ends_, [&](const auto& item) { return !present.contains(item.first); });
  std::erase_if(edits_tried_, [&](const auto& item) { return !present.contains(item.first); });
  co_return result;
}

// --- retention ---

Task<base::Result<void>> UpkeepImpl::expand_piece(const PartitionExtents* partition, std::vector<RetentionPiece>* pieces,
                                                  std::size_t index) {
  const RetentionPiece& piece = (*pieces)[index];
  const PartitionPlace place = partition->place;
  if (piece.grain == Grain::leaf) {
    WEIR_CO_TRY_ASSIGN(const auto leaf, co_await leaf_of(place, partition->manifest->root.leaves[piece.leaf]));
    expand(*pieces, index, *leaf, partition->log_start);
    co_return Done();
  }
  log::Shard* at = log_.shards[place.shard];
  const base::MonoTime deadline = request_deadline();
  const model::Offset last = piece.extent.end_offset - 1;
  WEIR_CO_TRY_ASSIGN(
      const std::vector<object::BlockRef> blocks,
      co_await runtime::submit_to(*doors_.runtime.shards[place.shard],
                                  [at, of = place.partition, last, deadline] { return at->blocks_at(of, last, deadline); }));
  if (!expand(*pieces, index, blocks, partition->log_start)) {
    co_return fail(ErrorKind::retry, "an object took the place of another meanwhile");
  }
  co_return Done();
}

}  // namespace weir::upkeep
