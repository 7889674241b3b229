// log/testing/split.h: moves a partition's recent objects under its manifest, one object of its own for each extent.
// Why:        the log's side of manifests is tested here as merging will use it: edit, PUT, commit, apply.
#pragma once

#include <algorithm>

#include "bytes/crc32c.h"
#include "log/testing/log_fixture.h"
#include "object/manifest_edit.h"

namespace weir::log::testing {

/// Steps of a split; it ends before the one that is named.
enum class SplitStop : std::uint8_t { never, before_commit, before_apply };

inline runtime::Task<base::Result<std::vector<object::InputBatch>>> load_batches(Cluster* cluster, object::Identity identity,
                                                                                 std::string key,
                                                                                 object::PartitionEntry entry) {
  std::vector<object::InputBatch> batches;
  for (const object::BlockRef& ref : entry.blocks) {
    WEIR_CO_TRY_ASSIGN(const bytes::Buffer block,
                       co_await cluster->store.get(key, ref.position, object::block_header_bytes + ref.payload_bytes,
                                                   {.deadline = base::MonoTime::max()}));
    WEIR_CO_TRY(object::verify_block(block.view(), identity, entry.partition, ref));
    const bytes::Buffer payload = block.slice(object::block_header_bytes, ref.payload_bytes);
    for (std::size_t at = 0; at < payload.size();) {
      const auto header = model::peek_batch_header(payload.view().subspan(at));
      const bytes::Buffer batch = payload.slice(at, header->size_bytes());
      batches.push_back({.payload = batch,
                         .payload_crc = bytes::crc32c(batch.view()),
                         .base_offset = header->base_offset,
                         .end_offset = header->next_offset(),
                         .max_timestamp = header->max_timestamp});
      at += header->size_bytes();
    }
  }
  co_return batches;
}

inline runtime::Task<base::Result<object::AddedObject>> rewrite(Cluster* cluster, Broker* broker, Shard::Extent extent,
                                                                object::ManifestIdentity identity, ManifestBasis basis,
                                                                object::ManifestName name) {
  const object::Identity old{.cluster = cluster->cluster_id, .object = extent.object.id};
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data,
                     co_await cluster->store.get(extent.object.key, extent.object.footer_position, extent.object.footer_bytes,
                                                 {.deadline = base::MonoTime::max()}));
  WEIR_CO_TRY_ASSIGN(object::Footer footer, object::parse_footer(data.view(), extent.object.footer_position, old));
  const auto found = std::find_if(footer.entries.begin(), footer.entries.end(),
                                  [&](const object::PartitionEntry& e) { return e.partition == identity.partition; });
  WEIR_CO_TRY_ASSIGN(std::vector<object::InputBatch> batches, co_await load_batches(cluster, old, extent.object.key, *found));
  object::AddedObject added{.entry = {.object = name}, .epochs = found->epochs, .producers = found->producers};
  object::Builder builder({.cluster = cluster->cluster_id, .object = name.id}, name.session,
                          model::CommitNumber(name.sequence));
  object::PartitionEntry entry = *found;
  entry.blocks.clear();
  entry.time_index.clear();
  entry.payload_bytes = 0;
  builder.add_partition(std::move(entry), std::move(batches));
  auto finished = std::move(builder).finish();
  added.entry.size_bytes = finished.size_bytes;
  added.entry.footer_position = finished.footer_position;
  added.entry.footer_bytes = finished.footer_bytes;
  added.entry.footer_crc = finished.footer_crc;
  added.entry.base_offset = found->base_offset;
  added.entry.end_offset = found->end_offset;
  added.entry.payload_bytes = finished.footer.entries[0].payload_bytes;
  added.entry.max_timestamp = finished.footer.entries[0].max_timestamp;
  added.entry.created_ms = extent.object.created_ms;
  for (const object::AbortedSpan& span : basis.aborted) {
    if (span.last >= found->base_offset && span.first < found->end_offset) added.entry.aborted.push_back(span);
  }
  const store::PutOptions options{.if_none_match = true, .crc32c = finished.crc32c, .deadline = base::MonoTime::max()};
  WEIR_CO_TRY(co_await cluster->store.put(object::format_object_key(name.key(identity)), finished.body, options));
  (void)broker;
  co_return added;
}

