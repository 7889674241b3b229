// Records on their way: in the order in which they were decided, applied in the order of the log; checkpoints between them.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/records.h"
#include "groups/partition.h"
#include "model/records.h"

namespace weir::groups {
namespace {

using runtime::Task;

bytes::Buffer make_batch(const std::vector<const Record*>& records, model::CompressionType compression, base::WallMs time) {
  std::vector<model::RecordInput> inputs;
  inputs.reserve(records.size());
  for (const Record* record : records) {
    model::RecordInput input;
    input.key = record->key.text();
    if (record->value) input.value = record->value->text();
    input.timestamp = time;
    inputs.push_back(std::move(input));
  }
  auto batch = model::build_batch({.compression = compression}, inputs);
  ENSURE(batch.has_value(), "a batch of group records: {}", batch ? "" : batch.error().text);
  return std::move(*batch);
}

std::size_t size_of(const Record& record) { return record_bytes(record.key.size(), record.value ? record.value->size() : 0); }

// What a failed append means to the requests behind it.
Errc errc_of(log::Errc errc) {
  switch (errc) {
    case log::Errc::none: return Errc::none;
    case log::Errc::not_owner:
    case log::Errc::quarantined:
    case log::Errc::unknown_partition: return Errc::not_coordinator;
    case log::Errc::message_too_large:
    case log::Errc::invalid_record: return Errc::too_large;
    default: return Errc::unavailable;
  }
}

}  // namespace

void Partition::push(Outgoing write) {
  for (const Record& record : write.records) write.size_bytes += size_of(record);
  queue_.push_back(std::move(write));
  pump();
}

void Partition::pump() {
  while (!holding_ && phase_ == Phase::active && !queue_.empty() && flights_.size() < flights_max) {
    std::vector<Outgoing> writes;
    std::size_t bytes = 0;
    // One write is never split: its records count together or not at all.
    while (!queue_.empty() && (writes.empty() || bytes + queue_.front().size_bytes <= batch_bytes_max)) {
      bytes += queue_.front().size_bytes;
      writes.push_back(std::move(queue_.front()));
      queue_.pop_front();
    }
    auto flight = std::make_shared<Flight>();
    flight->writes = std::move(writes);
    std::vector<const Record*> records;
    for (const Outgoing& one : flight->writes) {
      for (const Record& record : one.records) records.push_back(&record);
    }
    flight->batch = make_batch(records, doors_.options.compression, reactor_.wall_now_ms());
    flight->begun = reactor_.now();
    flight->load_number = load_number_;
    flights_.push_back(flight);
    scope_->spawn("group write", this->write(std::move(flight)));
  }
}

// Spawned tasks begin in the order of spawning, and the log gives offsets in the order of calls: I2.
Task<void> Partition::write(std::shared_ptr<Flight> flight) {
  ++appends_open_;
  flight->outcome = co_await doors_.log.produce({.partition = id_,
                                                 .records = flight->batch.view(),
                                                 .deadline = reactor_.now() + doors_.options.commit_timeout,
                                                 .coordinator = true});
  --appends_open_;
  flight->done = true;
  if (flight->load_number == load_number_) settle();
}

void Partition::settle() {
  while (!flights_.empty() && flights_.front()->done) {
    const std::shared_ptr<Flight> flight = std::move(flights_.front());
    flights_.pop_front();
    doors_.cells.write_time.record(reactor_.now() - flight->begun);
    if (flight->outcome.error == log::Errc::outcome_unknown || flight->outcome.error == log::Errc::cancelled) {
      lose(flight->outcome.message);
      return;
    }
    settle_one(*flight);
    if (phase_ != Phase::active) return;
  }
  settled_.pulse();
  maybe_checkpoint();
  pump();
}

void Partition::settle_one(Flight& flight) {
  const Errc error = errc_of(flight.outcome.error);
  if (error == Errc::none) {
    log_bytes_ += flight.batch.size();
    model::Offset offset = flight.outcome.base_offset;
    for (const Outgoing& write : flight.writes) {
      for (const Record& record : write.records) {
        auto applied =
            stored_.apply(record.key.view(), record.value ? std::optional<bytes::Bytes>(record.value->view()) : std::nullopt,
                          {.offset = offset, .transaction = std::nullopt});
        ENSURE(applied.has_value(), "a record of this broker's own: {}", applied ? "" : applied.error().text);
        ++offset;
      }
    }
    doors_.cells.commits.add(flight.writes.size());
  } else {
    doors_.cells.failed_writes.add();
    doors_.runtime.log->warn("groups", "records of groups were not stored",
                             {{"partition", id_.partition.value()}, {"reason", flight.outcome.message}});
  }
  for (const Outgoing& write : flight.writes) {
    // A group with a write under way is never dropped.
    run(write.group, Written{.write = write.write, .error = error});
  }
}

// Whether the records are in the log is not known, so neither is the state: read it again.
void Partition::lose(const std::string& why) {
  doors_.cells.failed_writes.add();
  doors_.runtime.log->warn("groups", "a write of group records has an unknown outcome; the partition is loaded anew",
                           {{"partition", id_.partition.value()}, {"reason", why}});
  end_all(Errc::unavailable);
  phase_ = Phase::loading;
  loaded_.reset();
  settled_.pulse();
  scope_->spawn("load groups", load());
}

void Partition::maybe_checkpoint() {
  const std::uint64_t due = std::max(doors_.options.checkpoint_bytes_min, checkpoint_factor * stored_.live_bytes());
  if (checkpointing_ || phase_ != Phase::active || log_bytes_ <= due) return;
  checkpointing_ = true;
  scope_->spawn("group checkpoint", checkpoint());
}

// The whole live state again as ordinary records; once they are durable, nothing before the first of them is needed. A crash
// in between leaves both copies, and reading both gives the same state.
Task<void> Partition::checkpoint() {
  const std::uint64_t load_number = load_number_;
  const std::uint64_t covered_bytes = log_bytes_;
  std::string cursor;
  std::optional<model::Offset> first;
  bool good = true;
  do { good = co_await checkpoint_part(load_number, &cursor, &first); } while (good && !cursor.empty());
  if (good && first && load_number == load_number_) {
    // An open transaction's records are in no checkpoint.
    const model::Offset to = std::min(stored_.first_open().value_or(*first), *first);
    const log::Errc raised = co_await doors_.log.raise_log_start(id_, to);
    if (raised == log::Errc::none && load_number == load_number_) {
      log_bytes_ -= std::min(covered_bytes, log_bytes_);
      doors_.cells.checkpoints.add();
    }
  }
  if (load_number == load_number_) holding_ = false;
  checkpointing_ = false;
  if (phase_ == Phase::active) pump();
}

// One part, while nothing else is on its way (I3). False: give up for now.
Task<bool> Partition::checkpoint_part(std::uint64_t load_number, std::string* cursor, std::optional<model::Offset>* first) {
  holding_ = true;
  while (load_number == load_number_ && phase_ == Phase::active && !flights_.empty()) {
    if (co_await settled_.wait(runtime::no_deadline, &scope_->stop_token()) != runtime::Wake::ready) co_return false;
  }
  if (load_number != load_number_ || phase_ != Phase::active) co_return false;
  std::vector<Record> records;
  *cursor = stored_.checkpoint(*cursor, batch_bytes_max, records);
  if (records.empty() && !*first) {
    const auto state = co_await doors_.log.state(id_);
    if (state) *first = state->high_watermark;
  }
  for (std::size_t at = 0; at < records.size();) {
    std::vector<Record> part;
    for (std::size_t bytes = 0; at < records.size() && (part.empty() || bytes + size_of(records[at]) <= batch_bytes_max);
         ++at) {
      bytes += size_of(records[at]);
      part.push_back(std::move(records[at]));
    }
    const std::optional<model::Offset> base = co_await append_alone(std::move(part));
    if (!base || load_number != load_number_) co_return false;
    if (!*first) *first = base;
  }
  holding_ = false;
  pump();
  co_return true;
}

Task<std::optional<model::Offset>> Partition::append_alone(std::vector<Record> records) {
  std::vector<const Record*> pointers;
  for (const Record& record : records) pointers.push_back(&record);
  const bytes::Buffer batch = make_batch(pointers, doors_.options.compression, reactor_.wall_now_ms());
  const log::ProduceOutcome outcome = co_await doors_.log.produce({.partition = id_,
                                                                   .records = batch.view(),
                                                                   .deadline = reactor_.now() + doors_.options.commit_timeout,
                                                                   .coordinator = true});
  if (outcome.error != log::Errc::none) co_return std::nullopt;
  log_bytes_ += batch.size();
  co_return outcome.base_offset;
}

}  // namespace weir::groups
