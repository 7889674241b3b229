// log/shard.h: the partitions of one shard: sequencing, confirmation, the tail's memory, reads, uploads.
// Why:        one object per shard keeps what its partitions share: the appender, the block cache, budgets and lists.
// Place:      made by Log, used on its own reactor only. Files: shard.cc (life, lists, memory), append.cc, confirm.cc,
//             upload.cc, read.cc, query.cc, history.cc, wait.cc, recover.cc.
// Invariants: the dirty list holds exactly the partitions with an unstated high watermark above what is uploaded; the backlog
//             list those with confirmed batches that are not uploaded, oldest first. Cost of both: O(what is on them).
// Limits:     Options, and the constants in parts.h.
// Tests:      log/*_test.cc over testing/fake_wal.h and on the real WAL.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "log/cold.h"
#include "log/log.h"
#include "log/partition.h"
#include "log/parts.h"
#include "runtime/scope.h"

namespace weir::log {

class ShardLog final : public Shard, public wal::ShardSink {
 public:
  ShardLog(const Doors& doors, Cells& cells, runtime::ShardId id, std::uint32_t shard_count);
  ~ShardLog() override;

  // --- life; on this shard ---
  void start();
  runtime::Task<void> stop();
  void add_partition(model::TopicPartition id, std::shared_ptr<const model::TopicConfig> config, bool loading);
  void remove_topic(model::TopicId topic);
  void update_config(model::TopicId topic, std::shared_ptr<const model::TopicConfig> config);
  void expire_producers_after(std::int64_t ms) { producer_id_expiration_ms_ = ms; }
  /// Decides what the partition is (wal::recover_partition) and begins to serve it, or quarantines it. (recover.cc)
  runtime::Task<void> adopt(PartitionEvidence evidence);
  runtime::Task<void> adopt_all(std::vector<PartitionEvidence> partitions);
  /// The same for partitions that adopt() quarantined for an object which can be read after all.
  runtime::Task<void> adopt_again(std::vector<PartitionEvidence> partitions);
  void release_places(const std::vector<wal::Place>& places);

  // --- data; on this shard ---
  runtime::Task<ProduceOutcome> produce(ProduceRequest request, Validated batch);
  Verification begin_verification(const VerificationRequest& request);
  runtime::Task<ProducersOutcome> producers(model::TopicPartition partition, base::MonoTime deadline);
  runtime::Task<ReadOutcome> read(ReadRequest request);
  runtime::Task<OffsetAndTimestamp> query_offset(model::TopicPartition partition, OffsetQuery query, base::WallMs timestamp,
                                                 Isolation isolation, base::MonoTime deadline);
  base::Result<PartitionState> state(model::TopicPartition partition);
  EpochEnd epoch_end(model::TopicPartition partition, model::LeaderEpoch epoch);
  runtime::Task<Errc> raise_log_start(model::TopicPartition partition, model::Offset to);
  runtime::Task<Log::Deleted> delete_records(model::TopicPartition partition, model::Offset to, base::MonoTime deadline);
  runtime::Task<base::Result<std::optional<Location>>> locate(model::TopicPartition partition, model::Offset offset);
  void add_waiters(std::uint64_t id, std::shared_ptr<WaitState> state,
                   std::vector<std::pair<std::size_t, Log::WaitPosition>> positions);
  void remove_waiters(std::uint64_t id) { wait_groups_.erase(id); }

  // --- wal::ShardSink ---
  void collect_statements(std::vector<wal::Statement>& into) override;
  void records_durable(std::span<const wal::DurableRecord> records, std::span<const wal::Statement> statements) override;
  void records_failed(std::span<const wal::RecordToken> records, const base::Error& why) override;
  bool memory_wanted(std::size_t bytes) override;

  // --- Shard ---
  [[nodiscard]] Backlog backlog() const override;
  runtime::Task<std::vector<UploadRun>> collect(std::uint64_t max_bytes) override;
  void committed(const meta::ObjectRecord& object, const std::vector<object::PartitionEntry>& entries) override;
  void abandoned() override;
  wal::Appender& appender() override { return *appender_; }
  [[nodiscard]] std::optional<ManifestBasis> manifest_basis(const model::TopicPartition& partition) const override;
  [[nodiscard]] std::optional<History> history(const model::TopicPartition& partition) const override;
  void apply_manifest(ManifestPtr manifest) override;
  runtime::Task<base::Result<LeafPtr>> read_leaf(model::TopicPartition partition, object::LeafRef ref,
                                                 base::MonoTime deadline) override;
  runtime::Task<base::Result<std::vector<object::BlockRef>>> blocks_at(model::TopicPartition partition, model::Offset offset,
                                                                       base::MonoTime deadline) override;
  [[nodiscard]] std::vector<Need> needs(std::span<const Part> parts) const override;
  void merged(const meta::ObjectRecord& object, std::span<const object::PartitionEntry> entries,
              const std::set<model::ObjectId>& inputs) override;
  [[nodiscard]] std::vector<model::TopicPartition> partitions() const override;
  [[nodiscard]] std::vector<Extent> extents(const model::TopicPartition& partition) const override;
  [[nodiscard]] std::vector<Holding> holdings(const model::TopicPartition& partition) const override;
  [[nodiscard]] std::optional<std::vector<model::ObjectId>> kept_objects() const override;
  [[nodiscard]] bool lacks_records() const override;

