// The upload's side of a shard: what is to go out, and what an object's commit changes.
#include <algorithm>
#include <set>

#include "log/shard.h"

namespace weir::log {
namespace {

constexpr std::size_t collect_step_records = 256;  // at most 0.1 ms, their memory's first touch included
constexpr std::size_t release_step_places = 512;

}  // namespace

// What a run of confirmed records says about producers and transactions.
class ShardLog::RunSummary {
 public:
  explicit RunSummary(const std::map<model::ProducerId, model::Offset>& open_before) : open_(open_before) {}
  void add(const TailRecord& record) {
    if (record.producer_id.value() < 0) return;
    object::ProducerDelta& delta = deltas_[record.producer_id];
    if (delta.producer_id != record.producer_id || delta.epoch != record.producer_epoch) {
      delta.producer_id = record.producer_id;
      delta.epoch = record.producer_epoch;
      delta.batches.clear();
    }
    if (record.control) {
      delta.coordinator_epoch = record.coordinator_epoch;
      open_.erase(record.producer_id);
      return;
    }
    if (delta.batches.size() == object::producer_batches_max) delta.batches.erase(delta.batches.begin());
    delta.batches.push_back({.base_sequence = record.base_sequence,
                             .last_sequence = record.last_sequence,
                             .base_offset = record.base,
                             .last_offset = record.end - 1,
                             .max_timestamp = record.max_timestamp});
    if (record.transactional) open_.try_emplace(record.producer_id, record.base);
  }
  void finish(object::PartitionEntry& entry) {
    entry.first_unstable_offset = model::Offset(-1);
    for (const auto& [id, first] : open_) {
      if (entry.first_unstable_offset.value() < 0 || first < entry.first_unstable_offset) entry.first_unstable_offset = first;
    }
    entry.last_stable_offset = entry.first_unstable_offset.value() < 0 ? entry.end_offset : entry.first_unstable_offset;
    for (auto& [id, delta] : deltas_) {
      const auto open = open_.find(id);
      delta.open_transaction_start = open == open_.end() ? model::Offset(-1) : open->second;
      entry.producers.push_back(std::move(delta));
    }
  }
  /// A producer that nothing above the log start states.
  void restate(ProducerTable::Restated restated) {
    const auto in_run = deltas_.find(restated.delta.producer_id);
    if (in_run != deltas_.end()) {
      in_run->second.coordinator_epoch = std::max(in_run->second.coordinator_epoch, restated.delta.coordinator_epoch);
    } else if (!restated.has_records) {
      deltas_.emplace(restated.delta.producer_id, std::move(restated.delta));
    }
  }
  std::map<model::ProducerId, model::Offset> take_open() { return std::move(open_); }

