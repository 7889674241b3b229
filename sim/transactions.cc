#include "sim/transactions.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/ensure.h"
#include "model/records.h"
#include "sim/history.h"

namespace weir::sim {

TransactionNumber TransactionHistory::begin(model::ProducerId producer) {
  transactions_.push_back({.producer = producer, .marked = {}});
  return transactions_.size();
}

void TransactionHistory::add(TransactionNumber number, BatchNumber batch) { of_batch_[batch] = number; }

void TransactionHistory::acked(TransactionNumber number, const model::TopicPartition& partition, model::Offset base,
                               model::Offset end) {
  acked_[partition][base.value()] = number;
  if (!transactions_.at(number - 1).marked.contains(partition)) {
    unmarked_[partition][number].push_back({.base = base, .end = end});
  }
}

void TransactionHistory::decided(TransactionNumber number, bool commit) {
  Transaction& transaction = transactions_.at(number - 1);
  ENSURE(transaction.fate == Fate::open, "transaction {} is decided twice", number);
  transaction.fate = commit ? Fate::committed : Fate::aborted;
  ++(commit ? committed_count_ : aborted_count_);
}

void TransactionHistory::marker_began(TransactionNumber number, const model::TopicPartition& partition) {
  transactions_.at(number - 1).marked.insert(partition);
  if (const auto at = unmarked_.find(partition); at != unmarked_.end()) at->second.erase(number);
}

model::Offset TransactionHistory::stable(const model::TopicPartition& partition, model::Offset before,
                                         model::Offset last_stable, LogStart log_start) {
  model::Offset owed{0};
  if (last_stable < before) {
    history_.violation(fmt::format("{}: the last stable offset went back from {} to {}", history_.name_of(partition),
                                   before.value(), last_stable.value()));
  }
  const auto open = unmarked_.find(partition);
  if (open == unmarked_.end()) return owed;
  for (const auto& [number, ranges] : open->second) {
    for (const Range& range : ranges) {
      if (range.end <= log_start.offset || last_stable <= std::max(range.base, log_start.offset)) continue;
      owed = std::max(owed, std::min(last_stable, range.end));
      if (!log_start.of_this_answer) continue;
      history_.violation(fmt::format("{}: the last stable offset {} is past the batch at {} of transaction {}, which is open",
                                     history_.name_of(partition), last_stable.value(), range.base.value(), number));
    }
  }
  return owed;
}

void TransactionHistory::marker_seen(const model::TopicPartition& partition, bytes::Bytes batch,
                                     const model::BatchHeader& header) {
  const auto marker = model::read_end_marker(batch);
  if (!marker) {
    history_.violation(fmt::format("{}: a control batch without a marker at offset {}", history_.name_of(partition),
                                   header.base_offset.value()));
    return;
  }
  const Fate wanted = marker->commit ? Fate::committed : Fate::aborted;
  const bool sent = std::ranges::any_of(transactions_, [&](const Transaction& transaction) {
    return transaction.producer == header.producer_id && transaction.fate == wanted && transaction.marked.contains(partition);
  });
  if (sent) return;
  history_.violation(fmt::format("{}: nobody sent the {} marker of producer {} at offset {}", history_.name_of(partition),
                                 marker->commit ? "commit" : "abort", header.producer_id.value(), header.base_offset.value()));
}

// What Kafka's consumers do with an answer.
void TransactionHistory::shown(const model::TopicPartition& partition, bytes::Bytes records, model::Offset last_stable,
                               const std::vector<AbortedAnswer>& aborted) {
  std::set<model::ProducerId> aborting;
  auto next = aborted.begin();
  while (!records.empty()) {
    const auto header = model::peek_batch_header(records);
    if (!header || header->size_bytes() > records.size()) return;
    const bytes::Bytes batch = records.first(header->size_bytes());
    records = records.subspan(header->size_bytes());
    if (header->next_offset() > last_stable) {
      history_.violation(fmt::format("{}: read_committed got the batch [{}, {}) above the last stable offset {}",
                                     history_.name_of(partition), header->base_offset.value(), header->next_offset().value(),
                                     last_stable.value()));
    }
    for (; next != aborted.end() && next->first_offset <= header->last_offset(); ++next) aborting.insert(next->producer_id);
    if (header->is_control()) {
      const auto marker = model::read_end_marker(batch);
      if (marker && !marker->commit) aborting.erase(header->producer_id);
    } else if (header->is_transactional()) {
      judge_data(partition, batch, *header, aborting.contains(header->producer_id));
    }
  }
}

void TransactionHistory::judge_data(const model::TopicPartition& partition, bytes::Bytes batch,
                                    const model::BatchHeader& header, bool hidden) {
  const BatchNumber number = history_.number_of(partition, batch);
  const auto of = of_batch_.find(number);
  if (of == of_batch_.end()) {
    history_.violation(fmt::format("{}: the transactional batch at {} is of no transaction", history_.name_of(partition),
                                   header.base_offset.value()));
    return;
  }
  const Fate fate = transactions_.at(of->second - 1).fate;
  if (hidden) {
    ++hidden_count_;
    if (fate != Fate::committed) return;
    history_.violation(fmt::format("{}: batch {} at {} of transaction {} is committed, and read_committed hides it",
                                   history_.name_of(partition), number, header.base_offset.value(), of->second));
    return;
  }
  if (fate != Fate::committed) {
    history_.violation(fmt::format("{}: read_committed shows batch {} at {} of transaction {}, which {}",
                                   history_.name_of(partition), number, header.base_offset.value(), of->second,
                                   fate == Fate::open ? "is open" : "was aborted"));
  }
  shown_[partition][header.base_offset.value()] = number;
}

void TransactionHistory::finish(const model::TopicPartition& partition, model::Offset log_start, model::Offset end) {
  const std::map<std::int64_t, BatchNumber>& shown = shown_[partition];
  for (const auto& [base, number] : acked_[partition]) {
    if (base < log_start.value() || base >= end.value()) continue;
    if (transactions_.at(number - 1).fate != Fate::committed || shown.contains(base)) continue;
    history_.violation(fmt::format("{}: the batch at {} of the committed transaction {} was never shown to read_committed",
                                   history_.name_of(partition), base, number));
  }
  std::set<BatchNumber> once;
  for (const auto& [base, number] : shown) {
    if (once.insert(number).second) continue;
    history_.violation(fmt::format("{}: the committed batch {} is shown twice", history_.name_of(partition), number));
  }
}

}  // namespace weir::sim
