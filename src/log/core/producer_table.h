// log/core/producer_table.h: what a partition remembers of its idempotent and transactional producers; Kafka's checks.
// Why:        a retry must be recognised (P1, P2): five batches in flight per producer, answered with their first offsets.
// Place:      pure; one per partition that has seen a producer. The state runs ahead of what is confirmed: each applied batch
//             gives an undo, taken back newest first when the batch is voided.
// Contract:   check() judges as Kafka 4's ProducerAppendInfo does for clients: an exact match (first and last sequence, same
//             epoch) among the last five batches is a duplicate; a lower epoch is refused; a new epoch starts at sequence 0; a
//             producer of which nothing is known may begin anywhere; otherwise the next sequence must follow, 2^31-1 -> 0. A
//             duplicate older than five batches is out of order, as there.
// Limits:     producers_max: past it the idle producers with the oldest batches are forgotten, an eighth at a time, never one
//             with an open transaction or an unconfirmed batch.
// Tests:      log/core/producer_table_test.cc (table text).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "model/record_batch.h"
#include "model/records.h"
#include "object/format.h"

namespace weir::log {

struct ProducerEntry {
  model::ProducerEpoch epoch{-1};
  std::uint8_t batch_count = 0;
  std::uint32_t unconfirmed_count = 0;
  std::array<object::ProducerBatch, object::producer_batches_max> batches{};  ///< [0, batch_count), oldest first
  model::Offset open_transaction_start{-1};
  std::int32_t coordinator_epoch = -1;
  base::WallMs last_timestamp = -1;
  model::Sequence expected{-1};  ///< with batch_count 0: a batch was given up or refused; nothing later may come before it
};

/// A batch as the producer state sees it.
struct ProducerInput {
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  model::Sequence base_sequence{-1};
  model::Sequence last_sequence{-1};
  bool transactional = false;
  std::optional<model::EndMarker> marker;  ///< of a control batch
  bool coordinator = false;                ///< a coordinator's own record: sequences are not judged
};
[[nodiscard]] ProducerInput producer_input(const model::BatchHeader& header, std::optional<model::EndMarker> marker,
                                           bool coordinator);

struct ProducerVerdict {
  enum class Kind : std::uint8_t {
    accept,
    duplicate,
    out_of_order_sequence,
    stale_epoch,
    wrong_transaction_state,
    stale_coordinator
  };
  Kind kind = Kind::accept;
  object::ProducerBatch first;  ///< of a duplicate
  std::string message;          ///< of a refusal
};

class ProducerTable {
 public:
  /// How to take one applied batch back.
  struct Undo {
    model::ProducerId producer_id;
    bool existed = false;
    model::ProducerEpoch epoch;
    model::Sequence base_sequence{-1};
    ProducerEntry before;
  };
  /// What applying a batch did to the producer's transaction.
  struct Effect {
    model::Offset began{-1};  ///< a transaction that began at this offset
    model::Offset ended{-1};  ///< the first offset of the transaction that the marker ended
  };

  [[nodiscard]] ProducerVerdict check(const ProducerInput& batch) const;
  /// Applies an accepted batch; `undo` (may be null) gets what takes it back. With an undo the batch counts as unconfirmed.
  Effect apply(const ProducerInput& batch, model::Offset base, model::Offset last, base::WallMs max_timestamp, Undo* undo);
  void confirmed(model::ProducerId producer_id);
  /// Newest first. A producer whose very first batch is given up is expected to send that one (or an earlier one): were it
  /// unknown again, a later batch that is on its way already would be taken first and the order would be lost.
  void take_back(const Undo& undo);
  /// The same for a batch that was refused admission: nothing that follows it may overtake it.
  void expect(const ProducerInput& batch, base::WallMs max_timestamp);
  /// Adds what an uploaded object's entry says, in upload order.
  void merge(const object::ProducerDelta& delta);
  /// Forgets producers without open transaction whose last batch is older than `expiration_ms`.
  std::size_t expire(base::WallMs now_ms, std::int64_t expiration_ms);
  /// Makes room when producers_max is reached; how many were forgotten.
  std::size_t make_room(std::size_t producers_max);

  [[nodiscard]] const std::map<model::ProducerId, ProducerEntry>& entries() const { return entries_; }

 private:
  std::map<model::ProducerId, ProducerEntry> entries_;
};

}  // namespace weir::log