 private:
  std::map<model::ProducerId, model::Offset> open_;
  std::map<model::ProducerId, object::ProducerDelta> deltas_;
};

namespace {

std::vector<object::EpochStart> epochs_within(const Partition& p, model::Offset from, model::Offset to) {
  std::vector<object::EpochStart> out;
  for (const object::EpochStart& epoch : p.epochs) {
    if (epoch.start >= to) break;
    if (epoch.start <= from) out.clear();  // the one in force at the start is the last such
    out.push_back(epoch);
  }
  return out;
}

}  // namespace

Shard::Backlog ShardLog::backlog() const {
  Backlog result{.bytes = backlog_bytes_};
  if (const Partition* oldest = backlog_.front()) result.oldest_age = now() - oldest->backlog_since;
  return result;
}

// One partition's run. What else happens to the tail in between is seen: records only come behind what is taken, and when some
// below a raised log start left before they were taken, the run ends with what was.
runtime::Task<void> ShardLog::collect_run(PartitionPtr p, std::uint64_t max_bytes, std::uint64_t* total_bytes, UploadRun* run,
                                          RunSummary* summary) {
  const std::uint64_t left_bytes = max_bytes - *total_bytes;
  const std::size_t waiting = p->tail.confirmed_count() - p->tail.uploaded_count();
  const std::uint64_t waiting_bytes = p->backlog_bytes - waiting * record_overhead_bytes;
  // All of them, or the share that fits when they are alike; a vector that grows moves a hundred thousand at once.
  const double share = waiting_bytes <= left_bytes ? 1 : static_cast<double>(left_bytes) / static_cast<double>(waiting_bytes);
  run->batches.reserve(static_cast<std::size_t>(static_cast<double>(waiting) * share) + 1);
  for (std::size_t taken = 0; taken < waiting; ++taken) {
    if (taken > 0 && taken % collect_step_records == 0) {
      co_await runtime::give_way();
      if (p->phase == Phase::removed || !p->has_backlog()) break;
      if (p->tail[p->tail.uploaded_count()].base != run->batches.front().base_offset) break;
    }
    const TailRecord& record = p->tail[p->tail.uploaded_count() + taken];
    if (*total_bytes > 0 && *total_bytes + record.size_bytes > max_bytes) break;
    *total_bytes += record.size_bytes;
    summary->add(record);
    run->batches.push_back({.place = record.place,
                            .memory = record.memory,
                            .base_offset = record.base,
                            .end_offset = record.end,
                            .max_timestamp = record.max_timestamp});
    run->entry.max_timestamp = std::max(run->entry.max_timestamp, record.max_timestamp);
  }
}

runtime::Task<std::vector<UploadRun>> ShardLog::collect(std::uint64_t max_bytes) {
  ENSURE(!collecting_, "a collection is outstanding");
  collecting_ = true;
  std::vector<UploadRun> runs;
  std::uint64_t total = 0;
  // One that left the line and came back while others had their turn waits for the next upload.
  std::set<const Partition*> seen;
  for (Partition* next = backlog_.front(); next != nullptr && total < max_bytes && seen.insert(next).second;) {
    const PartitionPtr p = slots_[next->slot];
    UploadRun run;
    RunSummary summary(p->open_at_upload);
    co_await collect_run(p, max_bytes, &total, &run, &summary);
    if (run.batches.empty()) break;
    Collected collected{.partition = p, .end = run.batches.back().end_offset, .open_at_end = {}};
    run.entry.partition = p->id;
    run.entry.base_offset = run.batches.front().base_offset;
    run.entry.end_offset = collected.end;
    run.entry.epochs = epochs_within(*p, run.entry.base_offset, run.entry.end_offset);
    if (p->transactions) run.entry.aborted = p->transactions->spans_closed_within(run.entry.base_offset, run.entry.end_offset);
    if (p->producers) {
      for (ProducerTable::Restated& restated : p->producers->to_restate(p->log_start, run.entry.base_offset)) {
        summary.restate(std::move(restated));
      }
    }
    summary.finish(run.entry);
    collected.open_at_end = summary.take_open();
    runs.push_back(std::move(run));
    collected_.push_back(std::move(collected));
    const Link<BacklogTag>& link = *p;
    next = link.linked() ? backlog_.after(*p) : nullptr;
  }
  std::sort(runs.begin(), runs.end(),
            [](const UploadRun& a, const UploadRun& b) { return a.entry.partition < b.entry.partition; });
  co_return runs;
}

void ShardLog::committed(const meta::ObjectRecord& object, const std::vector<object::PartitionEntry>& entries) {
  ENSURE(collecting_, "a commit without a collection");
  ENSURE(entries.size() <= collected_.size(), "{} entries are committed, {} were collected", entries.size(), collected_.size());
  const auto shared = std::make_shared<const meta::ObjectRecord>(object);
  std::map<model::TopicPartition, const object::PartitionEntry*> by_id;
  for (const object::PartitionEntry& entry : entries) by_id[entry.partition] = &entry;
  std::vector<wal::Place> places;  // a few at a time: a hundred thousand would be fresh memory
  places.reserve(release_step_places);
  for (Collected& collected : collected_) {
    Partition& p = *collected.partition;
    const auto in_object = by_id.find(p.id);
    if (in_object == by_id.end()) continue;  // its WAL place could not be read: it stays where it is
    const object::PartitionEntry& entry = *in_object->second;
    by_id.erase(in_object);
    if (p.phase == Phase::removed || p.phase == Phase::quarantined) continue;
    ENSURE(entry.end_offset == collected.end, "an entry up to {} is committed, {} was collected", entry.end_offset.value(),
           collected.end.value());
    if (p.producers) {
      for (const object::ProducerDelta& delta : entry.producers) p.producers->stated(delta.producer_id, entry.end_offset);
    }
    if (entry.end_offset > p.log_start) {
      p.extents.push(shared, entry);
    } else if (!entry.producers.empty()) {
      p.kept_statements[entry.end_offset] = shared;
    }
    p.drop_statements();
    // Their places are free at once: the object holds what lay there.
    std::uint64_t bytes = 0;
    std::size_t count = 0;
    p.tail.uploaded(entry.end_offset, [&](const wal::Place& place) {
      bytes += place.length_bytes + record_overhead_bytes;
      ++count;
      places.push_back(place);
      if (places.size() < release_step_places) return;
      appender_->release(places);
      places.clear();
    });
    tail_records_ -= count;
    // A log start that went beyond the run has counted what is behind the run too (note_dropped_transactions).
    if (p.log_start <= entry.end_offset) p.open_at_upload = std::move(collected.open_at_end);
    remove_backlog(p, bytes);
    if (p.has_backlog()) {  // what is left came after the collection, or did not fit into it
      unlist_backlog(p);
      list_backlog(p);
    }
    appender_->uploaded_to(p.id, p.uploaded_to());
    renew_dirty(p);
    p.check();
  }
  ENSURE(by_id.empty(), "{} entries are committed that were not collected", by_id.size());
  if (!places.empty()) appender_->release(places);
  abandoned();
  room_.pulse();
}

void ShardLog::abandoned() {
  ENSURE(collecting_, "an end without a collection");
  collecting_ = false;
  // To the end of the line: one whose batches cannot be read back must not take every upload's room from the others.
  for (const Collected& collected : std::exchange(collected_, {})) {
    Partition& p = *collected.partition;
    Link<BacklogTag>& link = p;
    if (!link.linked()) continue;
    unlist_backlog(p);
    backlog_.push_back(p);
  }
  release_places(std::exchange(release_later_, {}));
}

namespace {
// Records that leave unseen by any object still count for the transactions that later entries state as open.
void note_dropped_transactions(Partition& p, model::Offset log_start) {
  if (!p.transactions) return;
  for (std::size_t i = p.tail.uploaded_count(); i < p.tail.confirmed_count() && p.tail[i].end <= log_start; ++i) {
    const TailRecord& record = p.tail[i];
    if (record.control) {
      p.open_at_upload.erase(record.producer_id);
    } else if (record.transactional) {
      p.open_at_upload.try_emplace(record.producer_id, record.base);
    }
  }
}
}  // namespace

std::optional<std::vector<model::ObjectId>> ShardLog::kept_objects() const {
  std::vector<model::ObjectId> out;
  for (const auto& [topic, entry] : topics_) {
    for (const auto& [index, p] : entry.partitions) {
      if (p->phase == Phase::loading) return std::nullopt;
      for (const auto& [end, object] : p->kept_statements) out.push_back(object->id);
    }
  }
  return out;
}

bool ShardLog::lacks_records() const {
  for (const auto& [topic, entry] : topics_) {
    for (const auto& [index, p] : entry.partitions) {
      if (p->phase == Phase::loading || p->phase == Phase::quarantined) return true;
    }
  }
  return false;
}

std::vector<Shard::Extent> ShardLog::extents(const model::TopicPartition& partition) const {
  std::vector<Shard::Extent> out;
  const PartitionPtr p = find(partition);
  if (!p) return out;
  for (std::size_t i = 0; i < p->extents.size(); ++i) {
    const log::Extent& extent = p->extents[i];
    out.push_back({.object = *extent.object,
                   .base_offset = extent.base,
                   .end_offset = extent.end,
                   .payload_bytes = extent.payload_bytes,
                   .max_timestamp = extent.max_timestamp,
                   .block_count = extent.blocks.size()});
  }
  return out;
}

runtime::Task<Errc> ShardLog::raise_log_start(model::TopicPartition partition, model::Offset to) {
  const PartitionPtr p = find(partition);
  if (!p) co_return Errc::unknown_partition;
  if (!fenced_.empty()) co_return Errc::not_owner;
  if (p->phase == Phase::quarantined) co_return Errc::quarantined;
  if (p->phase == Phase::loading) co_return Errc::store_unavailable;
  if (to > p->high_watermark) co_return Errc::offset_out_of_range;
  if (to <= p->log_start) co_return Errc::none;
  const auto raised = co_await doors_.meta.set_log_starts({{partition, to}});
  if (!raised) {
    if (raised.kind() == base::ErrorKind::fenced) {
      fence_all(raised.error().text);
      co_return Errc::not_owner;
    }
    co_return raised.kind() == base::ErrorKind::unknown_outcome ? Errc::outcome_unknown : Errc::not_appended;
  }
  if (p->phase == Phase::removed) co_return Errc::unknown_partition;
  if (to <= p->log_start) co_return Errc::none;  // another one went further meanwhile
  p->log_start = to;
  p->keep_statements();
  p->extents.drop_below(to);
  note_dropped_transactions(*p, to);
  const std::vector<wal::Place> freed = p->tail.drop_below(to);
  std::uint64_t bytes = 0;
  for (const wal::Place& place : freed) bytes += place.length_bytes + record_overhead_bytes;
  tail_records_ -= freed.size();
  remove_backlog(*p, bytes);
  if (p->transactions) p->transactions->drop_spans_below(to);
  p->renew_last_stable();
  while (p->epochs.size() > 1 && p->epochs[1].start <= to) p->epochs.erase(p->epochs.begin());
  release_places(freed);
  room_.pulse();
  appender_->uploaded_to(partition, p->uploaded_to());
  renew_dirty(*p);
  p->check();
  co_return Errc::none;
}

runtime::Task<Log::Deleted> ShardLog::delete_records(model::TopicPartition partition, model::Offset to,
                                                     base::MonoTime deadline) {
  const PartitionPtr p = find(partition);
  if (!p) co_return Log::Deleted{.error = Errc::unknown_partition};
  if (!co_await wait_loaded(p, deadline)) co_return Log::Deleted{.error = Errc::store_unavailable};
  const model::Offset wanted = to.value() == -1 ? p->high_watermark : to;
  if (wanted.value() < 0) co_return Log::Deleted{.error = Errc::offset_out_of_range};
  const Errc error = co_await raise_log_start(partition, wanted);
  if (error != Errc::none) co_return Log::Deleted{.error = error};
  co_return Log::Deleted{.log_start = p->log_start};
}

}  // namespace weir::log
