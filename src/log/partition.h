// log/partition.h: the state of one partition on its shard.
// Why:        everything that sequences a partition lies in one place, touched by one reactor only.
// Place:      owned by ShardLog; append.cc, confirm.cc, upload.cc, read.cc, query.cc, history.cc and recover.cc act on it.
// Invariants: log_start <= high_watermark <= end; tail's records are contiguous and the last one ends at `end`; the records
//             [tail.confirmed_count(), tail.size()) are exactly `pending`, in order (check() asserts it at every change).
//             Between the failure that leads to a void and the decision of its transaction (phase voiding) nothing is
//             confirmed and nothing is admitted.
// Limits:     an idle partition costs about 700 bytes and no CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "log/core/extents.h"
#include "log/core/producer_table.h"
#include "log/core/readers.h"
#include "log/core/ring.h"
#include "log/core/tail.h"
#include "log/core/transactions.h"
#include "log/log.h"
#include "log/validate.h"
#include "runtime/sync.h"

namespace weir::log {

enum class Phase : std::uint8_t {
  loading,      ///< its objects' footers are not here yet: produces and reads wait
  closed,       ///< readable; own/P does not state this session's epoch yet
  opening,      ///< the transaction that begins this session's epoch is under way
  open,         ///< appends
  voiding,      ///< the transaction that gives up everything from the high watermark on is under way
  quarantined,  ///< acknowledged data are missing, or own/P is somebody else's: nothing is served, nothing freed
  removed,      ///< the topic was deleted
};

/// How an appended batch ended.
struct Decision {
  Errc error = Errc::none;
  std::string message{};
  ProduceTimes times{};
};
using Decided = runtime::Completion<Decision>;

/// An appended batch that is not confirmed.
struct Pending {
  std::uint64_t number = 0;
  std::shared_ptr<Decided> decided;
  std::unique_ptr<ProducerTable::Undo> undo;  ///< null without a producer
  ProduceTimes times;
  bool durable = false;
};

/// A batch that waits for admission, or that goes straight to append. Lives in produce()'s frame; dead once `abandoned`.
struct Appending {
  const ProduceRequest* request = nullptr;
  Validated batch;
};

/// What append_now() made of a batch: an answer, or a place in the queue of confirmations.
struct Started {
  ProduceOutcome outcome;            ///< the answer; with `decided`, the answer once that says yes
  std::shared_ptr<Decided> decided;  ///< null: outcome is final
};

struct Ticket {
  Appending* item = nullptr;  ///< null: its produce() gave up
  runtime::Completion<Started> started;
};

struct DirtyTag;
struct BacklogTag;
struct WaitTag;

/// A long poll's interest in one partition; see wait.cc.
struct WaitNode;

class Partition : public Link<DirtyTag>, public Link<BacklogTag> {
 public:
  Partition(model::TopicPartition partition_id, std::shared_ptr<const model::TopicConfig> topic_config,
            std::uint32_t token_slot, std::uint64_t uid_in_shard)
      : id(partition_id), config(std::move(topic_config)), slot(token_slot), uid(uid_in_shard) {}
  Partition(const Partition&) = delete;
  Partition& operator=(const Partition&) = delete;

  const model::TopicPartition id;
  std::shared_ptr<const model::TopicConfig> config;
  const std::uint32_t slot;  ///< index in the shard's table, as WAL record tokens name it
  const std::uint64_t uid;   ///< never given twice on a shard
  Phase phase = Phase::loading;
  std::string quarantine_reason;
  runtime::Event changed;  ///< pulsed when the phase changes

  meta::OwnRecord own;
  std::vector<object::EpochStart> epochs;  ///< those that hold offsets from log start on, ascending

  model::Offset log_start{0};
  model::Offset high_watermark{0};
  model::Offset last_stable{0};
  model::Offset end{0};
  model::Offset stated{0};  ///< the high watermark that a completed group of this session, or own/P's start, states
  base::WallMs last_append_time = -1;

  Tail tail;
  Ring<Pending> pending;
  std::uint64_t outstanding_count = 0;  ///< records handed to the WAL of which nothing was heard yet, also given-up ones
  std::vector<wal::Place> held_places;  ///< of a quarantined partition: nothing of it is freed until it is deleted
  Extents extents;                      ///< from the manifest's covers_to on
  ManifestPtr manifest;                 ///< what lies below it; null: nothing does

  std::unique_ptr<ProducerTable> producers;            ///< null until a producer is seen
  std::unique_ptr<Transactions> transactions;          ///< null until a transaction is seen
  std::map<model::Offset, ObjectPtr> kept_statements;  ///< below the log start, but the newest to state a producer; by end
  std::map<model::ProducerId, model::Offset> open_at_upload;  ///< transactions open at uploaded_to()

  Ring<std::shared_ptr<Ticket>> queue;  ///< produces that wait for admission, in order
  bool pumping = false;
  List<WaitNode, WaitTag> waiters;

  std::uint64_t backlog_bytes = 0;  ///< confirmed, not uploaded, with record_overhead_bytes each
  base::MonoTime backlog_since{};   ///< a bound on the age of the oldest of them
  bool touched = false;             ///< used within records_durable()
  Readers readers;                  ///< of objects
  std::uint64_t merge_count = 0;    ///< merges that replaced extents: what was planned before may name objects that are gone

  /// End of what objects hold; with a log start inside the tail, where the tail's un-uploaded part begins.
  [[nodiscard]] model::Offset uploaded_to() const {
    return tail.uploaded_count() < tail.size() ? tail[tail.uploaded_count()].base : end;
  }
  /// End of what the manifest holds; reads below it go through it.
  [[nodiscard]] model::Offset covers_to() const { return manifest ? manifest->root.covers_to : model::Offset(0); }
  [[nodiscard]] bool has_backlog() const { return tail.uploaded_count() < tail.confirmed_count(); }
  [[nodiscard]] model::Offset readable_end(Isolation isolation) const {
    return isolation == Isolation::read_committed ? last_stable : high_watermark;
  }
  [[nodiscard]] model::LeaderEpoch epoch_of(model::Offset offset) const;
  /// The epoch gets offsets from `start` on; epochs that held none above it are forgotten.
  void begin_epoch(model::LeaderEpoch epoch, model::Offset start);
  void renew_last_stable();
  ProducerTable& producer_table();
  /// The log start has risen: entries that state a producer as nothing later does are remembered.
  void keep_statements();
  void drop_statements();  ///< those of them that are not needed any more
  Transactions& transaction_state();
  void check() const;
};
using PartitionPtr = std::shared_ptr<Partition>;

struct WaitState;
struct WaitNode : Link<WaitTag> {
  std::shared_ptr<WaitState> state;
  std::size_t index = 0;
  model::Offset offset;
  Isolation isolation = Isolation::read_uncommitted;
  std::uint64_t reported_bytes = 0;
};

}  // namespace weir::log
