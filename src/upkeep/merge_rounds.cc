// upkeep/merge_rounds.cc: what merging does next, how fast, and what it remembers from one job to the next.
#include <algorithm>

#include "runtime/submit.h"
#include "upkeep/merge_task.h"

namespace weir::upkeep {

using base::ErrorKind;
using base::fail;
using runtime::Task;

namespace {
/// As many recent objects at the full rate; twice as many, twice the rate.
constexpr std::size_t objects_per_rate = 16;
/// Footers of large objects are kept up to this much: splits read every object in several parts, and its footer once.
constexpr std::uint64_t footers_bytes_max = 32U << 20U;

std::uint64_t memory_of(const object::Footer& footer) {
  std::uint64_t bytes = sizeof(object::Footer);
  for (const object::PartitionEntry& entry : footer.entries) {
    bytes +=
        sizeof entry + entry.blocks.size() * sizeof(object::BlockRef) + entry.epochs.size() * sizeof(object::EpochStart) +
        entry.aborted.size() * sizeof(object::AbortedSpan) + entry.time_index.size() * sizeof(object::TimeIndexEntry) +
        entry.producers.size() * (sizeof(object::ProducerDelta) + object::producer_batches_max * sizeof(object::ProducerBatch));
  }
  return bytes;
}
}  // namespace

/// What recent objects hold of all partitions.
struct UpkeepImpl::Holdings {
  std::map<model::ObjectId, std::uint64_t> bytes;  ///< readable ones; what nothing of is needed is missing
  std::map<model::ObjectId, std::uint64_t> small;  ///< of them those of partitions that are too small to be split off
  struct Of {
    PartitionPlace place;
    std::vector<log::Shard::Holding> list;
  };
  std::vector<Of> large;  ///< the other partitions, ascending, as their entries lie in objects
};

// Empty while a partition is loading: what it needs is not known. Partitions that hold less than `large_bytes` take no memory here.
Task<std::optional<UpkeepImpl::Holdings>> UpkeepImpl::recent_holdings(std::uint64_t large_bytes) {
  Holdings all;
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    log::Shard* at = log_.shards[shard];
    if (!co_await runtime::submit_to(*doors_.runtime.shards[shard], [at] { return at->kept_objects(); }))
      co_return std::nullopt;
    std::vector<model::TopicPartition> partitions = co_await partitions_of(shard);
    for (std::size_t next = 0; next < partitions.size();) {
      const std::size_t to = std::min(partitions.size(), next + partitions_per_turn_max);
      const std::span<const model::TopicPartition> part(partitions.data() + next, to - next);
      next = to;
      Holdings found = co_await runtime::submit_to(*doors_.runtime.shards[shard], [at, part, shard, large_bytes] {
        Holdings here;
        for (const model::TopicPartition& partition : part) {
          std::vector<log::Shard::Holding> list = at->holdings(partition);
          std::uint64_t sum_bytes = 0;
          for (const log::Shard::Holding& holding : list) sum_bytes += holding.payload_bytes;
          const bool large = sum_bytes >= large_bytes;
          for (const log::Shard::Holding& holding : list) {
            here.bytes[holding.object] += holding.payload_bytes;
            if (!large) here.small[holding.object] += holding.payload_bytes;
          }
          if (large && !list.empty())
            here.large.push_back({.place = {.partition = partition, .shard = shard}, .list = std::move(list)});
        }
        return here;
      });
      for (const auto& [id, bytes] : found.bytes) all.bytes[id] += bytes;
      for (const auto& [id, bytes] : found.small) all.small[id] += bytes;
      std::ranges::move(found.large, std::back_inserter(all.large));
    }
  }
  std::ranges::sort(all.large, {}, [](const Holdings::Of& of) { return of.place.partition; });
  co_return all;
}

// Which objects a plan must not touch; nothing is merged across them either, since only neighbours may be merged.
Task<std::set<model::ObjectId>> UpkeepImpl::untouchable(const std::vector<meta::ObjectRecord>* objects) {
  std::set<model::ObjectId> out = merge_refused_;
  // What the start found is held by the opener for partitions that lack records and may be opened once an object is readable again.
  if (co_await log::lacks_records(doors_.runtime, log_.shards)) {
    for (const meta::ObjectRecord& object : *objects) {
      if (object.session != doors_.meta.session()) out.insert(object.id);
    }
  }
  co_return out;
}

