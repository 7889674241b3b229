#include "upload/collect.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "runtime/scope.h"

namespace weir::upload {
namespace {

// What is done between two looks at everything else: copying and summing it takes 0.02 to 0.1 ms, most of that for fresh pages.
constexpr std::uint64_t build_step_bytes = 32U << 10U;
constexpr std::size_t collect_step_batches = 256;
// Reads are coalesced: a device with 1,024 operations a second would be busy for a minute with the 65,000 batches of 1 KB of one object.
constexpr std::uint64_t read_gap_bytes_max = 64U << 10U;
constexpr std::size_t read_run_places_max = 1024;

// One batch that must be read back: where it goes.
struct Missing {
  std::size_t run = 0;
  std::size_t batch = 0;
  wal::Place place;
};

struct ReadJob {
  wal::Appender* appender = nullptr;
  std::vector<Missing> missing;  ///< in order of place: neighbours are read one after the other
  std::size_t next = 0;
  ShardCollection* into = nullptr;
};

// How many from `from` on are read together: near neighbours, so that what lies between them costs less than a read of its own.
std::size_t run_length(const std::vector<Missing>& missing, std::size_t from) {
  const wal::Place& first = missing[from].place;
  std::size_t to = from + 1;
  for (; to < missing.size() && to - from < read_run_places_max; ++to) {
    const wal::Place& last = missing[to - 1].place;
    const wal::Place& next = missing[to].place;
    if (next.segment != first.segment ||
        next.offset_bytes > std::uint64_t{last.offset_bytes} + last.length_bytes + read_gap_bytes_max ||
        std::uint64_t{next.offset_bytes} + next.length_bytes - first.offset_bytes > wal::Appender::read_run_bytes_max) {
      break;
    }
  }
  return to - from;
}

runtime::Task<void> read_worker(ReadJob* job) {
  while (job->next < job->missing.size()) {
    const std::size_t from = job->next;
    const std::size_t count = run_length(job->missing, from);
    job->next += count;
    std::vector<wal::Place> places;
    std::vector<std::size_t> wanted;  // of job->missing
    for (std::size_t i = from; i < from + count; ++i) {
      if (job->into->runs[job->missing[i].run].failure) continue;
      places.push_back(job->missing[i].place);
      wanted.push_back(i);
    }
    if (places.empty()) continue;
    std::vector<base::Result<bytes::Buffer>> payloads = co_await job->appender->read_run(places);
    ENSURE(payloads.size() == places.size(), "{} payloads for {} places", payloads.size(), places.size());
    for (std::size_t i = 0; i < payloads.size(); ++i) {
      const Missing& item = job->missing[wanted[i]];
      FilledRun& run = job->into->runs[item.run];
      if (run.failure) continue;
      if (!payloads[i]) {
        run.failure = payloads[i].error();
        continue;
      }
      ENSURE(payloads[i]->size() == item.place.length_bytes, "the WAL gave {} bytes for a place of {}", payloads[i]->size(),
             item.place.length_bytes);
      job->into->wal_read_bytes += payloads[i]->size();
      run.batches[item.batch].payload = std::move(*payloads[i]);
    }
  }
}

}  // namespace

runtime::Task<ShardCollection> collect_from(log::Shard* shard, CollectOptions options) {
  ShardCollection collection;
  ReadJob job{.appender = &shard->appender(), .into = &collection};
  std::vector<log::UploadRun> runs = co_await shard->collect(options.bytes_max);
  for (log::UploadRun& run : runs) {
    FilledRun filled;
    filled.entry = std::move(run.entry);
    filled.batches.reserve(run.batches.size());
    for (log::UploadRun::Batch& batch : run.batches) {
      const bool read_back = batch.memory.empty() || options.all_from_wal;
      ENSURE(read_back || batch.memory.size() == batch.place.length_bytes, "a batch of {} bytes at a place of {}",
             batch.memory.size(), batch.place.length_bytes);
      if (read_back)
        job.missing.push_back({.run = collection.runs.size(), .batch = filled.batches.size(), .place = batch.place});
      filled.bytes += batch.place.length_bytes;
      if (filled.batches.size() % collect_step_batches == collect_step_batches - 1) co_await runtime::give_way();
      filled.batches.push_back({.payload = read_back ? bytes::Buffer() : std::move(batch.memory),
                                .payload_crc = batch.place.crc,
                                .base_offset = batch.base_offset,
                                .end_offset = batch.end_offset,
                                .max_timestamp = batch.max_timestamp});
    }
    ENSURE(!filled.batches.empty(), "a run without batches");
    collection.runs.push_back(std::move(filled));
  }
  const auto place_order = [](const Missing& m) { return std::pair(m.place.segment, m.place.offset_bytes); };
  // Those of one partition are in order as they come; sorting a hundred thousand that are would keep the shard for milliseconds.
  if (!std::ranges::is_sorted(job.missing, {}, place_order)) std::ranges::sort(job.missing, {}, place_order);
  runtime::Scope readers;
  const std::size_t count = std::min<std::size_t>(options.reads_inflight_max, job.missing.size());
  for (std::size_t i = 0; i < count; ++i) readers.spawn("upload read from WAL", read_worker(&job));
  co_await readers.join();
  for (FilledRun& run : collection.runs) {
    if (run.failure) run.batches.clear();
  }
  co_return collection;
}

runtime::Task<std::optional<BuiltObject>> build(BuildIdentity identity, std::vector<ShardCollection> collections,
                                                bool copy_payloads) {
  struct Item {
    FilledRun* run;
    std::size_t shard;
  };
  std::vector<Item> items;
  for (std::size_t shard = 0; shard < collections.size(); ++shard) {
    for (FilledRun& run : collections[shard].runs) {
      if (!run.failure) items.push_back({.run = &run, .shard = shard});
    }
  }
  if (items.empty()) co_return std::nullopt;
  std::ranges::sort(items, {}, [](const Item& item) { return item.run->entry.partition; });
  object::Builder builder(identity.identity, identity.session, identity.commit);
  builder.copy_payloads(copy_payloads);
  std::uint64_t given_way_at = 0;
  for (const Item& item : items) {
    builder.begin_partition(std::move(item.run->entry), std::move(item.run->batches));
    bool whole = false;
    while (!whole) {
      whole = builder.add_blocks(build_step_bytes);
      if (builder.worked_bytes() < given_way_at + build_step_bytes) continue;
      given_way_at = builder.worked_bytes();
      co_await runtime::give_way();
    }
  }
  BuiltObject built;
  built.object = std::move(builder).finish();
  built.entries_by_shard.resize(collections.size());
  for (std::size_t i = 0; i < items.size(); ++i)
    built.entries_by_shard[items[i].shard].push_back(built.object.footer.entries[i]);
  co_return built;
}

bytes::BufferList copied(bytes::BufferList body) {
  constexpr std::size_t slab_bytes_max = 4U << 20U;
  bytes::BufferList copy;
  std::size_t left = bytes::total_size(body);
  bytes::SlabRef slab;
  std::size_t filled = 0;
  const auto flush = [&] {
    if (filled > 0) copy.emplace_back(slab, 0, filled);
    filled = 0;
  };
  for (bytes::Buffer& piece : body) {
    for (std::size_t at = 0; at < piece.size();) {
      if (filled == 0) slab = bytes::SlabRef::allocate(std::min(left, slab_bytes_max));
      const std::size_t part = std::min(piece.size() - at, slab.size() - filled);
      std::memcpy(slab.writable().data() + filled, piece.data() + at, part);
      filled += part;
      at += part;
      left -= part;
      if (filled == slab.size()) flush();
    }
    piece = bytes::Buffer();
  }
  flush();
  return copy;
}

}  // namespace weir::upload
