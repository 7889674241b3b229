// log/log.h: the partitions of this broker as api/, upload/ and upkeep/ see them.
// Why:        one place sequences a partition: offsets, producer state, high watermark, LSO, where each byte lies
//             (group buffer, WAL, object), on the shard that owns it.
// Place:      L5. One Log per broker; partitions are spread over shards by a table. Handlers call from any shard: calls hop to
//             the owner and complete on the caller's reactor.
// Contract:   produce() answers only after the WAL's durable + gate and in partition order (P1). read() shows only what is
//             confirmed. Kafka's error codes are chosen in api/ from Errc.
// Invariants: log_start <= uploaded_to <= HW <= log end; LSO <= HW (asserted at every change).
// Failure:    Errc below, each saying whether the batch was certainly not appended or its outcome is unknown.
// Limits:     Options; every waiter has a deadline.
// Tests:      log/*_test.cc, sim.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "log/manifest.h"
#include "meta/meta.h"
#include "model/record_batch.h"
#include "model/topic_config.h"
#include "object/format.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "wal/wal.h"

namespace weir::log {

enum class Errc : std::uint8_t {
  none,
  unknown_partition,  ///< no such topic id or index
  not_owner,          ///< fenced, moved, or this session is sealed
  quarantined,        ///< acked data are missing (or not yet readable): the text names volume and place
  not_appended,       ///< certainly not appended: WAL full or sick, memory full, stopping
  outcome_unknown,    ///< written, not confirmed within the deadline
  corrupt_batch,
  unsupported_magic,  ///< magic 0 or 1
  message_too_large,
  invalid_record,  ///< the batch breaks a rule (count, several batches of an idempotent producer, ...)
  invalid_timestamp,
  unsupported_compression,
  out_of_order_sequence,
  duplicate_sequence,  ///< a duplicate older than the five batches that are remembered
  invalid_producer_epoch,
  invalid_txn_state,   ///< outside the open transaction, or part of none that its coordinator knows of
  coordinator_fenced,  ///< a marker of a coordinator that was replaced
  offset_out_of_range,
  store_unavailable,  ///< reading from the object store failed within the deadline
  cancelled,
};
std::string_view to_string(Errc errc);

struct ProduceRequest {
  model::TopicPartition partition;
  bytes::Bytes records;       ///< one or more batches; borrowed until produce() completes
  base::MonoTime deadline{};  ///< the request's timeout
  bool coordinator = false;   ///< markers and coordinators' own records: control batches are allowed
  std::uint64_t guard = 0;    ///< what begin_verification() gave; a batch of an ongoing transaction needs none
  bool strict_epoch = false;  ///< of a marker, see EndTransaction
};

/// The end of a transaction in one partition, as its coordinator writes it.
struct EndTransaction {
  model::TopicPartition partition;
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  std::int32_t coordinator_epoch = 0;
  bool commit = false;
  bool strict_epoch =
      false;  ///< transaction version 2: refused unless the epoch is above the last one seen (or repeats an end)
  base::MonoTime deadline{};
};

/// The first batch of a transaction in a partition asks its coordinator whether the partition belongs to it (KIP-890).
struct VerificationRequest {
  model::TopicPartition partition;
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  model::Sequence base_sequence{-1};
  bool supports_epoch_bump = false;  ///< the client speaks transaction version 2
};
struct Verification {
  Errc error = Errc::none;
  std::string message;
  bool needed = false;      ///< false: the transaction is ongoing here
  std::uint64_t guard = 0;  ///< for ProduceRequest, once the coordinator has said yes
};

/// A producer that the partition remembers.
struct ProducerInfo {
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  model::Sequence last_sequence{-1};
  base::WallMs last_timestamp = -1;
  std::int32_t coordinator_epoch = -1;
  model::Offset transaction_start{-1};  ///< -1: no open transaction
};
struct ProducersOutcome {
  Errc error = Errc::none;
  std::vector<ProducerInfo> producers;  ///< by id
};

/// When an appended batch went through which step.
struct ProduceTimes {
  base::MonoTime appended{};  ///< it has its offset and lies in a group; MonoTime{}: it was not appended by this call
  wal::GroupTimes group;
  base::MonoTime confirmed{};
};

struct ProduceOutcome {
  Errc error = Errc::none;
  std::string message;  ///< for a person, when error is set
  model::Offset base_offset{-1};
  base::WallMs log_append_time = -1;  ///< -1 with CreateTime
  model::Offset log_start{-1};
  ProduceTimes times{};
};

enum class Isolation : std::uint8_t { read_uncommitted = 0, read_committed = 1 };

struct ReadRequest {
  model::TopicPartition partition;
  model::Offset offset;
  std::uint32_t max_bytes = 0;  ///< at least one whole batch is given when there is one and at_least_one is set
  bool at_least_one = true;
  Isolation isolation = Isolation::read_uncommitted;
  model::LeaderEpoch current_epoch{-1};  ///< the client's, -1: not checked; see epoch in the outcome
  base::MonoTime deadline{};
};

struct ReadOutcome {
  Errc error = Errc::none;
  std::string message;
  bytes::BufferList batches;  ///< whole batches; the first may begin below the asked offset
  std::uint64_t size_bytes = 0;
  model::Offset end{-1};  ///< behind the last batch; the asked offset when there is none
  model::Offset high_watermark{-1};
  model::Offset last_stable_offset{-1};
  model::Offset log_start{-1};
  model::LeaderEpoch epoch{-1};              ///< in force
  std::vector<object::AbortedSpan> aborted;  ///< read_committed: those that touch the returned range, by first offset
};

struct PartitionState {
  model::Offset log_start;
  model::Offset uploaded_to;
  model::Offset high_watermark;
  model::Offset last_stable_offset;
  model::Offset end;  ///< next offset to be given
  model::LeaderEpoch epoch;
  std::uint64_t uploaded_bytes = 0;  ///< in objects, from log start
  std::uint64_t tail_bytes = 0;      ///< not uploaded
  bool quarantined = false;
  std::string quarantine_reason;
};

struct OffsetAndTimestamp {
  Errc error = Errc::none;
  model::Offset offset{-1};
  base::WallMs timestamp = -1;
  model::LeaderEpoch epoch{-1};
};

/// What a ListOffsets question asks: one of Kafka's special timestamps or a time.
enum class OffsetQuery : std::uint8_t { earliest, latest, max_timestamp, earliest_local, latest_tiered, by_time };

struct EpochEnd {
  Errc error = Errc::none;
  model::LeaderEpoch epoch{-1};
  model::Offset end_offset{-1};
};

/// Where one offset's batch lies, for `weir storage where`.
struct Location {
  enum class Kind : std::uint8_t { memory, wal, object } kind = Kind::memory;
  model::Offset base_offset;
  model::Offset end_offset;
  std::optional<wal::Place> place;
  std::optional<model::ObjectId> object;
  std::string object_key;
  std::uint64_t position = 0;
  std::uint32_t size_bytes = 0;
};

/// What reads of old data may take of the store; the rest of its connections is left to uploads, merges and recovery.
struct CatchUp {
  std::uint64_t bytes_per_second = 0;    ///< of blocks, all shards together; 0: no limit
  std::uint32_t gets_inflight_max = 16;  ///< of blocks, per shard
  std::uint32_t finds_inflight_max = 8;  ///< of leaves and footers of history, per shard
};

/// The disk cache below the block caches; see docs/cache.md.
struct DiskCacheOptions {
  std::string directory;
  std::uint64_t size_bytes = 0;  ///< all shards together; 0: none
  std::uint32_t slab_bytes = 0;  ///< 0: chosen from the size
};

struct Options {
  std::uint64_t tail_memory_bytes_max = 256U << 20U;  ///< group memory kept for tail reads before it is left to the WAL
  std::uint64_t block_cache_bytes = 64U << 20U;       ///< all shards together
  CatchUp catchup;
  DiskCacheOptions cache_disk;
  std::uint64_t cold_index_bytes = 16U << 20U;  ///< leaves and footers of history, all shards together
  std::uint32_t producers_per_partition_max = 100000;
  std::int64_t producer_id_expiration_ms = 86400000;
  std::uint32_t unconfirmed_batches_per_partition_max = 100000;
  std::uint64_t tail_records_max = 4U << 20U;  ///< un-uploaded batches of the broker (about 112 bytes of memory each)
  base::Duration open_wait_max = std::chrono::seconds(10);  ///< for footers, before the broker starts without them
};

// --- what upload/ takes and gives back (shard-local, see Shard) ---

/// Un-uploaded, confirmed batches of one partition, in order and contiguous.
struct UploadRun {
  object::PartitionEntry entry;  ///< all but blocks, payload_bytes, time_index
  struct Batch {
    wal::Place place;
    bytes::Buffer memory;  ///< empty when only the WAL has it: read with Appender::read
    model::Offset base_offset;
    model::Offset end_offset;
    base::WallMs max_timestamp = -1;
  };
  std::vector<Batch> batches;
};

/// One shard's partitions; all calls on that shard.
class Shard {
 public:
  virtual ~Shard() = default;
  /// Confirmed bytes not yet uploaded, and the age of the oldest (zero when none).
  struct Backlog {
    std::uint64_t bytes = 0;
    base::Duration oldest_age{};
  };
  [[nodiscard]] virtual Backlog backlog() const = 0;
  /// Takes up to max_bytes for one upload (one batch at least, when there is one), oldest partitions first, whole batches;
  /// sorted by partition. Works in steps: what is confirmed meanwhile waits for the next. The runs stay readable where they are; at
  /// most one collection is outstanding: it ends with committed() or abandoned().
  virtual runtime::Task<std::vector<UploadRun>> collect(std::uint64_t max_bytes) = 0;
  /// The object is committed: positions move to it, WAL places are released. entries: this shard's, with their blocks. A run
  /// that was collected and has no entry (its WAL place could not be read) stays un-uploaded, as if abandoned.
  virtual void committed(const meta::ObjectRecord& object, const std::vector<object::PartitionEntry>& entries) = 0;
  virtual void abandoned() = 0;
  virtual wal::Appender& appender() = 0;
  /// Object extents of a partition from log start on, for retention.
  struct Extent {
    meta::ObjectRecord object;
    model::Offset base_offset;
    model::Offset end_offset;
    std::uint64_t payload_bytes = 0;
    base::WallMs max_timestamp = -1;
    std::size_t block_count = 1;
  };
  // Manifests; see log/manifest.h. A shard without them says nothing.
  /// Empty: no such partition, or it is not open.
  [[nodiscard]] virtual std::optional<ManifestBasis> manifest_basis(const model::TopicPartition&) const { return std::nullopt; }
  /// The manifest (null: there is none yet), and where the log starts; empty: no such partition, or it is not open.
  struct History {
    ManifestPtr manifest;
    model::Offset log_start;
  };
  [[nodiscard]] virtual std::optional<History> history(const model::TopicPartition&) const { return std::nullopt; }
  /// The manifest is committed: history below its covers_to is found through it from now on, and the extents below it go. Readers in
  /// flight at worst look again.
  virtual void apply_manifest(ManifestPtr) {}
  /// A leaf of the partition's manifest, from the cache where it is there.
  virtual runtime::Task<base::Result<std::shared_ptr<const object::Leaf>>> read_leaf(model::TopicPartition, object::LeafRef,
                                                                                     base::MonoTime) {
    co_return base::fail(base::ErrorKind::not_found, "no manifests here");
  }
  /// The partition's blocks in the object that holds the offset, of history too: its leaf and its footer are cached. not_found: no object
  /// holds it.
  virtual runtime::Task<base::Result<std::vector<object::BlockRef>>> blocks_at(model::TopicPartition, model::Offset,
                                                                               base::MonoTime) {
    co_return base::fail(base::ErrorKind::not_found, "no blocks here");
  }
  /// One partition's part of an object.
  struct Part {
    model::TopicPartition partition;
    model::ObjectId object;
    model::Offset end_offset;
  };
  enum class Need : std::uint8_t {
    none,       ///< not this shard's, or nothing of it is needed any more: a merge leaves it out
    statement,  ///< it lies below the log start, but alone states a producer
    readable,
  };
  [[nodiscard]] virtual std::vector<Need> needs(std::span<const Part> parts) const {
    return std::vector<Need>(parts.size(), Need::readable);
  }
  /// `object` has taken the place of `inputs`: what is read from now on is read there. Readers in flight at worst look again.
  virtual void merged(const meta::ObjectRecord&, std::span<const object::PartitionEntry>, const std::set<model::ObjectId>&) {}
  [[nodiscard]] virtual std::vector<model::TopicPartition> partitions() const = 0;
  [[nodiscard]] virtual std::vector<Extent> extents(const model::TopicPartition& partition) const = 0;
  /// What recent objects hold of a partition, by offset, in brief; empty unless it is open.
  struct Holding {
    model::ObjectId object;
    model::Offset end_offset;
    std::uint64_t payload_bytes = 0;
    bool statement = false;  ///< it lies below the log start, but alone states a producer
    bool splittable = true;  ///< every transaction that began in it is decided
  };
  [[nodiscard]] virtual std::vector<Holding> holdings(const model::TopicPartition& partition) const {
    std::vector<Holding> out;
    for (const Extent& extent : extents(partition)) {
      out.push_back({.object = extent.object.id, .end_offset = extent.end_offset, .payload_bytes = extent.payload_bytes});
    }
    return out;
  }
  /// Objects that no extent needs, but which alone state a producer that is remembered (for producer.id.expiration.ms, or until
  /// the partition's next upload restates it). Empty: not all partitions are open yet.
  [[nodiscard]] virtual std::optional<std::vector<model::ObjectId>> kept_objects() const = 0;
  /// A partition is quarantined, or not judged yet: damaged segments of earlier sessions may hold what it lacks.
  [[nodiscard]] virtual bool lacks_records() const = 0;
};

class Log {
 public:
  virtual ~Log() = default;

