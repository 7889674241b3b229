// Offsets by time and by epoch, and where an offset lies.
// A question by time finds the first batch whose highest timestamp reaches it (binary search over running maxima, then one
// block or one tail record) and then the exact record in it, decompressing that one batch.
#include <algorithm>

#include "log/shard.h"

namespace weir::log {
namespace {

struct Found {
  model::Offset offset{-1};
  base::WallMs timestamp = -1;
};

/// First record of one batch at or after `from` with at least `timestamp`; offset -1 when there is none.
base::Result<Found> first_in_batch(bytes::Bytes batch, model::Offset from, base::WallMs timestamp) {
  WEIR_TRY_ASSIGN(model::RecordReader reader, model::RecordReader::open(batch));
  for (;;) {
    WEIR_TRY_ASSIGN(const std::optional<model::RecordView> record, reader.next());
    if (!record) return Found{};
    if (record->offset >= from && record->timestamp >= timestamp)
      return Found{.offset = record->offset, .timestamp = record->timestamp};
  }
}

/// The same over a block of batches.
base::Result<Found> first_in_block(bytes::Bytes block, model::Offset from, base::WallMs timestamp) {
  for (std::size_t at = 0; at < block.size();) {
    const auto header = model::peek_batch_header(block.subspan(at));
    if (!header || header->batch_length < 0 || header->size_bytes() > block.size() - at) {
      return base::fail(base::ErrorKind::corrupt, "a verified block holds a broken batch");
    }
    if (header->next_offset() > from && header->max_timestamp >= timestamp) {
      WEIR_TRY_ASSIGN(const Found found, first_in_batch(block.subspan(at, header->size_bytes()), from, timestamp));
      if (found.offset.value() >= 0) return found;
    }
    at += header->size_bytes();
  }
  return Found{};
}

/// The highest timestamp of records at or after `from` in a block of batches.
base::Result<base::WallMs> highest_in_block(bytes::Bytes block, model::Offset from) {
  base::WallMs highest = -1;
  for (std::size_t at = 0; at < block.size();) {
    const auto header = model::peek_batch_header(block.subspan(at));
    if (!header || header->batch_length < 0 || header->size_bytes() > block.size() - at) {
      return base::fail(base::ErrorKind::corrupt, "a verified block holds a broken batch");
    }
    if (header->base_offset >= from) {
      highest = std::max(highest, header->max_timestamp);
    } else if (header->next_offset() > from) {
      WEIR_TRY_ASSIGN(model::RecordReader reader, model::RecordReader::open(block.subspan(at, header->size_bytes())));
      for (;;) {
        WEIR_TRY_ASSIGN(const std::optional<model::RecordView> record, reader.next());
        if (!record) break;
        if (record->offset >= from) highest = std::max(highest, record->timestamp);
      }
    }
    at += header->size_bytes();
  }
  return highest;
}

/// The highest timestamp of the blocks and tail records that lie whole in [from, confirmed end), from what is in memory.
base::WallMs highest_by_headers(const Partition& p, model::Offset from) {
  base::WallMs highest = -1;
  for (std::size_t i = p.extents.find_at_or_after(from); i < p.extents.size(); ++i) {
    const log::Extent& extent = p.extents[i];
    if (extent.base >= from) {
      highest = std::max(highest, extent.max_timestamp);
      continue;
    }
    for (const object::BlockRef& block : extent.blocks) {
      if (block.base_offset >= from) highest = std::max(highest, block.max_timestamp);
    }
  }
  const std::size_t count = p.tail.confirmed_count();
  if (count == 0) return highest;
  // The running maximum of the last record is the tail's, unless the record that set it has left.
  const base::WallMs last = p.tail[count - 1].running_max_timestamp;
  const std::size_t at = p.tail.first_at_or_after(last);
  if (at < count && p.tail[at].base >= from) return std::max(highest, last);
  for (std::size_t i = 0; i < count; ++i) {
    if (p.tail[i].base >= from) highest = std::max(highest, p.tail[i].max_timestamp);
  }
  return highest;
}

}  // namespace

// What holds `offset`: a block's payload, or one batch of the tail.
runtime::Task<base::Result<bytes::Buffer>> ShardLog::load_holder(PartitionPtr p, model::Offset offset,
                                                                 base::MonoTime deadline) {
  const std::size_t at = p->tail.find(offset);
  if (at < p->tail.confirmed_count()) {
    if (!p->tail[at].memory.empty()) co_return p->tail[at].memory;
    co_return co_await appender_->read(p->tail[at].place);
  }
  ColdExtentPtr cold;
  if (offset < p->covers_to()) { WEIR_CO_TRY_ASSIGN(cold, co_await find_cold(p, offset, deadline)); }
  const std::size_t e = p->extents.find(offset);
  if (!cold && e == p->extents.size()) co_return base::fail(base::ErrorKind::not_found, "the offset lies in no object");
  const log::Extent& extent = cold ? cold->extent : p->extents[e];
  std::vector<cache::BlockKey> blocks;
  blocks.push_back({.identity = {.cluster = doors_.cluster, .object = extent.object->id},
                    .object_key = extent.object->key,
                    .partition = p->id,
                    .ref = extent.blocks[log::Extents::find_block(extent, offset)]});
  WEIR_CO_TRY_ASSIGN(std::vector<bytes::Buffer> loaded, co_await cache_->get(std::move(blocks), 1, deadline));
  co_return std::move(loaded.front());
}

/// The first holder at or behind `from` that may have such a record. Where the tail begins its records are the holders, below it
/// blocks are (as in load_holder).
std::optional<ShardLog::Holder> ShardLog::next_holder(const Partition& p, model::Offset from, base::WallMs timestamp) {
  const model::Offset tail_begin = p.tail.empty() ? p.end : p.tail[0].base;
  for (std::size_t e = std::max(p.extents.find_at_or_after(from), p.extents.first_at_or_after(timestamp)); e < p.extents.size();
       ++e) {
    if (p.extents[e].max_timestamp < timestamp) continue;
    for (const object::BlockRef& block : p.extents[e].blocks) {
      const model::Offset first = std::max(from, block.base_offset);
      if (block.end_offset > from && block.max_timestamp >= timestamp && first < tail_begin) {
        return Holder{.offset = first, .end = block.end_offset};
      }
    }
  }
  for (std::size_t i = p.tail.first_at_or_after(timestamp); i < p.tail.confirmed_count(); ++i) {
    const TailRecord& record = p.tail[i];
    if (record.end > from && record.max_timestamp >= timestamp)
      return Holder{.offset = std::max(from, record.base), .end = record.end};
  }
  return std::nullopt;
}

runtime::Task<base::Result<OffsetAndTimestamp>> ShardLog::search_time(PartitionPtr p, base::WallMs timestamp,
                                                                      base::MonoTime deadline) {
  model::Offset from = p->log_start;
  for (std::size_t attempt = 0; attempt < time_search_steps_max; ++attempt) {
    std::optional<Holder> holder;
    const auto tail_begin = [&p] { return p->tail.empty() ? p->end : p->tail[0].base; };
    if (from < std::min(p->covers_to(), tail_begin())) {
      const ManifestPtr manifest = p->manifest;
      auto cold = co_await next_cold_holder(p, from, timestamp, deadline);
      if (p->phase == Phase::removed) co_return base::fail(base::ErrorKind::not_found, "the topic was deleted");
      if (!cold && p->manifest != manifest) continue;
      if (!cold) co_return std::unexpected(std::move(cold).error());
      holder = *cold;
      // What the tail still holds of history is looked at record by record, as in load_holder.
      if (holder && holder->offset >= tail_begin()) holder.reset();
      if (!holder) from = std::max(from, std::min(p->covers_to(), tail_begin()));
    }
    if (!holder) holder = next_holder(*p, from, timestamp);
    if (!holder) co_return OffsetAndTimestamp{};
    auto loaded = co_await load_holder(p, holder->offset, deadline);
    if (p->phase == Phase::removed) co_return base::fail(base::ErrorKind::not_found, "the topic was deleted");
    if (!loaded) {
      // Uploaded or dropped while it was read: look again; the attempts bound this.
      if (attempt + 1 < time_search_steps_max && loaded.kind() != base::ErrorKind::retry) {
        from = std::max(from, p->log_start);
        continue;
      }
      co_return std::unexpected(std::move(loaded).error());
    }
    WEIR_CO_TRY_ASSIGN(const Found found, first_in_block(loaded->view(), holder->offset, timestamp));
    if (found.offset.value() >= 0) {
      co_return OffsetAndTimestamp{.offset = found.offset, .timestamp = found.timestamp, .epoch = p->epoch_of(found.offset)};
    }
    from = holder->end;
  }
  co_return base::fail(base::ErrorKind::retry, "the batches moved again and again while they were searched");
}

runtime::Task<base::Result<base::WallMs>> ShardLog::highest_timestamp(PartitionPtr p, base::MonoTime deadline) {
  const model::Offset from = p->log_start;
  base::WallMs highest = highest_by_headers(*p, from);
  if (from < p->covers_to()) {
    WEIR_CO_TRY_ASSIGN(const base::WallMs in_history, co_await highest_in_history(p, from, deadline));
    highest = std::max(highest, in_history);
  }
  if (from >= p->high_watermark) co_return highest;
  auto holder = co_await load_holder(p, from, deadline);
  WEIR_CO_TRY(holder);
  WEIR_CO_TRY_ASSIGN(const base::WallMs partial, highest_in_block(holder->view(), from));
  co_return std::max(highest, partial);
}

runtime::Task<OffsetAndTimestamp> ShardLog::query_offset(model::TopicPartition partition, OffsetQuery query,
                                                         base::WallMs timestamp, Isolation isolation, base::MonoTime deadline) {
  const PartitionPtr p = find(partition);
  if (!p) co_return OffsetAndTimestamp{.error = Errc::unknown_partition};
  if (!co_await wait_loaded(p, deadline)) co_return OffsetAndTimestamp{.error = Errc::store_unavailable};
  if (p->phase == Phase::removed) co_return OffsetAndTimestamp{.error = Errc::unknown_partition};
  if (!fenced_.empty()) co_return OffsetAndTimestamp{.error = Errc::not_owner};
  if (p->phase == Phase::quarantined) co_return OffsetAndTimestamp{.error = Errc::quarantined};
  switch (query) {
    case OffsetQuery::earliest:
    case OffsetQuery::earliest_local: {
      const model::LeaderEpoch epoch = p->log_start < p->end ? p->epoch_of(p->log_start) : p->own.epoch();
      co_return OffsetAndTimestamp{.offset = p->log_start, .epoch = epoch};
    }
    case OffsetQuery::latest: co_return OffsetAndTimestamp{.offset = p->readable_end(isolation), .epoch = p->own.epoch()};
    // Kafka answers -1 without remote log storage, which weir does not announce: its objects are the log itself.
    case OffsetQuery::latest_tiered: co_return OffsetAndTimestamp{};
    case OffsetQuery::max_timestamp:
    case OffsetQuery::by_time: break;
  }
  base::WallMs wanted = timestamp;
  if (query == OffsetQuery::max_timestamp) {
    auto highest = co_await highest_timestamp(p, deadline);
    if (!highest) co_return OffsetAndTimestamp{.error = Errc::store_unavailable};
    if (*highest < 0) co_return OffsetAndTimestamp{};
    wanted = *highest;
  }
  auto found = co_await search_time(p, wanted, deadline);
  if (!found) co_return OffsetAndTimestamp{.error = Errc::store_unavailable};
  if (found->offset >= p->readable_end(isolation)) co_return OffsetAndTimestamp{};
  co_return *found;
}

EpochEnd ShardLog::epoch_end(model::TopicPartition partition, model::LeaderEpoch epoch) {
  const PartitionPtr p = find(partition);
  if (!p) return {.error = Errc::unknown_partition};
  if (!fenced_.empty()) return {.error = Errc::not_owner};
  if (p->phase == Phase::quarantined) return {.error = Errc::quarantined};
  if (p->phase == Phase::loading) return {.error = Errc::store_unavailable};
  if (epoch == p->own.epoch()) return {.epoch = epoch, .end_offset = p->high_watermark};
  if (epoch > p->own.epoch() || epoch.value() < 0) return {};
  const std::size_t after = first_index(p->epochs.size(), [&](std::size_t i) { return p->epochs[i].epoch > epoch; });
  // The epoch asked for, or the highest one below it that holds offsets; it ends where the next one begins.
  const model::Offset end = after == p->epochs.size() ? p->high_watermark : std::max(p->epochs[after].start, p->log_start);
  return {.epoch = after == 0 ? epoch : p->epochs[after - 1].epoch, .end_offset = std::min(end, p->high_watermark)};
}

runtime::Task<base::Result<std::optional<Location>>> ShardLog::locate(model::TopicPartition partition, model::Offset offset) {
  const PartitionPtr p = find(partition);
  if (!p) co_return base::fail(base::ErrorKind::not_found, "no such partition");
  if (p->phase == Phase::loading) co_return base::fail(base::ErrorKind::retry, "the partition is not open yet");
  if (offset < p->log_start || offset >= p->high_watermark) co_return std::optional<Location>();
  ColdExtentPtr cold;
  if (offset < p->covers_to()) { WEIR_CO_TRY_ASSIGN(cold, co_await find_cold(p, offset, now() + locate_timeout)); }
  const std::size_t e = p->extents.find(offset);
  const std::size_t at = p->tail.find(offset);
  if (cold || e < p->extents.size()) {
    const log::Extent& extent = cold ? cold->extent : p->extents[e];
    const object::BlockRef& block = extent.blocks[log::Extents::find_block(extent, offset)];
    co_return Location{.kind = Location::Kind::object,
                       .base_offset = block.base_offset,
                       .end_offset = block.end_offset,
                       .object = extent.object->id,
                       .object_key = extent.object->key,
                       .position = block.position,
                       .size_bytes = block.payload_bytes};
  }
  if (at == p->tail.size()) co_return std::optional<Location>();
  const TailRecord& record = p->tail[at];
  co_return Location{.kind = record.memory.empty() ? Location::Kind::wal : Location::Kind::memory,
                     .base_offset = record.base,
                     .end_offset = record.end,
                     .place = record.place,
                     .position = record.place.offset_bytes,
                     .size_bytes = record.size_bytes};
}

}  // namespace weir::log
