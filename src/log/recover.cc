// Opening one partition from its objects' entries, own/P and what the WAL recovery found (protocols.md, 2, recovery).
#include <algorithm>

#include "log/shard.h"
#include "wal/core/recover_partition.h"

namespace weir::log {
namespace {

std::vector<wal::HistoryEntry> wal_history(const meta::OwnRecord& own) {
  std::vector<wal::HistoryEntry> out;
  out.reserve(own.history.size());
  for (const meta::OwnHistoryEntry& entry : own.history) out.push_back({.epoch = entry.epoch, .start = entry.start});
  return out;
}

wal::PartitionDecision decide(const PartitionEvidence& evidence, model::Offset uploaded_to,
                              const std::vector<wal::HistoryEntry>& history) {
  std::vector<wal::FoundRecord> found;
  found.reserve(evidence.records.size());
  for (std::size_t i = 0; i < evidence.records.size(); ++i) {
    const wal::RecoveredRecord& record = evidence.records[i];
    if (record.header.kind != wal::RecordKind::data) continue;
    found.push_back({.epoch = record.header.epoch,
                     .base_offset = record.header.base_offset,
                     .offset_count = record.header.offset_count,
                     .lsn = record.place.lsn.value(),
                     .index = i});
  }
  return wal::recover_partition({.uploaded_to = uploaded_to, .history = history, .records = found, .witness = evidence.stated});
}

const char* case_label(const PartitionEvidence& evidence, const wal::PartitionDecision& decision) {
  if (!decision.tail.empty() && !decision.dead.empty()) return "case=\"tail_and_dead\"";
  if (!decision.tail.empty()) return "case=\"tail\"";
  if (!decision.dead.empty()) return "case=\"dead_only\"";
  return evidence.uploaded.empty() && !evidence.manifest ? "case=\"empty\"" : "case=\"objects_only\"";
}

}  // namespace

runtime::Task<void> ShardLog::adopt(PartitionEvidence evidence) {
  const PartitionPtr p = find(evidence.id);
  if (!p || p->phase != Phase::loading) {  // deleted while its footers were fetched
    std::vector<wal::Place> places;
    for (const wal::RecoveredRecord& record : evidence.records) places.push_back(record.place);
    release_places(places);
    co_return;
  }
  const auto recovered = [this](const char* label) {
    doors_.runtime.metrics->counter(recovered_partitions_total, label).add();
  };
  const auto lost = [&](std::string reason) {
    recovered("case=\"quarantined\"");
    for (const wal::RecoveredRecord& record : evidence.records) p->held_places.push_back(record.place);
    quarantine(*p, std::move(reason));
  };
  std::vector<ChainInput> entries;
  for (const auto& uploaded : evidence.uploaded)
    entries.push_back({.base = uploaded.entry.base_offset, .end = uploaded.entry.end_offset});
  // Recent objects below the manifest's end do not count, as those below the log start.
  const model::Offset covers_to = evidence.manifest ? evidence.manifest->root.covers_to : model::Offset(0);
  const Chain chain = connect_entries(entries, std::max(evidence.log_start, covers_to));
  p->own = evidence.own;
  p->log_start = evidence.log_start;
  if (!evidence.unreadable_object.empty() || !chain.gap.empty()) {
    lost(evidence.unreadable_object.empty()
             ? chain.gap
             : "an object that may hold its data is lost or damaged: " + evidence.unreadable_object);
    co_return;
  }
  const std::vector<wal::HistoryEntry> history = wal_history(evidence.own);
  // With a log start beyond the objects the tail begins with the batch that holds the log start.
  const wal::PartitionDecision decision = decide(evidence, chain.end, history);
  if (decision.quarantine) {
    lost(fmt::format("acknowledged offsets {} to {} are neither in objects nor in the WAL of session {}", decision.end.value(),
                     decision.witness.value() - 1,
                     evidence.own.history.empty() ? "none" : evidence.own.history.back().session.to_string()));
    co_return;
  }
  p->high_watermark = p->end = decision.end;
  p->stated = p->own.start();
  restore_manifest(*p, evidence);
  restore_uploaded(*p, evidence, chain);
  auto restored = co_await restore_tail(p, evidence, decision.tail);
  if (p->phase != Phase::loading) co_return;
  if (!restored) {
    tail_records_ -= p->tail.size();
    p->tail = Tail();
    remove_backlog(*p, p->backlog_bytes);
    lost(restored.error().text);
    co_return;
  }
  recovered(case_label(evidence, decision));
  if (p->transactions) p->transactions->confirmed_to(p->high_watermark);
  p->renew_last_stable();
  if (p->config->timestamp_type == model::TimestampType::log_append_time) {
    if (p->manifest) p->last_append_time = p->manifest->root.max_timestamp();
    if (!p->extents.empty()) p->last_append_time = p->extents[p->extents.size() - 1].max_timestamp;
    if (!p->tail.empty()) p->last_append_time = std::max(p->last_append_time, p->tail[p->tail.size() - 1].max_timestamp);
  }
  p->check();
  set_phase(*p, Phase::closed);
  list_backlog(*p);
  renew_dirty(*p);
  // What is dead stays dead: own/P moves on before this session's first append, and without it the end can only be found higher.
  std::vector<wal::Place> dead;
  for (const std::size_t index : decision.dead) dead.push_back(evidence.records[index].place);
  for (const wal::RecoveredRecord& record : evidence.records) {
    if (record.header.kind != wal::RecordKind::data) dead.push_back(record.place);
  }
  release_places(dead);
  appender_->uploaded_to(p->id, p->uploaded_to());
}

runtime::Task<void> ShardLog::adopt_all(std::vector<PartitionEvidence> partitions) {
  for (PartitionEvidence& partition : partitions) co_await adopt(std::move(partition));
}

runtime::Task<void> ShardLog::adopt_again(std::vector<PartitionEvidence> partitions) {
  for (PartitionEvidence& partition : partitions) {
    const PartitionPtr p = find(partition.id);
    if (!p || p->phase != Phase::quarantined) continue;  // deleted meanwhile, and its places with it
    p->held_places.clear();                              // they are in the evidence
    p->quarantine_reason.clear();
    cells_.quarantined.add(-1);
    set_phase(*p, Phase::loading);
    co_await adopt(std::move(partition));
  }
}

void ShardLog::restore_manifest(Partition& p, const PartitionEvidence& evidence) {
  if (!evidence.manifest) return;
  p.manifest = evidence.manifest;
  for (const object::EpochStart& epoch : p.manifest->root.epochs) p.begin_epoch(epoch.epoch, epoch.start);
  for (const object::ManifestProducer& producer : p.manifest->root.producers) {
    p.producer_table().merge(producer.state, producer.last_timestamp, producer.last_offset + 1);
  }
}

void ShardLog::restore_uploaded(Partition& p, const PartitionEvidence& evidence, const Chain& chain) {
  std::size_t next_used = 0;
  for (std::size_t i = 0; i < evidence.uploaded.size(); ++i) {
    const auto& [object, entry] = evidence.uploaded[i];
    const bool used = next_used < chain.used.size() && chain.used[next_used] == i;
    if (entry.end_offset <= p.covers_to()) continue;
    for (object::ProducerDelta delta : entry.producers) {
      // A transaction that lies below the log start with all its records is over for every reader.
      if (!used) delta.open_transaction_start = model::Offset(-1);
      p.producer_table().merge(delta, entry.max_timestamp, entry.end_offset);
    }
    if (!used) {
      if (!entry.producers.empty()) p.kept_statements[entry.end_offset] = object;
      continue;
    }
    ++next_used;
    for (const object::EpochStart& epoch : entry.epochs) {
      if (p.epochs.empty() || epoch.epoch > p.epochs.back().epoch) p.begin_epoch(epoch.epoch, epoch.start);
    }
    for (const object::AbortedSpan& span : entry.aborted) p.transaction_state().restore_span(span);
    p.extents.push(object, entry);
  }
  if (!p.producers) return;
  p.producers->doubt_below(p.log_start);
  p.drop_statements();
  for (const auto& [id, producer] : p.producers->entries()) {
    if (producer.open_transaction_start.value() < 0) continue;
    p.transaction_state().begin(id, producer.open_transaction_start);
    p.open_at_upload[id] = producer.open_transaction_start;
  }
}

runtime::Task<base::Result<void>> ShardLog::restore_tail(PartitionPtr p, const PartitionEvidence& evidence,
                                                         std::vector<std::size_t> order) {
  for (const std::size_t index : order) {
    const wal::RecoveredRecord& found = evidence.records[index];
    const auto header = model::peek_batch_header(found.batch_header);
    if (!header || header->base_offset != found.header.base_offset ||
        header->last_offset_delta + 1 != found.header.offset_count || header->size_bytes() != found.place.length_bytes) {
      co_return base::fail(base::ErrorKind::corrupt, fmt::format("the WAL's record at offset {} does not hold that batch",
                                                                 found.header.base_offset.value()));
    }
    std::optional<model::EndMarker> marker;
    if (header->is_control()) {
      WEIR_CO_TRY_ASSIGN(const bytes::Buffer payload, co_await appender_->read(found.place));
      if (p->phase != Phase::loading) co_return base::Result<void>();
      WEIR_CO_TRY_ASSIGN(marker, model::read_end_marker(payload.view()));
    }
    TailRecord record{.base = header->base_offset,
                      .end = header->next_offset(),
                      .number = next_number_++,
                      .place = found.place,
                      .memory = {},
                      .size_bytes = found.place.length_bytes,
                      .max_timestamp = header->max_timestamp,
                      .transactional = header->is_transactional(),
                      .control = header->is_control()};
    if (header->has_producer()) {
      const ProducerInput input = producer_input(*header, marker, true);
      const auto effect = p->producer_table().apply(input, record.base, record.end - 1, record.max_timestamp, nullptr);
      if (effect.began.value() >= 0) p->transaction_state().begin(input.producer_id, effect.began);
      if (effect.ended.value() >= 0) p->transaction_state().end(input.producer_id, effect.ended, record.base, marker->commit);
      record.producer_id = input.producer_id;
      record.producer_epoch = input.epoch;
      record.base_sequence = input.base_sequence;
      record.last_sequence = input.last_sequence;
      record.commit = marker && marker->commit;
      record.coordinator_epoch = marker ? marker->coordinator_epoch : -1;
    }
    if (p->epochs.empty() || found.header.epoch > p->epochs.back().epoch) p->begin_epoch(found.header.epoch, record.base);
    p->tail.push(std::move(record));
    p->tail.confirm_next();
    ++tail_records_;
    add_backlog(*p, p->tail[p->tail.size() - 1]);
  }
  co_return base::Result<void>();
}

}  // namespace weir::log