  // --- life (shard 0) ---
  /// Opens every partition of the snapshot from its objects' footers and what the WAL recovery found; quarantines per
  /// partition. Footers are read with bounded concurrency. While the store is down open() returns after open_wait_max with the
  /// footers still being fetched behind it: until a partition's are there its produces and reads wait (bounded by their
  /// deadlines). `config_of` gives a topic's settings in effect; `progress` counts footers (done, total). Called once, after
  /// Wal::recover() and before Wal::start().
  virtual runtime::Task<base::Result<void>> open(meta::Snapshot snapshot, wal::RecoveredWal recovered,
                                                 std::function<model::TopicConfig(const meta::TopicRecord&)> config_of,
                                                 std::function<void(std::size_t, std::size_t)> progress) = 0;
  /// Sinks for Wal::start, in shard order; valid from construction.
  virtual std::vector<wal::ShardSink*> sinks() = 0;
  virtual Shard& shard(runtime::ShardId id) = 0;
  /// Creates or deletes partitions after meta did; from shard 0.
  virtual runtime::Task<base::Result<void>> add_partitions(const meta::TopicRecord& topic, model::TopicConfig config) = 0;
  virtual runtime::Task<base::Result<void>> remove_partitions(const meta::TopicRecord& topic) = 0;
  virtual runtime::Task<void> update_config(model::TopicId topic, model::TopicConfig config) = 0;
  /// Replaces Options::producer_id_expiration_ms; from shard 0.
  virtual runtime::Task<void> expire_producers_after(std::int64_t ms) = 0;
  /// No produce is admitted from now on; long polls end; what is in flight is confirmed or failed.
  virtual runtime::Task<void> stop() = 0;