 private:
  struct Topic {
    std::shared_ptr<const model::TopicConfig> config;
    std::map<model::PartitionIndex, PartitionPtr> partitions;
  };
  /// A record whose memory the tail holds, in the order of appends, which is the order in slabs.
  struct MemoryRef {
    std::uint32_t slot = 0;
    std::uint64_t uid = 0;
    std::uint64_t number = 0;
    std::uint64_t charge_bytes = 0;  ///< of the slab, counted at its oldest record
  };
  /// What collect() handed out and committed() needs.
  struct Collected {
    PartitionPtr partition;
    model::Offset end;
    std::map<model::ProducerId, model::Offset> open_at_end;
  };
  class RunSummary;  // upload.cc
  /// The nodes of one long poll on this shard; unlinks them when it goes.
  struct WaitGroup {
    WaitGroup() = default;
    WaitGroup(const WaitGroup&) = delete;
    WaitGroup& operator=(const WaitGroup&) = delete;
    ~WaitGroup() {
      for (const auto& node : nodes) List<WaitNode, WaitTag>::remove(*node);
    }
    std::vector<std::unique_ptr<WaitNode>> nodes;
  };

  [[nodiscard]] PartitionPtr find(const model::TopicPartition& id) const;
  [[nodiscard]] base::MonoTime now() const { return reactor_.now(); }
  void set_phase(Partition& p, Phase phase);
  void quarantine(Partition& p, std::string reason);
  void fence_all(const std::string& why);
  void fail_queue(Partition& p, Errc error, const std::string& message);
  void fail_pending(Partition& p, Errc error, const std::string& message);
  void free_slot_when_silent(Partition& p);
  void hold_memory(Partition& p, const TailRecord& record);
  void trim_memory(std::uint64_t target_bytes);
  void list_backlog(Partition& p);
  void unlist_backlog(Partition& p);
  void add_backlog(Partition& p, const TailRecord& record);
  void remove_backlog(Partition& p, std::uint64_t bytes);
  runtime::Task<void> collect_run(PartitionPtr p, std::uint64_t max_bytes, std::uint64_t* total_bytes, UploadRun* run,
                                  RunSummary* summary);
  void renew_dirty(Partition& p);
  runtime::Task<void> expire_producers();

  // append.cc
  [[nodiscard]] std::optional<ProduceOutcome> refusal(const Partition& p) const;
  [[nodiscard]] bool can_append_now(const Partition& p, std::size_t payload_bytes) const;
  Started append_now(Partition& p, Appending& item);
  std::optional<Started> judge_producer(Partition& p, const Appending& item);
  void sequence(Partition& p, Appending& item, Started& started);
  void expect_again(Partition& p, const Appending& item);
  runtime::Task<ProduceOutcome> finish(Started started, base::MonoTime deadline);
  runtime::Task<void> pump(PartitionPtr p);
  runtime::Task<bool> pump_head(PartitionPtr p);
  runtime::Task<void> open_epoch(PartitionPtr p);
  runtime::Task<bool> next_epoch(PartitionPtr p, model::Offset start);

  // confirm.cc
  void note_durable(Partition& p, const wal::DurableRecord& record);
  void confirm(Partition& p);
  void begin_void(const PartitionPtr& p, const std::string& why);
  runtime::Task<void> void_pending(PartitionPtr p, std::string why);
  void finish_void(Partition& p, const std::string& why);
  void note_statement(const wal::Statement& statement);

