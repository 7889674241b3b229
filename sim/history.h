// sim/history.h: what clients did and saw in one run, held against the promises P1 to P8 (docs/architecture.md).
// Why:        the broker is judged only by what crossed its socket: no code of the broker decides whether the broker is right.
// Contract:   clients report each batch before its first send, each outcome, and each answer with what was known when its request
//             began. A contradiction is kept as a violation with the virtual time; the run fails on the first.
//             Checked at once:   acked offsets are given once; duplicates answer the first offset; served bytes are the
//             producer's, whole, with a valid CRC; an offset shows the same bytes and epoch for ever; answers are contiguous and
//             stay below the high watermark; the high watermark, log start and epoch never go back; a refused batch is not
//             there; an idempotent batch is there once, in order of sequence, without gaps; LogAppendTime never goes back.
//             Checked at the end: every acked batch at or above log start was read back; nothing was missing in between.
// Tests:      sim/history_test.cc (each violation is shown to be found)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/units.h"
#include "bytes/buffer.h"
#include "model/ids.h"
#include "model/record_batch.h"
#include "sim/transactions.h"
#include "sim/world.h"

namespace weir::sim {

struct PartitionRules {
  bool log_append_time = false;
  bool recompressed = false;       ///< compression.type of the topic changes the bytes: records are compared, not bytes
  std::int64_t retention_ms = -1;  ///< -1: nothing expires
  bool retention_by_size = false;
  std::int64_t first_offset = 0;
};

/// One batch as its producer built it.
struct ProducedBatch {
  BatchNumber number = 0;
  model::TopicPartition partition;
  bytes::Buffer bytes;
  model::BatchHeader header;
  std::uint64_t sends = 0;     ///< attempts whose outcome is open or acked
  std::uint64_t refusals = 0;  ///< attempts that were certainly not appended
  std::optional<model::Offset> acked_at;
  std::set<std::int64_t> seen_at;
};

class History {
 public:
  explicit History(World& world) : world_(world) {}
  History(const History&) = delete;
  History& operator=(const History&) = delete;
  [[nodiscard]] TransactionHistory& transactions() { return transactions_; }

  void add_partition(const model::TopicPartition& partition, std::string name, PartitionRules rules);
  /// From now on the partition may be gone: errors about it are no violation.
  void partition_deleted(const model::TopicPartition& partition);

  // --- producers ---
  BatchNumber produced(const model::TopicPartition& partition, bytes::Buffer batch);
  void send_began(BatchNumber number);
  void acked(BatchNumber number, model::Offset base_offset);
  /// The answer says: certainly not appended.
  void refused(BatchNumber number);
  /// duplicate_sequence: it was appended before, the broker no longer knows where.
  void acked_as_old_duplicate(BatchNumber number);
  /// A base timestamp near `wanted` that no batch of the partition has: plain producers' batches are told apart by it.
  base::WallMs unique_timestamp(const model::TopicPartition& partition, base::WallMs wanted);
  /// out_of_order_sequence: wrong when all earlier batches of the session are acked.
  void refused_out_of_order(BatchNumber number);

  // --- readers ---
  /// What a request's answer may not contradict: taken when the request begins.
  struct Known {
    model::Offset high_watermark{0};
    model::Offset acked_end{0};
    model::Offset log_start{0};
    model::Offset last_stable{0};
    model::Offset log_start_owed{0};  ///< a last stable offset said so; answers that state the log start must bear it out
  };
  [[nodiscard]] Known known(const model::TopicPartition& partition) const;
  struct FetchAnswer {
    model::Offset fetch_offset;
    bytes::Bytes records;
    model::Offset high_watermark{-1};
    model::Offset last_stable_offset{-1};
    model::Offset log_start{-1};  ///< -1: answers of this version do not state it
  };
  /// The offset to continue at.
  model::Offset fetched(const model::TopicPartition& partition, const Known& before, const FetchAnswer& answer);
  void offset_out_of_range(const model::TopicPartition& partition, const Known& before, model::Offset fetch_offset);
  void listed_latest(const model::TopicPartition& partition, const Known& before, model::Offset latest);
  /// Asked with read_committed.
  void listed_stable(const model::TopicPartition& partition, const Known& before, model::Offset last_stable,
                     bool states_log_start = false);
  void listed_earliest(const model::TopicPartition& partition, const Known& before, model::Offset earliest);

  // --- the end ---
  /// After everything was read back from log start to the high watermark: what is missing?
  void finish(const model::TopicPartition& partition, model::Offset log_start, model::Offset high_watermark);

  /// Any other contradiction.
  void violation(std::string text);
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  [[nodiscard]] std::uint64_t acked_batches() const { return acked_batches_; }
  [[nodiscard]] std::uint64_t acked_records() const { return acked_records_; }
  [[nodiscard]] std::uint64_t observed_batches() const { return observed_batches_; }
  [[nodiscard]] std::vector<model::TopicPartition> partitions() const;
  [[nodiscard]] std::string name_of(const model::TopicPartition& partition) const;
  [[nodiscard]] bool deleted(const model::TopicPartition& partition) const;
  /// Of the batch with these bytes; 0: nobody produced it.
  [[nodiscard]] BatchNumber number_of(const model::TopicPartition& partition, bytes::Bytes batch) const;

 private:
  struct Seen {
    BatchNumber number = 0;  ///< 0: a marker
    model::Offset end;
    model::LeaderEpoch epoch;
    base::WallMs max_timestamp = -1;
  };
  using SessionKey = std::pair<std::int64_t, std::int16_t>;  ///< producer id and epoch
  struct Partition {
    std::string name;
    PartitionRules rules;
    bool deleted = false;
    Known known;
    std::map<std::int64_t, Seen> seen;                 ///< by base offset
    std::map<std::int64_t, BatchNumber> acked;         ///< by base offset
    std::map<std::uint64_t, BatchNumber> by_identity;  ///< identity hash of the bytes that never change
    std::set<base::WallMs> timestamps;
    std::map<SessionKey, std::map<std::int64_t, BatchNumber>> sessions;  ///< idempotent batches by running sequence
  };
  Partition& part(const model::TopicPartition& partition);
  [[nodiscard]] const Partition& part(const model::TopicPartition& partition) const;
  void observe(const model::TopicPartition& partition, bytes::Bytes batch, const model::BatchHeader& header);
  void observe_marker(const model::TopicPartition& partition, bytes::Bytes batch, const model::BatchHeader& header);
  void check_place(Partition& p, const ProducedBatch& batch, model::Offset base, model::Offset end, std::string_view how);
  void check_session_order(Partition& p, const ProducedBatch& batch, model::Offset base);
  [[nodiscard]] static std::uint64_t identity(bytes::Bytes batch);
  [[nodiscard]] bool same_content(const Partition& p, const ProducedBatch& batch, bytes::Bytes served) const;
  [[nodiscard]] bool expired(const Partition& p, base::WallMs max_timestamp) const;

  World& world_;
  TransactionHistory transactions_{*this};
  std::map<model::TopicPartition, Partition> partitions_;
  std::vector<ProducedBatch> batches_;  ///< index = number - 1
  std::vector<std::string> violations_;
  std::uint64_t acked_batches_ = 0;
  std::uint64_t acked_records_ = 0;
  std::uint64_t observed_batches_ = 0;
};

}  // namespace weir::sim
