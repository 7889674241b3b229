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

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

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
  model::Offset last_offset{-1};  ///< of its newest record here, a marker too
  model::Offset stated_to{-1};    ///< end of the newest object entry that states it; -1: none
  model::Sequence expected{
      -1};                  ///< with batch_count 0, or may_be_old: one was given up or refused; nothing later may precede it
  bool may_be_old = false;  ///< a newer statement may have been forgotten: its batches are known, what follows them is not

  void expect(model::Sequence sequence) { expected = expected.value() < 0 ? sequence : std::min(expected, sequence); }
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
  bool strict_epoch = false;               ///< a marker of transaction version 2: its epoch must be above the last seen
  std::uint64_t guard = 0;                 ///< of the verification that let a transactional batch pass; 0: none
};
/// A transactional batch that nothing is known of yet asks whether its transaction holds the partition (KIP-890).
struct VerificationInput {
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  model::Sequence base_sequence{-1};
  bool supports_epoch_bump = false;  ///< transaction version 2: an unknown producer must begin at sequence 0
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
    unverified,
    stale_coordinator
  };
  Kind kind = Kind::accept;
  object::ProducerBatch first;  ///< of a duplicate
  std::string message;          ///< of a refusal
};

class ProducerTable {
  struct Verification {
    std::uint64_t guard = 0;
    model::ProducerEpoch epoch{-1};
    model::Sequence lowest_sequence{-1};
    bool supports_epoch_bump = false;
    base::WallMs begun_ms = 0;
    /// The transaction had begun here and its first batch was taken back: batches that were asked for while it was open were told
    /// to need no guard.
    bool had_begun = false;
  };

 public:
  /// How to take one applied batch back.
  struct Undo {
    model::ProducerId producer_id;
    bool existed = false;
    model::ProducerEpoch epoch;
    model::Sequence base_sequence{-1};
    ProducerEntry before;
    std::optional<Verification> verification;  ///< that ended because the batch began its transaction
  };
  /// What applying a batch did to the producer's transaction.
  struct Effect {
    model::Offset began{-1};  ///< a transaction that began at this offset
    model::Offset ended{-1};  ///< the first offset of the transaction that the marker ended
  };

  [[nodiscard]] ProducerVerdict check(const ProducerInput& batch) const;
  /// The producer, in this epoch, has a transaction open here: its next batches need no verification.
  [[nodiscard]] bool is_ongoing(model::ProducerId producer_id, model::ProducerEpoch epoch) const;
  /// Remembers that a verification is under way: until a marker or the transaction's first batch is appended, or it expires,
  /// batches with the guard pass. A second one of the same producer shares the guard of the first. Gives the guard.
  std::uint64_t begin_verification(const VerificationInput& input, std::uint64_t fresh_guard, base::WallMs now_ms);
  [[nodiscard]] std::size_t verification_count() const { return verifications_.size(); }
  /// Applies an accepted batch; `undo` (may be null) gets what takes it back. With an undo the batch counts as unconfirmed.
  Effect apply(const ProducerInput& batch, model::Offset base, model::Offset last, base::WallMs max_timestamp, Undo* undo);
  void confirmed(model::ProducerId producer_id);
  /// Newest first. A producer whose very first batch is given up is expected to send that one (or an earlier one): were it
  /// unknown again, a later batch that is on its way already would be taken first and the order would be lost. A transaction that has
  /// not begun after all stays verified, since its coordinator knows of it, until a marker comes: its producer's next batch may have
  /// been asked for while it was open.
  void take_back(const Undo& undo);
  /// The same for a batch that was refused admission: nothing that follows it may overtake it.
  void expect(const ProducerInput& batch, base::WallMs max_timestamp);
  /// Adds what an uploaded object's entry says, in upload order. A delta does not tell the time of a marker: the newest time of
  /// its entry stands for it, so a producer is kept at most that much longer.
  void merge(const object::ProducerDelta& delta, base::WallMs entry_timestamp, model::Offset entry_end);
  /// After the last merge(): what states a producer without transactions newest lies below the log start. Objects there go in any
  /// order, so a newer statement may have gone before it: duplicates are known by it, the next sequence is not.
  void doubt_below(model::Offset log_start);
  /// An entry that ends there and has this delta was committed.
  void stated(model::ProducerId producer_id, model::Offset entry_end);
  /// Its newest statement, if that lies in [base, end], is one of the entry that ends there now: objects were merged.
  void restated(model::ProducerId producer_id, model::Offset base, model::Offset end);
  struct Restated {
    object::ProducerDelta delta;  ///< without its open transaction: the caller knows which are open where its entry ends
    bool has_records = false;     ///< at or above `from`: the delta runs ahead of there, but for the coordinator's epoch
  };
  /// The state of producers that only what lies below the log start states, if that; for the next entry, which begins at `from`.
  /// What may be old is not stated anew: it would count as the newest.
  [[nodiscard]] std::vector<Restated> to_restate(model::Offset log_start, model::Offset from) const;
  /// Ends of the entries below the log start that are the newest to state a producer that had a transaction.
  [[nodiscard]] std::set<model::Offset> statements_below(model::Offset log_start) const;
  /// Forgets producers without open transaction whose last batch is older than `expiration_ms`.
  std::size_t expire(base::WallMs now_ms, std::int64_t expiration_ms);
  /// Makes room when producers_max is reached; how many were forgotten.
  std::size_t make_room(std::size_t producers_max);

  [[nodiscard]] const std::map<model::ProducerId, ProducerEntry>& entries() const { return entries_; }
  [[nodiscard]] bool empty() const { return entries_.empty() && verifications_.empty(); }

 private:
  [[nodiscard]] std::optional<ProducerVerdict> check_verified(const ProducerInput& batch, const ProducerEntry* entry) const;
  void end_verification(const ProducerInput& batch);
  [[nodiscard]] ProducerVerdict check_order(const ProducerInput& batch, const ProducerEntry* entry) const;
  std::map<model::ProducerId, ProducerEntry> entries_;
  std::map<model::ProducerId, Verification> verifications_;
};

}  // namespace weir::log
