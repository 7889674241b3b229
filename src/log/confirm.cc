// What the WAL reports: durable records in any order of groups, confirmed in each partition's order; failures, and voids.
#include <algorithm>

#include "log/shard.h"

namespace weir::log {

void ShardLog::collect_statements(std::vector<wal::Statement>& into) {
  for (Partition* p = dirty_.front(); p != nullptr; p = dirty_.after(*p)) {
    into.push_back({.partition = p->id, .high_watermark = p->high_watermark});
  }
}

void ShardLog::records_durable(std::span<const wal::DurableRecord> records, std::span<const wal::Statement> statements) {
  std::vector<PartitionPtr> touched;
  for (const wal::DurableRecord& record : records) {
    const PartitionPtr p = slots_.at(record.token.slot);
    ENSURE(p != nullptr && p->outstanding_count > 0, "a record of slot {} that nobody waits for", record.token.slot);
    note_durable(*p, record);
    if (!p->touched) {
      p->touched = true;
      touched.push_back(p);
    }
  }
  for (const PartitionPtr& p : touched) {
    p->touched = false;
    confirm(*p);
  }
  for (const wal::Statement& statement : statements) note_statement(statement);
}

void ShardLog::note_durable(Partition& p, const wal::DurableRecord& record) {
  --p.outstanding_count;
  const std::uint64_t number = record.token.number;
  if (p.phase == Phase::removed) {
    release_places({record.place});
    free_slot_when_silent(p);
    return;
  }
  const std::size_t at = first_index(p.pending.size(), [&](std::size_t i) { return p.pending[i].number >= number; });
  if (at == p.pending.size() || p.pending[at].number != number) {
    release_places({record.place});  // of an epoch that was given up: void
    return;
  }
  ENSURE(!p.pending[at].durable, "record {} became durable twice", number);
  p.pending[at].durable = true;
  p.pending[at].times.group = record.times;
  TailRecord& tail = p.tail[p.tail.confirmed_count() + at];
  ENSURE(tail.number == number && tail.size_bytes == record.place.length_bytes, "record {} came back as another", number);
  tail.place = record.place;
}

void ShardLog::confirm(Partition& p) {
  // Between the decision to void and its transaction nothing is confirmed; a fenced session confirms nothing any more.
  if (p.phase != Phase::open || !fenced_.empty()) return;
  const model::Offset before = p.high_watermark;
  const base::MonoTime at = now();
  while (!p.pending.empty() && p.pending.front().durable) {
    Pending pending = p.pending.pop_front();
    const TailRecord& record = p.tail[p.tail.confirmed_count()];
    ENSURE(record.base == p.high_watermark, "the record at {} is confirmed after the high watermark {}", record.base.value(),
           p.high_watermark.value());
    p.tail.confirm_next();
    p.high_watermark = record.end;
    if (pending.undo) p.producers->confirmed(pending.undo->producer_id);
    add_backlog(p, record);
    cells_.confirmed_batches.add();
    cells_.confirm_time.record(at - pending.times.appended);
    pending.times.confirmed = at;
    pending.decided->complete({.times = pending.times});
  }
  if (p.high_watermark == before) return;
  if (p.transactions) p.transactions->confirmed_to(p.high_watermark);
  p.renew_last_stable();
  list_backlog(p);
  renew_dirty(p);
  p.check();
  if (!p.queue.empty()) room_.pulse();
  wake_waiters(p, false);
}

void ShardLog::note_statement(const wal::Statement& statement) {
  const PartitionPtr p = find(statement.partition);
  if (!p) return;
  p->stated = std::max(p->stated, statement.high_watermark);
  renew_dirty(*p);
}

void ShardLog::records_failed(std::span<const wal::RecordToken> records, const base::Error& why) {
  for (const wal::RecordToken& token : records) {
    const PartitionPtr p = slots_.at(token.slot);
    ENSURE(p != nullptr && p->outstanding_count > 0, "a record of slot {} that nobody waits for", token.slot);
    --p->outstanding_count;
    if (p->phase == Phase::removed) {
      free_slot_when_silent(*p);
      continue;
    }
    const bool waits =
        !p->pending.empty() && token.number >= p->pending.front().number && token.number <= p->pending.back().number;
    if (waits && why.kind != base::ErrorKind::fenced) begin_void(p, why.text);
  }
  if (why.kind == base::ErrorKind::fenced) fence_all(why.text);
}

void ShardLog::begin_void(const PartitionPtr& p, const std::string& why) {
  if (p->phase != Phase::open || !fenced_.empty()) return;
  set_phase(*p, Phase::voiding);
  cells_.voids.add();
  doors_.runtime.log->warn("log", "a write failed: the partition gives up what is not confirmed and begins a new epoch",
                           {{"topic", p->id.topic.to_string()},
                            {"partition", p->id.partition.value()},
                            {"from", p->high_watermark.value()},
                            {"batches", p->pending.size()},
                            {"error", why}});
  scope_->spawn("void", void_pending(p, why));
}

runtime::Task<void> ShardLog::void_pending(PartitionPtr p, std::string why) {
  if (!co_await next_epoch(p, p->high_watermark)) co_return;
  if (p->phase != Phase::voiding) co_return;
  finish_void(*p, why);
  set_phase(*p, Phase::open);
}

// The transaction is decided: what lay above the high watermark is void for ever, its offsets are free again.
void ShardLog::finish_void(Partition& p, const std::string& why) {
  const model::Offset from = p.high_watermark;
  std::vector<wal::Place> places;
  cells_.voided_batches.add(p.pending.size());
  tail_records_ -= p.pending.size();
  while (!p.pending.empty()) {
    const Pending pending = p.pending.pop_back();
    const TailRecord record = p.tail.take_back();
    if (pending.undo) p.producers->take_back(*pending.undo);
    if (pending.durable) places.push_back(record.place);
    pending.decided->complete({.error = Errc::not_appended, .message = "the write failed and was given up: " + why});
  }
  if (p.transactions) p.transactions->take_back(from);
  p.end = from;
  p.renew_last_stable();
  p.check();
  release_places(places);
  room_.pulse();
}

}  // namespace weir::log
