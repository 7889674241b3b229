#include "log/shard.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "log/wait.h"

namespace weir::log {

namespace {
ReadCells read_cells(runtime::Metrics& metrics, std::string_view labels) {
  return {.bytes = metrics.counter(read_bytes_total, labels), .time = metrics.histogram(read_seconds, labels)};
}
}  // namespace

Cells::Cells(runtime::Metrics& metrics)
    : appended_batches(metrics.counter(appended_batches_total)),
      appended_bytes(metrics.counter(appended_bytes_total)),
      confirmed_batches(metrics.counter(confirmed_batches_total)),
      confirm_time(metrics.histogram(confirm_seconds)),
      duplicates(metrics.counter(duplicates_total)),
      refused(metrics.counter(refused_batches_total)),
      not_admitted(metrics.counter(not_admitted_total)),
      outcome_unknown(metrics.counter(outcome_unknown_total)),
      epochs_opened(metrics.counter(epochs_opened_total)),
      voids(metrics.counter(voids_total)),
      voided_batches(metrics.counter(voided_batches_total)),
      read{read_cells(metrics, "from=\"group\""), read_cells(metrics, "from=\"wal\""), read_cells(metrics, "from=\"memory\""),
           read_cells(metrics, "from=\"store\"")},
      partitions(metrics.gauge(log::partitions)),
      quarantined(metrics.gauge(quarantined_partitions)),
      tail_memory(metrics.gauge(tail_memory_bytes)),
      backlog(metrics.gauge(log::backlog_bytes)),
      producers_forgotten(metrics.counter(producers_forgotten_total)) {}

ShardLog::ShardLog(const Doors& doors, Cells& cells, runtime::ShardId id, std::uint32_t shard_count)
    : doors_(doors),
      cells_(cells),
      id_(id),
      reactor_(doors.runtime.shard(id)),
      tail_memory_bytes_max_(doors.options.tail_memory_bytes_max / shard_count),
      tail_records_max_(std::max<std::uint64_t>(1, doors.options.tail_records_max / shard_count)),
      producer_id_expiration_ms_(doors.options.producer_id_expiration_ms) {}

ShardLog::~ShardLog() = default;

void ShardLog::start() {
  if (scope_) return;
  appender_ = &doors_.wal.appender(id_);
  const auto shard_count = static_cast<std::uint32_t>(doors_.runtime.shards.size());
  cache_ = cache::make_block_cache(
      doors_.runtime, doors_.store,
      {.capacity_bytes = doors_.options.block_cache_bytes / shard_count,
       .loads_inflight_max = doors_.options.catchup.gets_inflight_max,
       .pace = doors_.catchup_pace.get(),
       .disk = {.directory = fmt::format("{}/shard-{}", doors_.options.cache_disk.directory, id_.value()),
                .size_bytes = doors_.options.cache_disk.size_bytes / shard_count,
                .slab_bytes = doors_.options.cache_disk.slab_bytes,
                .cluster = doors_.cluster}});
  cold_ = std::make_unique<ColdIndex>(doors_, doors_.options.cold_index_bytes / shard_count);
  scope_ = std::make_unique<runtime::Scope>();
  wal_reads_ = std::make_unique<runtime::Semaphore>(wal_reads_inflight_max);
  scope_->spawn("expire producers", expire_producers());
}

runtime::Task<void> ShardLog::stop() {
  if (!scope_ || stopping_) co_return;
  stopping_ = true;
  const base::MonoTime deadline = now() + stop_wait_max;
  std::vector<PartitionPtr> all;
  for (auto& [topic, entry] : topics_) {
    for (auto& [index, p] : entry.partitions) all.push_back(p);
  }
  for (const PartitionPtr& p : all) {
    wake_waiters(*p, true);
    fail_queue(*p, Errc::not_appended, "the broker stops");
  }
  for (const PartitionPtr& p : all) {
    while (!p->pending.empty() && fenced_.empty()) {
      const std::shared_ptr<Decided> last = p->pending.back().decided;
      if (last->has_value() || co_await last->wait(deadline) != runtime::Wake::ready) break;
    }
    fail_pending(*p, Errc::outcome_unknown, "the broker stopped before the batch was confirmed");
  }
  co_await scope_->stop();
  co_await cache_->stop();
}

PartitionPtr ShardLog::find(const model::TopicPartition& id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

void ShardLog::add_partition(model::TopicPartition id, std::shared_ptr<const model::TopicConfig> config, bool loading) {
  if (by_id_.contains(id)) return;
  std::uint32_t slot = static_cast<std::uint32_t>(slots_.size());
  if (free_slots_.empty()) {
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Topic& topic = topics_[id.topic];
  topic.config = config;
  auto p = std::make_shared<Partition>(id, std::move(config), slot, next_uid_++);
  p->phase = loading ? Phase::loading : Phase::closed;
  slots_[slot] = p;
  topic.partitions.emplace(id.partition, p);
  by_id_.emplace(id, std::move(p));
  cells_.partitions.add(1);
}

void ShardLog::remove_topic(model::TopicId topic) {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  for (auto& [index, p] : found->second.partitions) {
    if (p->phase == Phase::quarantined) cells_.quarantined.add(-1);
    set_phase(*p, Phase::removed);
    fail_queue(*p, Errc::unknown_partition, "the topic was deleted");
    fail_pending(*p, Errc::unknown_partition, "the topic was deleted");
    wake_waiters(*p, true);
    std::vector<wal::Place> places = std::move(p->held_places);
    for (std::size_t i = p->tail.uploaded_count(); i < p->tail.size(); ++i) {
      const std::size_t confirmed = p->tail.confirmed_count();
      if (i < confirmed || p->pending[i - confirmed].durable) places.push_back(p->tail[i].place);
      if (i < confirmed) --tail_records_;
    }
    tail_records_ -= p->pending.size();
    p->pending.clear();
    p->tail = Tail();
    p->extents = Extents();
    p->manifest = nullptr;
    remove_backlog(*p, p->backlog_bytes);
    unlist_backlog(*p);
    List<Partition, DirtyTag>::remove(*p);
    release_places(places);
    appender_->uploaded_to(p->id, model::Offset(std::numeric_limits<std::int64_t>::max()));
    by_id_.erase(p->id);
    cells_.partitions.add(-1);
    free_slot_when_silent(*p);
  }
  topics_.erase(found);
  room_.pulse();
}

void ShardLog::update_config(model::TopicId topic, std::shared_ptr<const model::TopicConfig> config) {
  const auto found = topics_.find(topic);
  if (found == topics_.end()) return;
  found->second.config = config;
  for (auto& [index, p] : found->second.partitions) p->config = config;
}

// A slot is given to another partition only when no record that names it can still be reported.
void ShardLog::free_slot_when_silent(Partition& p) {
  if (p.phase != Phase::removed || p.outstanding_count > 0) return;
  const std::uint32_t slot = p.slot;
  slots_[slot] = nullptr;  // may be the last owner
  free_slots_.push_back(slot);
}

void ShardLog::set_phase(Partition& p, Phase phase) {
  p.phase = phase;
  p.changed.pulse();
}

void ShardLog::quarantine(Partition& p, std::string reason) {
  if (p.phase == Phase::quarantined || p.phase == Phase::removed) return;
  doors_.runtime.log->error("log", "a partition is quarantined: nothing of it is served or freed",
                            {{"topic", p.id.topic.to_string()}, {"partition", p.id.partition.value()}, {"reason", reason}});
  p.quarantine_reason = std::move(reason);
  set_phase(p, Phase::quarantined);
  cells_.quarantined.add(1);
  fail_queue(p, Errc::quarantined, p.quarantine_reason);
  fail_pending(p, Errc::outcome_unknown, p.quarantine_reason);
  unlist_backlog(p);
  List<Partition, DirtyTag>::remove(p);
  wake_waiters(p, true);
}

void ShardLog::fence_all(const std::string& why) {
  if (!fenced_.empty()) return;
  fenced_ = why.empty() ? "this broker's session is sealed" : why;
  doors_.runtime.log->error("log", "this broker's session is fenced: nothing is appended or served any more",
                            {{"reason", fenced_}});
  // Whoever learns it closes the gate for all: what the other shards have in flight is not acknowledged either.
  doors_.runtime.shard(runtime::ShardId(0)).post([wal = &doors_.wal, reason = fenced_] { wal->seal_self(reason); });
  for (auto& [topic, entry] : topics_) {
    for (auto& [index, p] : entry.partitions) {
      fail_queue(*p, Errc::not_owner, fenced_);
      fail_pending(*p, Errc::not_owner, fenced_);
      p->changed.pulse();
      wake_waiters(*p, true);
    }
  }
}

void ShardLog::fail_queue(Partition& p, Errc error, const std::string& message) {
  while (!p.queue.empty()) {
    const std::shared_ptr<Ticket> ticket = p.queue.pop_front();
    if (ticket->item == nullptr) continue;
    ticket->started.complete({.outcome = {.error = error, .message = message, .log_start = p.log_start}, .decided = nullptr});
  }
}

void ShardLog::fail_pending(Partition& p, Errc error, const std::string& message) {
  for (std::size_t i = 0; i < p.pending.size(); ++i) p.pending[i].decided->complete({.error = error, .message = message});
}

void ShardLog::release_places(const std::vector<wal::Place>& places) {
  if (places.empty()) return;
  if (collecting_) {
    release_later_.insert(release_later_.end(), places.begin(), places.end());
  } else {
    appender_->release(places);
  }
}

// --- memory of the tail ---

void ShardLog::hold_memory(Partition& p, const TailRecord& record) {
  MemoryRef ref{.slot = p.slot, .uid = p.uid, .number = record.number, .charge_bytes = 0};
  if (!record.memory.shares_slab(newest_memory_)) ref.charge_bytes = record.memory.slab_size();
  newest_memory_ = record.memory;
  const std::uint64_t added = ref.charge_bytes + record_overhead_bytes;
  memory_bytes_ += added;
  cells_.tail_memory.add(static_cast<std::int64_t>(added));
  memory_.push_back(ref);
}

// Lets go of the oldest records' memory. An unconfirmed record's memory is its only home: there it stops.
void ShardLog::trim_memory(std::uint64_t target_bytes) {
  const std::uint64_t before = memory_bytes_;
  while (memory_bytes_ > target_bytes && !memory_.empty()) {
    const MemoryRef ref = memory_.front();
    const PartitionPtr& p = slots_[ref.slot];
    if (p && p->uid == ref.uid) {
      const std::size_t at = p->tail.find_number(ref.number);
      if (at < p->tail.size()) {
        if (at >= p->tail.confirmed_count()) break;
        p->tail.drop_memory(at);
      }
    }
    memory_.pop_front();
    memory_bytes_ -= record_overhead_bytes;
    if (!memory_.empty() && memory_.front().charge_bytes == 0) {
      memory_.front().charge_bytes = ref.charge_bytes;  // the same slab: still held by the next record
    } else {
      memory_bytes_ -= ref.charge_bytes;
    }
  }
  if (memory_.empty()) newest_memory_ = {};
  cells_.tail_memory.add(-static_cast<std::int64_t>(before - memory_bytes_));
}

bool ShardLog::memory_wanted(std::size_t bytes) {
  const std::uint64_t before = memory_bytes_;
  trim_memory(before > bytes ? before - bytes : 0);
  return memory_bytes_ < before;
}

// --- lists ---

void ShardLog::list_backlog(Partition& p) {
  Link<BacklogTag>& link = p;
  if (link.linked() || !p.has_backlog()) return;
  p.backlog_since = now();
  backlog_.push_back(p);
}

void ShardLog::unlist_backlog(Partition& p) { List<Partition, BacklogTag>::remove(p); }

void ShardLog::add_backlog(Partition& p, const TailRecord& record) {
  const std::uint64_t bytes = record.size_bytes + record_overhead_bytes;
  p.backlog_bytes += bytes;
  backlog_bytes_ += bytes;
  cells_.backlog.add(static_cast<std::int64_t>(bytes));
}

void ShardLog::remove_backlog(Partition& p, std::uint64_t bytes) {
  ENSURE(bytes <= p.backlog_bytes && bytes <= backlog_bytes_, "{} bytes leave a backlog of {}", bytes, p.backlog_bytes);
  p.backlog_bytes -= bytes;
  backlog_bytes_ -= bytes;
  cells_.backlog.add(-static_cast<std::int64_t>(bytes));
  if (!p.has_backlog()) unlist_backlog(p);
}

void ShardLog::renew_dirty(Partition& p) {
  const bool served = p.phase != Phase::loading && p.phase != Phase::quarantined && p.phase != Phase::removed;
  const bool wanted = served && p.high_watermark > p.stated && p.high_watermark > p.uploaded_to();
  Link<DirtyTag>& link = p;
  if (wanted == link.linked()) return;
  if (wanted) {
    dirty_.push_back(p);
  } else {
    List<Partition, DirtyTag>::remove(p);
  }
}

runtime::Task<void> ShardLog::expire_producers() {
  while (co_await runtime::sleep_for(producer_expiry_period, &scope_->stop_token()) != runtime::Wake::stopped) {
    for (auto& [topic, entry] : topics_) {
      for (auto& [index, p] : entry.partitions) {
        if (!p->producers) continue;
        cells_.producers_forgotten.add(p->producers->expire(reactor_.wall_now_ms(), producer_id_expiration_ms_));
        if (p->producers->empty()) p->producers = nullptr;
        p->drop_statements();
      }
    }
  }
}

// --- small answers ---

std::vector<model::TopicPartition> ShardLog::partitions() const {
  std::vector<model::TopicPartition> out;
  for (const auto& [topic, entry] : topics_) {
    for (const auto& [index, p] : entry.partitions) out.push_back(p->id);
  }
  return out;
}

base::Result<PartitionState> ShardLog::state(model::TopicPartition partition) {
  const PartitionPtr p = find(partition);
  if (!p) return base::fail(base::ErrorKind::not_found, "no such partition");
  PartitionState state{.log_start = p->log_start,
                       .uploaded_to = std::max(p->log_start, p->uploaded_to()),
                       .high_watermark = p->high_watermark,
                       .last_stable_offset = p->last_stable,
                       .end = p->end,
                       .epoch = p->own.epoch(),
                       .uploaded_bytes = p->extents.payload_bytes() + (p->manifest ? p->manifest->root.payload_bytes() : 0)};
  for (std::size_t i = p->tail.uploaded_count(); i < p->tail.size(); ++i) state.tail_bytes += p->tail[i].size_bytes;
  state.quarantined = p->phase == Phase::quarantined;
  state.quarantine_reason = p->phase == Phase::loading ? "the footers of its objects are not read yet" : p->quarantine_reason;
  return state;
}

}  // namespace weir::log