// Every object takes part, also one of which nothing is readable: what lies between two inputs may state a producer, or belong to a
// partition that is quarantined, and would stand before the merged object.
std::optional<MergeJob> UpkeepImpl::next_job(const std::vector<meta::ObjectRecord>& objects, const Holdings& holdings,
                                             const std::set<model::ObjectId>& refused) {
  std::map<model::ObjectId, std::vector<MergeEntry>> entries;
  for (std::size_t i = 0; i < holdings.large.size(); ++i) {
    const bool stays = split_refused_.contains(holdings.large[i].place.partition);
    for (const log::Shard::Holding& holding : holdings.large[i].list) {
      if (holding.statement) continue;
      entries[holding.object].push_back({.partition = static_cast<std::uint32_t>(i),
                                         .end = holding.end_offset,
                                         .bytes = holding.payload_bytes,
                                         .stays = stays || !holding.splittable});
    }
  }
  MergePlanner planner(options_.merge.limits);
  model::Offset end;
  for (const meta::ObjectRecord& object : objects) {
    MergeObject planned{.id = object.id,
                        .size_bytes = object.size_bytes,
                        .entries = std::move(entries[object.id]),
                        .refused = refused.contains(object.id)};
    const auto small = holdings.small.find(object.id);
    std::uint64_t rest_bytes = small == holdings.small.end() ? 0 : small->second;
    if (planned.entries.empty()) rest_bytes = std::max<std::uint64_t>(1, rest_bytes);
    end = end + 1;
    planned.entries.push_back(
        {.partition = static_cast<std::uint32_t>(holdings.large.size()), .end = end, .bytes = rest_bytes, .stays = true});
    planner.add(std::move(planned));
  }
  merge_pressed_ = planner.under_pressure();
  return planner.next();
}

void UpkeepImpl::note_objects(const std::vector<meta::ObjectRecord>& objects) {
  cells_.recent_objects.set(static_cast<std::int64_t>(objects.size()));
  object_count_ = objects.size();
  counted_to_ = doors_.meta.last_commit();
  std::set<model::ObjectId> present;
  for (const meta::ObjectRecord& object : objects) present.insert(object.id);
  std::erase_if(footers_, [&](const auto& item) {
    if (present.contains(item.first)) return false;
    footers_bytes_ -= memory_of(*item.second);
    return true;
  });
  std::erase_if(unlink_tried_, [&](const model::ObjectId& id) { return !present.contains(id); });
}

Task<base::Result<UpkeepImpl::PlannedMerge>> UpkeepImpl::plan_merge() {
  PlannedMerge planned;
  WEIR_CO_TRY_ASSIGN(std::vector<meta::ObjectRecord> objects, co_await doors_.meta.list_objects());
  note_objects(objects);
  merge_possible_ = merge_pressed_ = false;
  // This session's newest upload waits: some of its shards may not have been told of it.
  const auto newest = std::ranges::find_if(objects.rbegin(), objects.rend(), [&](const meta::ObjectRecord& object) {
    return object.session == doors_.meta.session() && !meta::is_merge(object.commit);
  });
  if (newest != objects.rend()) objects.erase(std::next(newest).base());
  const MergeLimits& limits = options_.merge.limits;
  if (objects.empty() || (objects.size() < 2 && !limits.splits)) co_return planned;
  const std::set<model::ObjectId> refused = co_await untouchable(&objects);
  std::vector<std::uint64_t> looks{limits.splits ? limits.split_bytes : UINT64_MAX};
  if (limits.splits && objects.size() > limits.objects_max / 4 * 3) looks = {limits.split_min_bytes, 1};
  for (const std::uint64_t large_bytes : looks) {
    std::optional<Holdings> holdings = co_await recent_holdings(large_bytes);
    if (!holdings) co_return planned;
    for (const meta::ObjectRecord& object : objects) {
      // Nothing of it is needed: whether it is dead its footer tells, to unlink_dead(), once.
      if (!holdings->bytes.contains(object.id) && unlink_tried_.insert(object.id).second) unlink_wanted_ = limits.splits;
    }
    const std::optional<MergeJob> job = next_job(objects, *holdings, refused);
    if (!job) continue;
    merge_possible_ = true;
    for (const MergeJob::Part& part : job->parts) {
      planned.parts.push_back({.place = holdings->large[part.partition].place, .covers_to = part.covers_to});
    }
    const bool split = job->kind == MergeJob::Kind::split;
    const std::set<model::ObjectId> inputs(job->inputs.begin(), job->inputs.end());
    for (meta::ObjectRecord& object : objects) {
      // Of a split: what only states a producer of its partitions is an input too, which its shard will tell.
      if (split ? !refused.contains(object.id) : inputs.contains(object.id)) planned.objects.push_back(std::move(object));
    }
    merge_live_bytes_ = std::move(holdings->bytes);
    co_return planned;
  }
  co_return planned;
}

