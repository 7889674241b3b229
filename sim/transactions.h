// sim/transactions.h: what became of the transactions of one run, held against what read_committed consumers were shown.
// Why:        a consumer that hides aborted batches depends on three answers of the broker: how far it may read, which
//             transactions among what it got were aborted, and where their markers stand. Each is checked by its effect.
// Contract:   the writer reports a transaction's begin, its batches before their first send, its decision before the first
//             marker is sent, and the first sending of each marker. Checked at each answer: the last stable offset is not above a
//             batch whose marker was never sent, unless the log starts behind that batch by then, and never goes back; what a
//             consumer would show is committed; what it would hide is not; markers say what was decided. Checked at the end:
//             every committed batch was shown, once.
// Tests:      sim/transactions_test.cc (each violation is shown to be found)
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "bytes/buffer.h"
#include "model/ids.h"
#include "model/record_batch.h"

namespace weir::sim {

class History;
using BatchNumber = std::uint64_t;
using TransactionNumber = std::uint64_t;

/// An aborted transaction as a fetch answers it.
struct AbortedAnswer {
  model::ProducerId producer_id;
  model::Offset first_offset;
};

/// What an answer about the last stable offset is judged by: the log start that it states itself, or the highest known.
struct LogStart {
  model::Offset offset;
  bool of_this_answer = false;
};

class TransactionHistory {
 public:
  explicit TransactionHistory(History& history) : history_(history) {}

  // --- the writer ---
  TransactionNumber begin(model::ProducerId producer);
  void add(TransactionNumber number, BatchNumber batch);
  void acked(TransactionNumber number, const model::TopicPartition& partition, model::Offset base, model::Offset end);
  void decided(TransactionNumber number, bool commit);
  void marker_began(TransactionNumber number, const model::TopicPartition& partition);

  // --- readers ---
  /// Of any answer: `before` is what was known when its request began.
  /// Returns how far the log start must have been raised (by retention, unseen as yet) for the answer to be right.
  model::Offset stable(const model::TopicPartition& partition, model::Offset before, model::Offset last_stable,
                       LogStart log_start);
  void marker_seen(const model::TopicPartition& partition, bytes::Bytes batch, const model::BatchHeader& header);
  /// A read_committed answer, its batches already found whole.
  void shown(const model::TopicPartition& partition, bytes::Bytes records, model::Offset last_stable,
             const std::vector<AbortedAnswer>& aborted);
  /// After everything up to `end` was read with read_committed.
  void finish(const model::TopicPartition& partition, model::Offset log_start, model::Offset end);

  [[nodiscard]] std::uint64_t committed_count() const { return committed_count_; }
  [[nodiscard]] std::uint64_t aborted_count() const { return aborted_count_; }
  [[nodiscard]] std::uint64_t hidden_count() const { return hidden_count_; }

 private:
  enum class Fate : std::uint8_t { open, committed, aborted };
  struct Transaction {
    model::ProducerId producer;
    Fate fate = Fate::open;
    std::set<model::TopicPartition> marked;  ///< a marker was sent
  };
  struct Range {
    model::Offset base;
    model::Offset end;
  };
  void judge_data(const model::TopicPartition& partition, bytes::Bytes batch, const model::BatchHeader& header, bool hidden);

  History& history_;
  std::vector<Transaction> transactions_;                                                      ///< index = number - 1
  std::map<BatchNumber, TransactionNumber> of_batch_;                                          ///< transactional batches only
  std::map<model::TopicPartition, std::map<TransactionNumber, std::vector<Range>>> unmarked_;  ///< acked batches
  std::map<model::TopicPartition, std::map<std::int64_t, BatchNumber>> shown_;        ///< committed ones, by base offset
  std::map<model::TopicPartition, std::map<std::int64_t, TransactionNumber>> acked_;  ///< by base offset
  std::uint64_t committed_count_ = 0;
  std::uint64_t aborted_count_ = 0;
  std::uint64_t hidden_count_ = 0;
};

}  // namespace weir::sim