  // read.cc
  struct TailPlan;
  struct ObjectPlan;
  struct Run {
    bytes::BufferList batches;
    model::Offset end{-1};  ///< after the last batch
    ReadFrom from = ReadFrom::group;
    std::optional<std::vector<object::AbortedSpan>> aborted{};  ///< of history: those that touch it, as its manifest has them
  };
  runtime::Task<bool> wait_loaded(PartitionPtr p, base::MonoTime deadline);
  runtime::Task<base::Result<Run>> read_tail(PartitionPtr p, model::Offset from, model::Offset to, std::uint32_t max_bytes,
                                             bool at_least_one);
  runtime::Task<base::Result<Run>> read_objects(PartitionPtr p, model::Offset from, model::Offset to, std::uint32_t max_bytes,
                                                bool at_least_one, base::MonoTime deadline);
  [[nodiscard]] ObjectPlan plan_objects(const Partition& p, model::Offset from, model::Offset to, std::uint32_t max_bytes,
                                        std::uint64_t window_bytes) const;
  [[nodiscard]] bool plan_extent(const Partition& p, const log::Extent& extent, model::Offset to, std::uint32_t max_bytes,
                                 ObjectPlan& plan) const;
  runtime::Task<void> load_part(ObjectPlan* plan, std::size_t index, base::MonoTime deadline);
  runtime::Task<void> load_place(TailPlan* plan, std::size_t index);
  static void fill_watermarks(const Partition& p, ReadOutcome& outcome);

  // query.cc
  struct Holder {
    model::Offset offset;  ///< the first one to look at
    model::Offset end;
  };
  [[nodiscard]] static std::optional<Holder> next_holder(const Partition& p, model::Offset from, base::WallMs timestamp);
  runtime::Task<base::Result<bytes::Buffer>> load_holder(PartitionPtr p, model::Offset offset, base::MonoTime deadline);
  runtime::Task<base::Result<OffsetAndTimestamp>> search_time(PartitionPtr p, base::WallMs timestamp, base::MonoTime deadline);
  runtime::Task<base::Result<base::WallMs>> highest_timestamp(PartitionPtr p, base::MonoTime deadline);

  // history.cc: below the manifest's covers_to
  [[nodiscard]] object::ManifestIdentity manifest_identity(const Partition& p) const {
    return {.cluster = doors_.cluster, .partition = p.id};
  }
  runtime::Task<base::Result<ColdExtentPtr>> find_cold(PartitionPtr p, model::Offset offset, base::MonoTime deadline);
  runtime::Task<base::Result<std::optional<Holder>>> next_cold_holder(PartitionPtr p, model::Offset from,
                                                                      base::WallMs timestamp, base::MonoTime deadline);
  runtime::Task<base::Result<base::WallMs>> highest_in_history(PartitionPtr p, model::Offset from, base::MonoTime deadline);

  // wait.cc
  [[nodiscard]] static std::uint64_t readable_bytes(const Partition& p, const WaitNode& node, std::uint64_t bytes_max);
  void report(WaitNode& node, std::uint64_t bytes, bool end) const;
  void wake_waiters(Partition& p, bool end);

  // recover.cc
  runtime::Task<base::Result<void>> restore_tail(PartitionPtr p, const PartitionEvidence& evidence,
                                                 std::vector<std::size_t> order);
  static void restore_uploaded(Partition& p, const PartitionEvidence& evidence, const Chain& chain);
  static void restore_manifest(Partition& p, const PartitionEvidence& evidence);

  const Doors& doors_;
  Cells& cells_;
  const runtime::ShardId id_;
  runtime::Reactor& reactor_;
  const std::uint64_t tail_memory_bytes_max_;
  const std::uint64_t tail_records_max_;
  std::int64_t producer_id_expiration_ms_;
  wal::Appender* appender_ = nullptr;
  std::unique_ptr<cache::BlockCache> cache_;
  std::unique_ptr<ColdIndex> cold_;
  std::unique_ptr<runtime::Scope> scope_;
  std::unique_ptr<runtime::Semaphore> wal_reads_;
  runtime::Event room_;  ///< pulsed when fewer records wait for their upload or confirmation

  std::map<model::TopicId, Topic> topics_;
  std::unordered_map<model::TopicPartition, PartitionPtr> by_id_;  ///< looked up, never iterated
  std::vector<PartitionPtr> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::uint64_t next_uid_ = 1;
  std::uint64_t next_number_ = 1;
  std::uint64_t next_guard_ = 1;

  List<Partition, DirtyTag> dirty_;
  List<Partition, BacklogTag> backlog_;
  std::uint64_t backlog_bytes_ = 0;
  std::uint64_t tail_records_ = 0;  ///< not uploaded, all partitions
  Ring<MemoryRef> memory_;
  std::uint64_t memory_bytes_ = 0;
  bytes::Buffer newest_memory_;  ///< of the last MemoryRef: the next one in the same slab costs nothing more

  bool collecting_ = false;
  std::vector<Collected> collected_;
  std::vector<wal::Place> release_later_;  ///< not wanted any more, but an upload may be reading them
  std::map<std::uint64_t, std::unique_ptr<WaitGroup>> wait_groups_;
  bool stopping_ = false;
  std::string fenced_;  ///< why; empty: this session owns its partitions
};

}  // namespace weir::log
