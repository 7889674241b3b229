// What others ask of a partition's producers: a verification before a transaction's first batch, and the list of them all.
#include "log/shard.h"

namespace weir::log {

Verification ShardLog::begin_verification(const VerificationRequest& request) {
  const PartitionPtr p = find(request.partition);
  if (!p) return {.error = Errc::unknown_partition, .message = "no such partition"};
  if (auto no = refusal(*p)) return {.error = no->error, .message = std::move(no->message)};
  if (p->phase == Phase::loading) {
    return {.error = Errc::not_appended, .message = "the partition is not open yet: its producers are not known"};
  }
  ProducerTable& table = p->producer_table();
  if (table.is_ongoing(request.producer_id, request.epoch)) return {};
  const auto known = table.entries().find(request.producer_id);
  if (known != table.entries().end() && request.epoch < known->second.epoch) {
    return {.error = Errc::invalid_producer_epoch,
            .message = fmt::format("producer {} has epoch {}, the last seen is {}", request.producer_id.value(),
                                   request.epoch.value(), known->second.epoch.value())};
  }
  if (table.verification_count() >= doors_.options.producers_per_partition_max) {
    return {.error = Errc::not_appended, .message = "too many transactions wait for their verification in the partition"};
  }
  const VerificationInput input{.producer_id = request.producer_id,
                                .epoch = request.epoch,
                                .base_sequence = request.base_sequence,
                                .supports_epoch_bump = request.supports_epoch_bump};
  return {.needed = true, .guard = table.begin_verification(input, next_guard_++, reactor_.wall_now_ms())};
}

runtime::Task<ProducersOutcome> ShardLog::producers(model::TopicPartition partition, base::MonoTime deadline) {
  const PartitionPtr p = find(partition);
  if (!p) co_return ProducersOutcome{.error = Errc::unknown_partition};
  if (!co_await wait_loaded(p, deadline)) co_return ProducersOutcome{.error = Errc::store_unavailable};
  if (p->phase == Phase::removed) co_return ProducersOutcome{.error = Errc::unknown_partition};
  if (!fenced_.empty()) co_return ProducersOutcome{.error = Errc::not_owner};
  if (p->phase == Phase::quarantined) co_return ProducersOutcome{.error = Errc::quarantined};
  ProducersOutcome outcome;
  if (!p->producers) co_return outcome;
  for (const auto& [id, entry] : p->producers->entries()) {
    if (entry.batch_count == 0 && entry.expected.value() >= 0) continue;  // nothing of it was ever appended
    ProducerInfo info{.producer_id = id,
                      .epoch = entry.epoch,
                      .last_timestamp = entry.last_timestamp,
                      .coordinator_epoch = entry.coordinator_epoch,
                      .transaction_start = entry.open_transaction_start};
    if (entry.batch_count > 0) info.last_sequence = entry.batches[entry.batch_count - 1U].last_sequence;
    outcome.producers.push_back(info);
  }
  co_return outcome;
}

}  // namespace weir::log