inline runtime::Task<base::Result<std::size_t>> split_off(Cluster* cluster, Broker* broker, model::TopicPartition partition,
                                                          model::Offset up_to, SplitStop stop) {
  Shard& shard = broker->log->shard(broker->log->home(partition));
  const std::optional<ManifestBasis> basis = shard.manifest_basis(partition);
  if (!basis) co_return base::fail(base::ErrorKind::not_found, "not open");
  const object::ManifestIdentity identity{.cluster = cluster->cluster_id, .partition = partition};
  const std::uint64_t sequence = (basis->manifest ? basis->manifest->root.sequence : 0) + 1;
  const auto name = [&] {
    return object::ManifestName{.incarnation = 1,
                                .session = broker->session.id,
                                .sequence = sequence,
                                .id = model::ObjectId{model::Uuid::from_random(cluster->next_object++ << 8U, 6)}};
  };
  object::ManifestEditInput input{.identity = identity, .page = name(), .added = {}, .log_start = basis->log_start};
  for (const Shard::Extent& extent : shard.extents(partition)) {
    if (extent.end_offset > std::min(up_to, basis->splittable_to)) break;
    WEIR_CO_TRY_ASSIGN(object::AddedObject added, co_await rewrite(cluster, broker, extent, identity, *basis, name()));
    input.added.push_back(std::move(added));
  }
  const std::size_t count = input.added.size();
  if (basis->manifest) {
    input.old_root = &basis->manifest->root;
    input.old_place = basis->manifest->place();
    const object::ManifestEditNeeds needs = object::manifest_edit_needs(*input.old_root, basis->log_start, count > 0);
    if (needs.first_leaf) {
      WEIR_CO_TRY_ASSIGN(const auto leaf,
                         co_await shard.read_leaf(partition, input.old_root->leaves.front(), base::MonoTime::max()));
      input.first_leaf = *leaf;
    }
    if (needs.last_leaf) {
      WEIR_CO_TRY_ASSIGN(const auto leaf,
                         co_await shard.read_leaf(partition, input.old_root->leaves.back(), base::MonoTime::max()));
      input.last_leaf = *leaf;
    }
  } else if (count == 0) {
    co_return count;
  }
  WEIR_CO_TRY_ASSIGN(object::ManifestEdit edit, object::edit_manifest(std::move(input)));
  const store::PutOptions options{.if_none_match = true, .crc32c = bytes::crc32c(edit.body), .deadline = base::MonoTime::max()};
  bytes::BufferList body{bytes::Buffer::copy_of(bytes::as_text(edit.body))};
  WEIR_CO_TRY(co_await cluster->store.put(object::format_object_key(edit.place.page.key(identity)), std::move(body), options));
  if (stop == SplitStop::before_commit) co_return count;
  std::vector<meta::GarbageRecord> dropped;
  for (const object::ManifestName& gone : edit.dropped)
    dropped.push_back({.id = gone.id, .key = object::format_object_key(gone.key(identity))});
  WEIR_CO_TRY_ASSIGN(meta::ManifestRecord committed,
                     co_await broker->meta.commit_manifest(basis->manifest ? basis->manifest->record : meta::ManifestRecord{},
                                                           manifest_record(identity, edit.place, edit.root), dropped, 1));
  if (stop == SplitStop::before_apply) co_return count;
  shard.apply_manifest(std::make_shared<const Manifest>(Manifest{.record = committed, .root = std::move(edit.root)}));
  co_return count;
}

}  // namespace weir::log::testing
