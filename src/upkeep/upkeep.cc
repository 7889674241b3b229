#include "upkeep/upkeep.h"

#include <algorithm>
#include <utility>

#include "runtime/submit.h"
#include "upkeep/metrics_decl.h"
#include "upkeep/upkeep_impl.h"

namespace weir::upkeep {

using base::ErrorKind;
using runtime::Task;

namespace {
/// Garbage is looked at this many times within garbage_wait.
constexpr int garbage_looks_per_wait = 5;
/// Between two looks while there are too many objects.
constexpr base::Duration merge_pressed_pause = std::chrono::seconds(1);
}  // namespace

LogDoor LogDoor::of(log::Log& log, std::size_t shard_count) {
  LogDoor door;
  for (std::size_t i = 0; i < shard_count; ++i) {
    door.shards.push_back(&log.shard(runtime::ShardId(static_cast<std::uint32_t>(i))));
  }
  door.raise_log_start = [&log](model::TopicPartition partition, model::Offset to) {
    return log.raise_log_start(partition, to);
  };
  door.state = [&log](model::TopicPartition partition) { return log.state(partition); };
  return door;
}

UpkeepImpl::UpkeepImpl(Doors doors, LogDoor log, Naming naming, ConfigOf config_of, Options options)
    : doors_(doors),
      log_(std::move(log)),
      naming_(naming),
      config_of_(std::move(config_of)),
      options_(options),
      cells_{.retention_moves = doors.runtime.metrics->counter(metric_retention_moves),
             .unlinked = doors.runtime.metrics->counter(metric_unlinked),
             .deleted = doors.runtime.metrics->counter(metric_deleted),
             .garbage = doors.runtime.metrics->gauge(metric_garbage),
             .orphans = doors.runtime.metrics->counter(metric_orphans),
             .uploads_aborted = doors.runtime.metrics->counter(metric_uploads_aborted),
             .failures = doors.runtime.metrics->counter(metric_failures),
             .manifest_edits = doors.runtime.metrics->counter(metric_manifest_edits),
             .manifest_puts = doors.runtime.metrics->counter(metric_manifest_puts),
             .manifest_dropped = doors.runtime.metrics->counter(metric_manifest_dropped),
             .recent_objects = doors.runtime.metrics->gauge(metric_recent_objects),
             .merges = doors.runtime.metrics->counter(metric_merges),
             .merge_inputs = doors.runtime.metrics->counter(metric_merge_inputs),
             .merges_interrupted = doors.runtime.metrics->counter(metric_merges_interrupted),
             .merge_bytes_in = doors.runtime.metrics->counter(metric_merge_bytes_in),
             .merge_bytes_out = doors.runtime.metrics->counter(metric_merge_bytes_out),
             .merge_gets = doors.runtime.metrics->counter(metric_merge_gets),
             .merge_puts = doors.runtime.metrics->counter(metric_merge_puts),
             .splits = doors.runtime.metrics->counter(metric_splits),
             .split_partitions = doors.runtime.metrics->counter(metric_split_partitions),
             .split_objects = doors.runtime.metrics->counter(metric_split_objects),
             .splits_interrupted = doors.runtime.metrics->counter(metric_splits_interrupted),
             .split_bytes_in = doors.runtime.metrics->counter(metric_split_bytes_in),
             .split_bytes_out = doors.runtime.metrics->counter(metric_split_bytes_out),
             .split_gets = doors.runtime.metrics->counter(metric_split_gets),
             .split_puts = doors.runtime.metrics->counter(metric_split_puts)} {
  ENSURE(options_.merge.limits.fan_in_max <= meta::merge_inputs_max, "merges of {} objects", options_.merge.limits.fan_in_max);
  ENSURE(log_.shards.size() == doors_.runtime.shards.size(), "{} shards of {}", log_.shards.size(),
         doors_.runtime.shards.size());
}

void UpkeepImpl::start() { scope_.spawn("upkeep", run()); }

void UpkeepImpl::kick() {
  kicked_ = true;
  kick_allowed_ = std::max(kick_allowed_, doors_.runtime.shards[0]->now() + kick_settle);
  wake_.pulse();
}

Task<void> UpkeepImpl::stop() { co_await scope_.stop(); }

bool UpkeepImpl::failed(std::string_view job, const Done& done) {
  if (done) return false;
  if (done.kind() == ErrorKind::fenced) {
    doors_.runtime.log->error("upkeep", "this session is sealed; upkeep ends", {{"job", job}, {"error", done.error().text}});
    if (doors_.on_fenced) doors_.on_fenced(done.error());
    return true;
  }
  if (scope_.stopping()) return false;
  cells_.failures.add();
  doors_.runtime.log->warn("upkeep", "a round failed; it is repeated at the next interval",
                           {{"job", job}, {"kind", to_string(done.kind())}, {"error", done.error().text}});
  return false;
}

Task<void> UpkeepImpl::run() {
  // The first rounds wait an interval: at start the log may still be fetching footers, and nothing here is urgent.
  retention_due_ = now() + options_.retention_interval;
  garbage_due_ = now() + options_.garbage_wait / garbage_looks_per_wait;
  sweep_due_ = now() + options_.garbage_wait;
  const bool merges = options_.merge.bytes_per_second > 0;
  merge_due_ = merges ? now() + options_.merge.interval : base::MonoTime::max();
  bool ended = false;
  while (!scope_.stopping() && !ended) {
    const base::MonoTime due = std::min({retention_due_, garbage_due_, sweep_due_, merge_due_});
    co_await wake_.wait(kicked_ ? std::min(due, kick_allowed_) : due, &scope_.stop_token());
    if (scope_.stopping()) break;
    if ((kicked_ && now() >= kick_allowed_) || now() >= retention_due_) {
      kicked_ = false;
      retention_due_ = now() + options_.retention_interval;
      kick_allowed_ = now() + kick_pause;
      co_await retain();
      ended = failed("manifests", co_await trim_manifests());
      if (!ended) ended = failed("unlink", co_await unlink_dead());
      garbage_due_ = now();
    }
    if (!ended && now() >= garbage_due_) {
      garbage_due_ = now() + options_.garbage_wait / garbage_looks_per_wait;
      ended = failed("garbage", co_await delete_garbage());
    }
    if (!ended && now() >= merge_due_) {
      const base::Result<bool> more = co_await merge();
      if (!more) ended = failed("merge", std::unexpected(more.error()));
      if (std::exchange(unlink_wanted_, false) && !ended) ended = failed("unlink", co_await unlink_dead());
      base::Duration pause = merge_pressed_ ? std::min(options_.merge.interval, merge_pressed_pause) : options_.merge.interval;
      if (more && *more) pause = {};
      merge_due_ = now() + pause;
    }
    if (!ended && now() >= sweep_due_) {
      merge_refused_.clear();
      split_refused_.clear();
      ended = failed("sweep", co_await sweep());
      // What was seen for the first time is looked at again as soon as it may go.
      const base::Duration uploads_due = uploads_seen_.empty() ? options_.sweep_interval : upload_waits * options_.garbage_wait;
      sweep_due_ = now() + (orphans_seen_.empty() ? std::min(options_.sweep_interval, uploads_due) : options_.garbage_wait);
    }
  }
}

Task<std::vector<model::TopicPartition>> UpkeepImpl::partitions_of(std::size_t shard) {
  log::Shard* at = log_.shards[shard];
  co_return co_await runtime::submit_to(*doors_.runtime.shards[shard], [at] { return at->partitions(); });
}

Task<std::vector<PartitionExtents>> UpkeepImpl::extents_of(std::size_t shard, std::vector<model::TopicPartition>& all,
                                                           std::size_t& next) {
  const std::size_t to = std::min(all.size(), next + partitions_per_turn_max);
  const std::span<const model::TopicPartition> part(all.data() + next, to - next);
  next = to;
  log::Shard* at = log_.shards[shard];
  co_return co_await runtime::submit_to(*doors_.runtime.shards[shard], [at, part, shard] {
    std::vector<PartitionExtents> out;
    for (const model::TopicPartition& partition : part) {
      PartitionExtents copy{.place = {.partition = partition, .shard = shard}};
      const std::vector<log::Shard::Extent> extents = at->extents(partition);
      if (auto history = at->history(partition)) {
        copy.manifest = std::move(history->manifest);
        copy.log_start = history->log_start;
      } else if (!extents.empty()) {
        copy.log_start = extents.front().base_offset;
      }
      for (const log::Shard::Extent& extent : extents) {
        copy.objects.push_back(extent.object.id);
        copy.extents.push_back({.extent = {.end_offset = extent.end_offset,
                                           .payload_bytes = extent.payload_bytes,
                                           .max_timestamp = extent.max_timestamp,
                                           .created_ms = extent.object.created_ms},
                                .grain = extent.block_count > 1 ? Grain::object : Grain::block});
      }
      if (!copy.extents.empty() || copy.manifest) out.push_back(std::move(copy));
    }
    return out;
  });
}

Task<std::optional<UpkeepImpl::Raise>> UpkeepImpl::retention_of(PartitionExtents partition, base::WallMs now_ms) {
  const model::TopicPartition& of = partition.place.partition;
  const std::optional<model::TopicConfig> config = config_of_(of.topic);
  if (!config) co_return std::nullopt;
  std::uint64_t tail_bytes = 0;
  if (config->cleanup_delete && config->retention_bytes >= 0) {
    const base::Result<log::PartitionState> state = co_await log_.state(of);
    if (!state) co_return std::nullopt;  // moved or deleted meanwhile
    tail_bytes = state->tail_bytes;
  }
  std::vector<RetentionPiece> pieces;
  if (partition.manifest) pieces = history_pieces(partition.manifest->root, partition.log_start);
  pieces.insert(pieces.end(), partition.extents.begin(), partition.extents.end());
  std::optional<FirstSegment> known;
  if (const auto found = first_segments_.find(of); found != first_segments_.end()) known = found->second;
  RetentionLook look = look_at_retention(pieces, partition.log_start, tail_bytes, *config, now_ms, known);
  for (std::size_t count = 0; look.expand && count < retention_expansions_max; ++count) {
    const base::Result<void> expanded = co_await expand_piece(&partition, &pieces, *look.expand);
    if (!expanded) {
      (void)failed("retention", expanded);
      break;
    }
    look = look_at_retention(pieces, partition.log_start, tail_bytes, *config, now_ms);
  }
  if (look.first) first_segments_[of] = *look.first;
  if (!look.point) co_return std::nullopt;
  co_return Raise{.partition = of, .to = *look.point};
}

Task<void> UpkeepImpl::raise_worker(UpkeepImpl* self, std::vector<Raise>* raises, std::size_t* next) {
  while (*next < raises->size() && !self->scope_.stopping()) {
    const Raise raise = (*raises)[(*next)++];
    const log::Errc errc = co_await self->log_.raise_log_start(raise.partition, raise.to);
    if (errc == log::Errc::none) {
      self->cells_.retention_moves.add();
    } else if (errc != log::Errc::unknown_partition) {
      self->doors_.runtime.log->warn("upkeep", "retention could not raise a log start; it is tried again",
                                     {{"topic", raise.partition.topic.to_string()},
                                      {"partition", raise.partition.partition.value()},
                                      {"error", to_string(errc)}});
    }
  }
}

Task<void> UpkeepImpl::retain() {
  const base::WallMs now_ms = trusted_now(runtime::Reactor::current().wall_now_ms(), doors_.store.now_ms());
  for (std::size_t shard = 0; shard < log_.shards.size(); ++shard) {
    std::vector<model::TopicPartition> all = co_await partitions_of(shard);
    for (std::size_t next = 0; next < all.size() && !scope_.stopping();) {
      std::vector<Raise> raises;
      for (PartitionExtents& partition : co_await extents_of(shard, all, next)) {
        const std::optional<Raise> raise = co_await retention_of(std::move(partition), now_ms);
        if (raise) raises.push_back(*raise);
      }
      std::size_t at = 0;
      runtime::Scope workers;
      for (std::size_t i = 0; i < std::min(raises.size(), raises_inflight_max); ++i) {
        workers.spawn("raise log start", raise_worker(this, &raises, &at));
      }
      co_await workers.join();
    }
  }
}

std::unique_ptr<Upkeep> make_upkeep(Doors doors, LogDoor log, Naming naming, ConfigOf config_of, Options options) {
  return std::make_unique<UpkeepImpl>(doors, std::move(log), naming, std::move(config_of), options);
}

}  // namespace weir::upkeep
