// Appending: admission in order, the producer's ticket, the offset and the copy into the group without suspension, epochs.
#include <algorithm>
#include <cstring>

#include "bytes/crc32c.h"
#include "log/shard.h"

namespace weir::log {
namespace {

ProduceOutcome refused(Errc error, std::string message) { return {.error = error, .message = std::move(message)}; }

Errc errc_of(ProducerVerdict::Kind kind) {
  switch (kind) {
    case ProducerVerdict::Kind::out_of_order_sequence: return Errc::out_of_order_sequence;
    case ProducerVerdict::Kind::stale_epoch: return Errc::invalid_producer_epoch;
    case ProducerVerdict::Kind::stale_coordinator: return Errc::coordinator_fenced;
    case ProducerVerdict::Kind::wrong_transaction_state:
    case ProducerVerdict::Kind::unverified: return Errc::invalid_txn_state;
    case ProducerVerdict::Kind::accept:
    case ProducerVerdict::Kind::duplicate: break;
  }
  return Errc::none;
}

ProducerInput input_of(const Appending& item) {
  ProducerInput input = producer_input(item.batch.header, item.batch.marker, item.request->coordinator);
  input.guard = item.request->guard;
  input.strict_epoch = item.request->strict_epoch;
  return input;
}

// CRC32C of the whole stored batch: its own CRC covers all from the attributes on.
std::uint32_t payload_crc(bytes::Bytes batch, std::uint32_t batch_crc) {
  constexpr std::size_t before_attributes = 21;
  if (batch.size() < combine_crc_bytes_min) return bytes::crc32c(batch);
  return bytes::crc32c_combine(bytes::crc32c(batch.first(before_attributes)), batch_crc, batch.size() - before_attributes);
}

}  // namespace

std::optional<ProduceOutcome> ShardLog::refusal(const Partition& p) const {
  if (p.phase == Phase::removed) return refused(Errc::unknown_partition, "the topic was deleted");
  if (!fenced_.empty()) return refused(Errc::not_owner, fenced_);
  if (stopping_) return refused(Errc::not_appended, "the broker stops");
  if (p.phase == Phase::quarantined) return refused(Errc::quarantined, p.quarantine_reason);
  return std::nullopt;
}

bool ShardLog::can_append_now(const Partition& p, std::size_t payload_bytes) const {
  return p.phase == Phase::open && appender_->can_append(payload_bytes) && tail_records_ < tail_records_max_ &&
         p.pending.size() < doors_.options.unconfirmed_batches_per_partition_max;
}

runtime::Task<ProduceOutcome> ShardLog::produce(ProduceRequest request, Validated batch) {
  const PartitionPtr p = find(request.partition);
  if (!p) co_return refused(Errc::unknown_partition, "no such partition");
  if (auto no = refusal(*p)) co_return std::move(*no);
  validate_for_topic(batch, request.records, *p->config, request.coordinator, reactor_.wall_now_ms());
  if (batch.error != Errc::none) {
    cells_.refused.add();
    co_return ProduceOutcome{.error = batch.error, .message = std::move(batch.message), .log_start = p->log_start};
  }
  Appending item{.request = &request, .batch = std::move(batch)};
  if (p->queue.empty() && can_append_now(*p, item.batch.bytes_of(request.records).size())) {
    co_return co_await finish(append_now(*p, item), request.deadline);
  }
  if (p->queue.size() >= queued_produces_per_partition_max) {
    cells_.not_admitted.add();
    co_return refused(Errc::not_appended, "too many batches wait for admission to the partition");
  }
  const auto ticket = std::make_shared<Ticket>();
  ticket->item = &item;
  p->queue.push_back(ticket);
  if (!p->pumping) {
    p->pumping = true;
    scope_->spawn("pump", pump(p));
  }
  co_await ticket->started.wait(request.deadline);
  ticket->item = nullptr;
  if (!ticket->started.has_value()) {
    cells_.not_admitted.add();
    expect_again(*p, item);
    co_return refused(Errc::not_appended, p->phase == Phase::loading
                                              ? "the partition is not open yet: the object store does not give its footers"
                                              : "the batch was not admitted within the request's timeout");
  }
  co_return co_await finish(ticket->started.take(), request.deadline);
}

// A batch of an idempotent producer was not admitted: what follows it must not overtake it.
void ShardLog::expect_again(Partition& p, const Appending& item) {
  if (p.phase == Phase::removed || !item.batch.header.has_producer()) return;
  cells_.producers_forgotten.add(p.producer_table().make_room(doors_.options.producers_per_partition_max));
  p.producers->expect(input_of(item), item.batch.header.max_timestamp);
}

runtime::Task<ProduceOutcome> ShardLog::finish(Started started, base::MonoTime deadline) {
  if (!started.decided) {
    if (started.outcome.error == Errc::not_appended) cells_.not_admitted.add();
    co_return std::move(started.outcome);
  }
  co_await started.decided->wait(deadline);
  if (!started.decided->has_value()) {
    cells_.outcome_unknown.add();
    co_return refused(Errc::outcome_unknown, "the batch was written but not confirmed within the request's timeout");
  }
  const Decision& decision = started.decided->value();
  if (decision.error != Errc::none) co_return refused(decision.error, decision.message);
  // A duplicate waited for its original: the steps were not its own.
  if (started.outcome.times.appended != base::MonoTime{}) started.outcome.times = decision.times;
  co_return std::move(started.outcome);
}

// One task per partition with waiting produces, so that they are admitted in their order.
runtime::Task<void> ShardLog::pump(PartitionPtr p) {
  while (co_await pump_head(p)) {}
  p->pumping = false;
}

runtime::Task<bool> ShardLog::pump_head(PartitionPtr p) {
  while (!p->queue.empty() && p->queue.front()->item == nullptr) p->queue.pop_front();
  if (p->queue.empty()) co_return false;
  if (auto no = refusal(*p)) {
    fail_queue(*p, no->error, no->message);
    co_return false;
  }
  if (p->phase == Phase::closed) {
    co_await open_epoch(p);
    co_return true;
  }
  const std::shared_ptr<Ticket> head = p->queue.front();
  const base::MonoTime deadline = head->item->request->deadline;
  if (p->phase != Phase::open) {
    co_await p->changed.wait(deadline, &scope_->stop_token());
    if (now() >= deadline && !p->queue.empty() && p->queue.front() == head) {
      p->queue.pop_front();
      head->started.complete({.outcome = refused(Errc::not_appended, "the partition did not open within the request's timeout"),
                              .decided = nullptr});
    }
    co_return true;
  }
  const std::size_t payload_bytes = head->item->batch.bytes_of(head->item->request->records).size();
  base::Result<void> admitted;
  if (tail_records_ >= tail_records_max_ || p->pending.size() >= doors_.options.unconfirmed_batches_per_partition_max) {
    co_await room_.wait(deadline, &scope_->stop_token());
    if (now() < deadline) co_return true;
    admitted = base::fail(base::ErrorKind::exhausted, "too many batches wait for their upload or their confirmation");
  } else if (!appender_->can_append(payload_bytes)) {
    admitted = co_await appender_->wait_admission(payload_bytes, deadline);
    if (!admitted && admitted.kind() == base::ErrorKind::fenced) {
      fence_all(admitted.error().text);
      co_return true;
    }
  }
  // A wait may have seen a void, a deletion or the head's own deadline: nothing is reserved yet, so look again.
  if (p->queue.empty() || p->queue.front() != head || head->item == nullptr || (admitted && p->phase != Phase::open))
    co_return true;
  p->queue.pop_front();
  if (admitted) {
    head->started.complete(append_now(*p, *head->item));
  } else {
    const bool too_large = admitted.kind() == base::ErrorKind::invalid;
    if (!too_large) expect_again(*p, *head->item);
    head->started.complete({.outcome = refused(too_large ? Errc::message_too_large : Errc::not_appended, admitted.error().text),
                            .decided = nullptr});
  }
  co_return true;
}

// From here to the end of sequence() nothing suspends: the ticket, the offset and the copy are one step.
Started ShardLog::append_now(Partition& p, Appending& item) {
  ENSURE(p.phase == Phase::open, "an append to a partition that is not open");
  if (item.batch.bytes_of(item.request->records).size() > appender_->payload_bytes_max()) {
    cells_.refused.add();
    return {.outcome = refused(Errc::message_too_large, "the batch does not fit into a WAL segment"), .decided = nullptr};
  }
  if (item.batch.header.has_producer()) {
    if (auto answer = judge_producer(p, item)) return std::move(*answer);
  }
  Started started;
  sequence(p, item, started);
  return started;
}

std::optional<Started> ShardLog::judge_producer(Partition& p, const Appending& item) {
  ProducerVerdict verdict = p.producer_table().check(input_of(item));
  if (verdict.kind == ProducerVerdict::Kind::accept) return std::nullopt;
  if (verdict.kind != ProducerVerdict::Kind::duplicate) {
    cells_.refused.add();
    Started answer{.outcome = refused(errc_of(verdict.kind), std::move(verdict.message)), .decided = nullptr};
    answer.outcome.log_start = p.log_start;
    return answer;
  }
  cells_.duplicates.add();
  const bool append_time = p.config->timestamp_type == model::TimestampType::log_append_time;
  Started answer{.outcome = {.base_offset = verdict.first.base_offset,
                             .log_append_time = append_time ? verdict.first.max_timestamp : -1,
                             .log_start = p.log_start},
                 .decided = nullptr};
  // Still in flight: answered when the original is.
  if (verdict.first.base_offset >= p.high_watermark) {
    const std::size_t at = p.tail.find(verdict.first.base_offset);
    ENSURE(at >= p.tail.confirmed_count() && at < p.tail.size(), "an unconfirmed batch at {} is not in the tail",
           verdict.first.base_offset.value());
    answer.decided = p.pending[at - p.tail.confirmed_count()].decided;
  }
  return answer;
}

void ShardLog::sequence(Partition& p, Appending& item, Started& started) {
  const bytes::Bytes source = item.batch.bytes_of(item.request->records);
  const model::BatchHeader& header = item.batch.header;
  const model::Offset base = p.end;
  const std::uint64_t number = next_number_++;
  const wal::RecordHeader wal_header{.partition = p.id,
                                     .epoch = p.own.epoch(),
                                     .base_offset = base,
                                     .offset_count = header.last_offset_delta + 1,
                                     .kind = wal::RecordKind::data};
  const auto reservation = appender_->reserve(wal_header, source.size(), {.slot = p.slot, .number = number});
  std::memcpy(reservation.payload.data(), source.data(), source.size());
  model::patch_base_offset(reservation.payload, base);
  model::patch_leader_epoch(reservation.payload, p.own.epoch());
  base::WallMs max_timestamp = header.max_timestamp;
  std::uint32_t batch_crc = header.crc;
  if (p.config->timestamp_type == model::TimestampType::log_append_time && !header.is_control()) {
    max_timestamp = p.last_append_time = std::max(p.last_append_time, reactor_.wall_now_ms());
    model::patch_log_append_time(reservation.payload, max_timestamp);
    batch_crc = model::peek_batch_header(reservation.payload)->crc;
    started.outcome.log_append_time = max_timestamp;
  }
  bytes::Buffer memory = appender_->commit_record(reservation, payload_crc(reservation.payload, batch_crc));

  Pending pending{
      .number = number, .decided = std::make_shared<Decided>(), .undo = nullptr, .times = {.appended = now(), .group = {}}};
  TailRecord record{.base = base,
                    .end = base + (header.last_offset_delta + 1),
                    .number = number,
                    .memory = std::move(memory),
                    .size_bytes = static_cast<std::uint32_t>(source.size()),
                    .max_timestamp = max_timestamp,
                    .transactional = header.is_transactional(),
                    .control = header.is_control()};
  if (header.has_producer()) {
    const ProducerInput input = producer_input(header, item.batch.marker, item.request->coordinator);
    cells_.producers_forgotten.add(p.producer_table().make_room(doors_.options.producers_per_partition_max));
    pending.undo = std::make_unique<ProducerTable::Undo>();
    const ProducerTable::Effect effect =
        p.producer_table().apply(input, base, record.end - 1, max_timestamp, pending.undo.get());
    if (effect.began.value() >= 0) p.transaction_state().begin(input.producer_id, effect.began);
    if (effect.ended.value() >= 0) p.transaction_state().end(input.producer_id, effect.ended, base, item.batch.marker->commit);
    record.producer_id = input.producer_id;
    record.producer_epoch = input.epoch;
    record.base_sequence = input.base_sequence;
    record.last_sequence = input.last_sequence;
    record.commit = input.marker && input.marker->commit;
    record.coordinator_epoch = input.marker ? input.marker->coordinator_epoch : -1;
  }
  started.decided = pending.decided;
  started.outcome.base_offset = base;
  started.outcome.times.appended = pending.times.appended;
  started.outcome.log_start = p.log_start;
  p.end = record.end;
  ++p.outstanding_count;
  ++tail_records_;
  p.tail.push(std::move(record));
  p.pending.push_back(std::move(pending));
  hold_memory(p, p.tail[p.tail.size() - 1]);
  if (memory_bytes_ > tail_memory_bytes_max_) trim_memory(tail_memory_bytes_max_);
  cells_.appended_batches.add();
  cells_.appended_bytes.add(source.size());
  p.check();
}

runtime::Task<void> ShardLog::open_epoch(PartitionPtr p) {
  ENSURE(p->pending.empty() && p->end == p->high_watermark, "an epoch begins above unconfirmed batches");
  set_phase(*p, Phase::opening);
  const bool opened = co_await next_epoch(p, p->high_watermark);
  if (p->phase != Phase::opening) co_return;
  set_phase(*p, opened ? Phase::open : Phase::closed);
}

// own/P -> (this session, next epoch, start), until it is decided. False: fenced, stopping, deleted, or quarantined here.
runtime::Task<bool> ShardLog::next_epoch(PartitionPtr p, model::Offset start) {
  base::Duration pause = retry_pause;
  while (p->phase != Phase::removed && fenced_.empty() && !scope_->stopping()) {
    auto opened = co_await doors_.meta.open_epoch(p->id, p->own, start, std::min(start, p->uploaded_to()));
    if (p->phase == Phase::removed) co_return false;
    if (opened) {
      p->own = std::move(*opened);
      p->begin_epoch(p->own.epoch(), start);
      p->stated = std::max(p->stated, p->own.start());
      renew_dirty(*p);
      cells_.epochs_opened.add();
      // The lane notes it before any record of the new epoch reaches it: both go to shard 0 from here, in this order.
      const auto revision = static_cast<std::uint64_t>(p->own.revision);
      runtime::Reactor& lane = doors_.runtime.shard(runtime::ShardId(0));
      if (&lane == &reactor_) {
        doors_.wal.relied_on_revision(revision);
      } else {
        lane.post([wal = &doors_.wal, revision] { wal->relied_on_revision(revision); });
      }
      co_return true;
    }
    const base::ErrorKind kind = opened.kind();
    if (kind == base::ErrorKind::fenced) {
      fence_all(opened.error().text);
      co_return false;
    }
    if (kind == base::ErrorKind::exists || kind == base::ErrorKind::corrupt || kind == base::ErrorKind::invalid) {
      quarantine(*p, "its ownership in the keyspace is not this broker's any more: " + opened.error().text);
      co_return false;
    }
    doors_.runtime.log->warn(
        "log", "a partition's next epoch is not written yet",
        {{"topic", p->id.topic.to_string()}, {"partition", p->id.partition.value()}, {"error", opened.error().text}});
    if (co_await runtime::sleep_for(pause, &scope_->stop_token()) == runtime::Wake::stopped) co_return false;
    pause = std::min(pause * 2, retry_pause_max);
  }
  co_return false;
}

}  // namespace weir::log