// The budget is what merging takes of the store's bandwidth; what the broker itself has to upload goes first. With more objects than
// a job takes the budget grows: merging keeps up with any rate at some number of objects. What the call itself took counts.
Task<UpkeepImpl::Done> UpkeepImpl::pace(std::uint64_t bytes, base::MonoTime began) {
  if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  if (merge_pressed_) {
    co_await runtime::give_way();
    co_return Done();
  }
  const double share = std::max(1.0, static_cast<double>(recent_objects()) / objects_per_rate);
  const double rate = static_cast<double>(options_.merge.bytes_per_second) * share;
  const auto due =
      began + std::chrono::duration_cast<base::Duration>(std::chrono::duration<double>(static_cast<double>(bytes) / rate));
  if (due > now()) co_await runtime::sleep_for(due - now(), &scope_.stop_token());
  // Uploads that are always behind must not hold merging back until it has to go before them.
  const auto steps_aside = [this] {
    return recent_objects() < options_.merge.limits.objects_max / 2 && doors_.foreground_busy && doors_.foreground_busy();
  };
  for (std::size_t waits = 0; waits < foreground_waits_max && steps_aside(); ++waits) {
    if (co_await runtime::sleep_for(foreground_wait, &scope_.stop_token()) == runtime::Wake::stopped) break;
  }
  if (scope_.stopping()) co_return fail(ErrorKind::cancelled, "stopping");
  co_return Done();
}

// True: there was something to merge, and there may be more.
Task<base::Result<bool>> UpkeepImpl::merge() {
  WEIR_CO_TRY_ASSIGN(PlannedMerge planned, co_await plan_merge());
  if (planned.objects.empty()) co_return false;
  MergeTask task{.split = !planned.parts.empty()};
  base::Result<bool> done(false);
  if (task.split) {
    done = co_await run_split(&task, &planned);
  } else {
    for (meta::ObjectRecord& record : planned.objects) task.inputs.push_back({.record = std::move(record)});
    done = co_await run_merge(&task);
  }
  if (done) co_return *done;
  (task.split ? cells_.splits_interrupted : cells_.merges_interrupted).add();
  const bool damaged = done.kind() == ErrorKind::corrupt || done.kind() == ErrorKind::not_found;
  if (damaged && task.at_fault && merge_refused_.size() < merge_refused_max) {
    merge_refused_.insert(*task.at_fault);
    std::string key;
    for (const MergeInput& input : task.inputs) {
      if (input.record.id == *task.at_fault) key = input.record.key;
    }
    doors_.runtime.log->error("upkeep", "an object cannot be read as what it is; it is not merged",
                              {{"key", key}, {"error", done.error().text}});
  }
  co_return std::unexpected(std::move(done).error());
}

// Of a large object: several splits will read of it.
void UpkeepImpl::keep_footer(const meta::ObjectRecord& record, FooterPtr footer) {
  const std::uint64_t bytes = memory_of(*footer);
  if (record.size_bytes < options_.merge.limits.memory_bytes / 2 || footers_bytes_ + bytes > footers_bytes_max) return;
  if (footers_.emplace(record.id, std::move(footer)).second) footers_bytes_ += bytes;
}

Task<base::Result<UpkeepImpl::FooterPtr>> UpkeepImpl::footer_of(MergeTask* task, meta::ObjectRecord record) {
  const auto known = footers_.find(record.id);
  if (known != footers_.end()) co_return known->second;
  WEIR_CO_TRY_ASSIGN(const bytes::Buffer data,
                     co_await merge_get(task, record.key, record.footer_position, record.footer_bytes));
  WEIR_CO_TRY_ASSIGN(object::Footer parsed, object::parse_footer(data.view(), record.footer_position,
                                                                 {.cluster = naming_.cluster, .object = record.id}));
  FooterPtr footer = std::make_shared<const object::Footer>(std::move(parsed));
  keep_footer(record, footer);
  co_return footer;
}

std::size_t UpkeepImpl::recent_objects() const { return object_count_ + (doors_.meta.last_commit() - counted_to_); }

bool UpkeepImpl::uploads_wait() const { return merge_possible_ && recent_objects() >= options_.merge.limits.objects_max; }

}  // namespace weir::upkeep
