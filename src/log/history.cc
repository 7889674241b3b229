// History: what lies below a partition's manifest's covers_to, and what an edit of the manifest changes here.
#include <algorithm>

#include "log/shard.h"

namespace weir::log {

using base::ErrorKind;
using base::fail;

std::optional<ManifestBasis> ShardLog::manifest_basis(const model::TopicPartition& partition) const {
  const PartitionPtr p = find(partition);
  if (!p || p->phase == Phase::loading || p->phase == Phase::quarantined || p->phase == Phase::removed) return std::nullopt;
  ManifestBasis basis{.manifest = p->manifest,
                      .log_start = p->log_start,
                      .splittable_to = std::min(p->uploaded_to(), p->last_stable),
                      .aborted = {},
                      .producer_id_expiration_ms = producer_id_expiration_ms_};
  if (p->transactions) basis.aborted = p->transactions->spans_touching(model::Offset(0), basis.splittable_to);
  return basis;
}

std::optional<Shard::History> ShardLog::history(const model::TopicPartition& partition) const {
  const PartitionPtr p = find(partition);
  if (!p || p->phase == Phase::loading || p->phase == Phase::quarantined) return std::nullopt;
  return History{.manifest = p->manifest, .log_start = p->log_start};
}

void ShardLog::apply_manifest(ManifestPtr manifest) {
  const PartitionPtr p = find(manifest->record.partition);
  if (!p || p->phase == Phase::loading || p->phase == Phase::quarantined || p->phase == Phase::removed) return;
  const std::uint64_t before = p->manifest ? p->manifest->root.sequence : 0;
  const model::Offset covers_to = manifest->root.covers_to;
  ENSURE(manifest->root.sequence > before && covers_to >= p->covers_to(), "manifest {} up to {} after {} up to {}",
         manifest->root.sequence, covers_to.value(), before, p->covers_to().value());
  // Above it a transaction below might still be aborted, and its readers would not hear of it.
  ENSURE(covers_to <= p->last_stable && covers_to <= p->uploaded_to(),
         "a manifest covers up to {}, the last stable offset is {}, uploaded is {}", covers_to.value(), p->last_stable.value(),
         p->uploaded_to().value());
  p->manifest = std::move(manifest);
  p->extents.drop_below(covers_to);
  std::erase_if(p->kept_statements, [&](const auto& item) { return item.first <= covers_to; });
  // What the tail still holds of it is read without the manifest.
  if (p->transactions) p->transactions->drop_spans_below(p->tail.empty() ? covers_to : std::min(covers_to, p->tail[0].base));
  p->check();
}

std::vector<Shard::Holding> ShardLog::holdings(const model::TopicPartition& partition) const {
  std::vector<Holding> out;
  const PartitionPtr p = find(partition);
  if (!p || p->phase == Phase::loading || p->phase == Phase::quarantined || p->phase == Phase::removed) return out;
  const model::Offset splittable_to = std::min(p->uploaded_to(), p->last_stable);
  out.reserve(p->kept_statements.size() + p->extents.size());
  for (const auto& [end, object] : p->kept_statements) {
    out.push_back({.object = object->id, .end_offset = end, .statement = true, .splittable = end <= splittable_to});
  }
  for (std::size_t i = 0; i < p->extents.size(); ++i) {
    const log::Extent& extent = p->extents[i];
    out.push_back({.object = extent.object->id,
                   .end_offset = extent.end,
                   .payload_bytes = extent.payload_bytes,
                   .splittable = extent.end <= splittable_to});
  }
  return out;
}

runtime::Task<base::Result<LeafPtr>> ShardLog::read_leaf(model::TopicPartition partition, object::LeafRef ref,
                                                         base::MonoTime deadline) {
  const PartitionPtr p = find(partition);
  if (!p) co_return fail(ErrorKind::not_found, "no such partition");
  co_return co_await cold_->leaf(manifest_identity(*p), ref, deadline);
}

runtime::Task<base::Result<std::vector<object::BlockRef>>> ShardLog::blocks_at(model::TopicPartition partition,
                                                                               model::Offset offset, base::MonoTime deadline) {
  const PartitionPtr p = find(partition);
  if (!p) co_return fail(ErrorKind::not_found, "no such partition");
  if (offset < p->covers_to()) {
    WEIR_CO_TRY_ASSIGN(const ColdExtentPtr cold, co_await find_cold(p, offset, deadline));
    co_return cold->extent.blocks;
  }
  const std::size_t at = p->extents.find(offset);
  if (at == p->extents.size()) co_return fail(ErrorKind::not_found, fmt::format("no object holds offset {}", offset.value()));
  co_return p->extents[at].blocks;
}

runtime::Task<base::Result<ColdExtentPtr>> ShardLog::find_cold(PartitionPtr p, model::Offset offset, base::MonoTime deadline) {
  const ManifestPtr manifest = p->manifest;
  const std::size_t at = manifest ? object::find_leaf(manifest->root, offset) : 0;
  if (!manifest || at == manifest->root.leaves.size()) {
    co_return fail(ErrorKind::not_found, fmt::format("the manifest holds no offset {}", offset.value()));
  }
  WEIR_CO_TRY_ASSIGN(const LeafPtr leaf, co_await cold_->leaf(manifest_identity(*p), manifest->root.leaves[at], deadline));
  const std::size_t entry = object::find_entry(*leaf, offset);
  ENSURE(entry < leaf->entries.size(), "a leaf that tiles [{}, {}) holds no {}", manifest->root.leaves[at].base_offset.value(),
         manifest->root.leaves[at].end_offset.value(), offset.value());
  co_return co_await cold_->object(manifest_identity(*p), leaf->entries[entry], deadline);
}

// The first block at or behind `from` that may have such a record. At most two leaves and two objects are opened: only the ones that
// `from` lies in can turn out to have it below `from`.
runtime::Task<base::Result<std::optional<ShardLog::Holder>>> ShardLog::next_cold_holder(PartitionPtr p, model::Offset from,
                                                                                        base::WallMs timestamp,
                                                                                        base::MonoTime deadline) {
  const ManifestPtr manifest = p->manifest;
  for (const object::LeafRef& ref : manifest->root.leaves) {
    if (ref.end_offset <= from || ref.max_timestamp < timestamp) continue;
    WEIR_CO_TRY_ASSIGN(const LeafPtr leaf, co_await cold_->leaf(manifest_identity(*p), ref, deadline));
    for (const object::ManifestEntry& entry : leaf->entries) {
      if (entry.end_offset <= from || entry.max_timestamp < timestamp) continue;
      WEIR_CO_TRY_ASSIGN(const ColdExtentPtr cold, co_await cold_->object(manifest_identity(*p), entry, deadline));
      for (const object::BlockRef& block : cold->extent.blocks) {
        if (block.end_offset <= from || block.max_timestamp < timestamp) continue;
        co_return Holder{.offset = std::max(from, block.base_offset), .end = block.end_offset};
      }
    }
  }
  co_return std::optional<Holder>();
}

// Of the blocks that lie whole at or above `from`.
runtime::Task<base::Result<base::WallMs>> ShardLog::highest_in_history(PartitionPtr p, model::Offset from,
                                                                       base::MonoTime deadline) {
  const ManifestPtr manifest = p->manifest;
  base::WallMs highest = -1;
  for (const object::LeafRef& ref : manifest->root.leaves) {
    if (ref.base_offset >= from) highest = std::max(highest, ref.max_timestamp);
    if (ref.base_offset >= from || ref.end_offset <= from) continue;
    WEIR_CO_TRY_ASSIGN(const LeafPtr leaf, co_await cold_->leaf(manifest_identity(*p), ref, deadline));
    for (const object::ManifestEntry& entry : leaf->entries) {
      if (entry.base_offset >= from) highest = std::max(highest, entry.max_timestamp);
      if (entry.base_offset >= from || entry.end_offset <= from) continue;
      WEIR_CO_TRY_ASSIGN(const ColdExtentPtr cold, co_await cold_->object(manifest_identity(*p), entry, deadline));
      for (const object::BlockRef& block : cold->extent.blocks) {
        if (block.base_offset >= from) highest = std::max(highest, block.max_timestamp);
      }
    }
  }
  co_return highest;
}

}  // namespace weir::log