  /// The shard that owns the partition, whether it exists or not: who keeps state beside a partition keeps it there.
  [[nodiscard]] virtual runtime::ShardId home(const model::TopicPartition& partition) const = 0;

  // --- data (any shard) ---
  /// `records` must stay alive until the task completes. The sequence ticket, the offset and the copy into the group buffer
  /// happen before the first suspension after admission; two produces begun in order on one connection keep that order.
  virtual runtime::Task<ProduceOutcome> produce(ProduceRequest request) = 0;
  /// Writes the marker of a transaction's end (WriteTxnMarkers); answers as produce(). A transaction without a batch here is
  /// ended all the same.
  virtual runtime::Task<ProduceOutcome> end_transaction(EndTransaction request) = 0;
  virtual runtime::Task<Verification> begin_verification(VerificationRequest request) = 0;
  virtual runtime::Task<ProducersOutcome> producers(model::TopicPartition partition, base::MonoTime deadline) = 0;
  virtual runtime::Task<ReadOutcome> read(ReadRequest request) = 0;
  struct WaitPosition {
    model::TopicPartition partition;
    model::Offset offset;
    Isolation isolation = Isolation::read_uncommitted;
  };
  /// Waits until at least min_bytes (approximately) are readable beyond the positions together, an epoch changes or a partition goes away,
  /// the deadline, or the stop.
  virtual runtime::Task<runtime::Wake> wait_readable(std::vector<WaitPosition> positions, std::uint64_t min_bytes,
                                                     base::MonoTime deadline, runtime::Stop* stop) = 0;
  virtual runtime::Task<OffsetAndTimestamp> query_offset(model::TopicPartition partition, OffsetQuery query,
                                                         base::WallMs timestamp, Isolation isolation,
                                                         base::MonoTime deadline) = 0;
  virtual runtime::Task<base::Result<PartitionState>> state(model::TopicPartition partition) = 0;
  virtual runtime::Task<EpochEnd> epoch_end(model::TopicPartition partition, model::LeaderEpoch epoch) = 0;
  /// DeleteRecords and retention: durable in meta first, then objects and WAL places below it are released.
  virtual runtime::Task<Errc> raise_log_start(model::TopicPartition partition, model::Offset to) = 0;
  struct Deleted {
    Errc error = Errc::none;
    model::Offset log_start{-1};
  };
  /// raise_log_start() as a client asks for it: -1 stands for the high watermark; the log start may lie above `to` already.
  /// Waits until `deadline` for a partition that is still opening.
  virtual runtime::Task<Deleted> delete_records(model::TopicPartition partition, model::Offset to, base::MonoTime deadline) = 0;
  virtual runtime::Task<base::Result<std::optional<Location>>> locate(model::TopicPartition partition,
                                                                      model::Offset offset) = 0;
};

/// Whether any of the shards (in the runtime's order) lacks_records(). From any shard.
runtime::Task<bool> lacks_records(runtime::Runtime& runtime, std::vector<Shard*> shards);

/// Runtime, wal, meta and store outlive the Log. The cluster id is the objects' identity.
std::unique_ptr<Log> make_log(runtime::Runtime& runtime, wal::Wal& wal, meta::Meta& meta, store::ObjectStore& store,
                              model::ClusterId cluster, Options options);

}  // namespace weir::log
