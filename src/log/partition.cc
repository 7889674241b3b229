#include "log/partition.h"

#include <algorithm>

namespace weir::log {

model::LeaderEpoch Partition::epoch_of(model::Offset offset) const {
  const std::size_t after = first_index(epochs.size(), [&](std::size_t i) { return epochs[i].start > offset; });
  return after == 0 ? model::no_leader_epoch : epochs[after - 1].epoch;
}

void Partition::begin_epoch(model::LeaderEpoch epoch, model::Offset start) {
  while (!epochs.empty() && epochs.back().start >= start) epochs.pop_back();
  ENSURE(epochs.empty() || epochs.back().epoch < epoch, "epoch {} begins after {}", epoch.value(), epochs.back().epoch.value());
  epochs.push_back({.epoch = epoch, .start = start});
}

void Partition::renew_last_stable() {
  last_stable = high_watermark;
  if (!transactions) return;
  const model::Offset unstable = transactions->first_unstable();
  // A transaction that began below the log start holds readers at the log start, as in Kafka.
  if (unstable.value() >= 0) last_stable = std::min(std::max(unstable, log_start), high_watermark);
}

void Partition::keep_statements() {
  if (!producers) return;
  const std::set<model::Offset> ends = producers->statements_below(log_start);
  for (std::size_t i = 0; i < extents.size() && extents[i].end <= log_start; ++i) {
    if (ends.contains(extents[i].end)) kept_statements[extents[i].end] = extents[i].object;
  }
}

void Partition::drop_statements() {
  if (kept_statements.empty()) return;
  const std::set<model::Offset> ends = producers ? producers->statements_below(log_start) : std::set<model::Offset>();
  std::erase_if(kept_statements, [&](const auto& item) { return !ends.contains(item.first); });
}

ProducerTable& Partition::producer_table() {
  if (!producers) producers = std::make_unique<ProducerTable>();
  return *producers;
}

Transactions& Partition::transaction_state() {
  if (!transactions) transactions = std::make_unique<Transactions>();
  return *transactions;
}

void Partition::check() const {
  ENSURE(log_start <= last_stable && last_stable <= high_watermark && high_watermark <= end,
         "log start {}, last stable {}, high watermark {}, end {}", log_start.value(), last_stable.value(),
         high_watermark.value(), end.value());
  ENSURE(tail.size() - tail.confirmed_count() == pending.size(), "{} unconfirmed records, {} pending",
         tail.size() - tail.confirmed_count(), pending.size());
  ENSURE(tail.empty() || tail[tail.size() - 1].end == end, "the tail ends at {}, the log at {}",
         tail[tail.size() - 1].end.value(), end.value());
  ENSURE(covers_to() <= high_watermark, "the manifest covers up to {}, the high watermark is {}", covers_to().value(),
         high_watermark.value());
  ENSURE(extents.empty() || extents.end() <= high_watermark, "objects hold offsets up to {}, the high watermark is {}",
         extents.end().value(), high_watermark.value());
}

}  // namespace weir::log
