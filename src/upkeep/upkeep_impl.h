// upkeep/upkeep_impl.h: the loop behind upkeep.h. Private to upkeep/.
#pragma once

#include <map>
#include <set>
#include <string>

#include "object/manifest_edit.h"
#include "runtime/scope.h"
#include "runtime/sync.h"
#include "store/multipart.h"
#include "upkeep/core/garbage.h"
#include "upkeep/core/history.h"
#include "upkeep/core/retention.h"
#include "upkeep/upkeep.h"

namespace weir::upkeep {

struct PartitionPlace {
  model::TopicPartition partition;
  std::size_t shard = 0;
};

/// The first partition's worth of work for a shard turn: copies of extents, small enough to cross to shard 0.
struct PartitionExtents {
  PartitionPlace place;
  std::vector<RetentionPiece> extents;
  std::vector<model::ObjectId> objects;
  log::ManifestPtr manifest;  ///< what lies below the extents; null: nothing does
  model::Offset log_start;
};

/// One change of a partition's manifest; see commit_change().
struct ManifestChange {
  PartitionPlace place;
  log::ManifestBasis basis;
  std::uint64_t sequence = 0;  ///< from next_sequence(); the names of what is added carry it
  std::vector<object::AddedObject> added = {};
  base::WallMs producers_expire_before_ms = -1;
};

class UpkeepImpl final : public Upkeep {
 public:
  UpkeepImpl(Doors doors, LogDoor log, Naming naming, ConfigOf config_of, Options options);
  void start() override;
  void kick() override;
  runtime::Task<void> stop() override;
  [[nodiscard]] bool uploads_wait() const override;

 private:
  using Done = base::Result<void>;
  struct Cells {
    runtime::Counter& retention_moves;
    runtime::Counter& unlinked;
    runtime::Counter& deleted;
    runtime::Gauge& garbage;
    runtime::Counter& orphans;
    runtime::Counter& uploads_aborted;
    runtime::Counter& failures;
    runtime::Counter& manifest_edits;
    runtime::Counter& manifest_puts;
    runtime::Counter& manifest_dropped;
    runtime::Gauge& recent_objects;
    runtime::Counter& merges;
    runtime::Counter& merge_inputs;
    runtime::Counter& merges_interrupted;
    runtime::Counter& merge_bytes_in;
    runtime::Counter& merge_bytes_out;
    runtime::Counter& merge_gets;
    runtime::Counter& merge_puts;
    runtime::Counter& splits;
    runtime::Counter& split_partitions;
    runtime::Counter& split_objects;
    runtime::Counter& splits_interrupted;
    runtime::Counter& split_bytes_in;
    runtime::Counter& split_bytes_out;
    runtime::Counter& split_gets;
    runtime::Counter& split_puts;
  };
  using FooterPtr = std::shared_ptr<const object::Footer>;
  struct Holdings;
  struct MergeInput;
  struct MergeTask;
  struct SplitPart;
  struct SplitTarget {
    PartitionPlace place;
    model::Offset covers_to;
  };
  /// What is merged next; nothing, when there are no objects.
  struct PlannedMerge {
    std::vector<meta::ObjectRecord> objects{};  ///< a tier's inputs; all that a split may read; in order of place()
    std::vector<SplitTarget> parts{};           ///< none: a tier
  };
  struct Raise {
    model::TopicPartition partition;
    model::Offset to;
  };

  [[nodiscard]] base::MonoTime now() const { return runtime::Reactor::current().now(); }
  [[nodiscard]] base::MonoTime request_deadline() const { return now() + options_.store_deadline; }
  runtime::Task<void> run();
  /// Logs and counts a failed round; true when this session is sealed and upkeep must end.
  bool failed(std::string_view job, const Done& done);

  runtime::Task<void> retain();
  runtime::Task<std::optional<Raise>> retention_of(PartitionExtents partition, base::WallMs now_ms);
  static runtime::Task<void> raise_worker(UpkeepImpl* self, std::vector<Raise>* raises, std::size_t* next);
  /// Extents of up to partitions_per_turn_max partitions of a shard, from `next` on, which it moves.
  runtime::Task<std::vector<PartitionExtents>> extents_of(std::size_t shard, std::vector<model::TopicPartition>& all,
                                                          std::size_t& next);
  runtime::Task<std::vector<model::TopicPartition>> partitions_of(std::size_t shard);

  // manifests.cc
  runtime::Task<std::optional<log::ManifestBasis>> basis_of(PartitionPlace place);
  runtime::Task<base::Result<std::shared_ptr<const object::Leaf>>> leaf_of(PartitionPlace place, object::LeafRef ref);
  [[nodiscard]] std::uint64_t next_sequence(const model::TopicPartition& partition, const log::ManifestPtr& manifest) const;
  [[nodiscard]] object::ManifestName new_name(std::uint64_t sequence) const;
  runtime::Task<base::Result<object::ManifestEdit>> prepare_edit(ManifestChange* change);
  /// PUT, commit, apply. True: more lies below the log start than one edit drops.
  runtime::Task<base::Result<bool>> commit_change(ManifestChange* change);
  runtime::Task<base::Result<bool>> drops_something(PartitionPlace place, const log::ManifestBasis* basis);
  runtime::Task<Done> trim_partition(PartitionPlace place);
  runtime::Task<Done> trim_manifests();
  runtime::Task<base::Result<void>> expand_piece(const PartitionExtents* partition, std::vector<RetentionPiece>* pieces,
                                                 std::size_t index);
  // merge_rounds.cc
  runtime::Task<base::Result<bool>> merge();
  runtime::Task<base::Result<PlannedMerge>> plan_merge();
  void note_objects(const std::vector<meta::ObjectRecord>& objects);
  runtime::Task<std::optional<Holdings>> recent_holdings(std::uint64_t large_bytes);
  runtime::Task<std::set<model::ObjectId>> untouchable(const std::vector<meta::ObjectRecord>* objects);
  std::optional<MergeJob> next_job(const std::vector<meta::ObjectRecord>& objects, const Holdings& holdings,
                                   const std::set<model::ObjectId>& refused);
  /// Waits until a call of so many bytes that began then keeps to the budget.
  runtime::Task<Done> pace(std::uint64_t bytes, base::MonoTime began);
  [[nodiscard]] std::size_t recent_objects() const;
  void keep_footer(const meta::ObjectRecord& record, FooterPtr footer);
  runtime::Task<base::Result<FooterPtr>> footer_of(MergeTask* task, meta::ObjectRecord record);
  // merger.cc
  runtime::Task<base::Result<bool>> run_merge(MergeTask* task);
  runtime::Task<Done> open_input(MergeTask* task, std::size_t index);
  runtime::Task<void> ask_needs(MergeTask* task);
  runtime::Task<Done> read_ranges(MergeTask* task, std::size_t index);
  runtime::Task<base::Result<std::vector<object::InputBatch>>> verified_blocks(const MergeInput* input,
                                                                               const object::PartitionEntry* entry);
  runtime::Task<Done> build_merged(MergeTask* task, object::Builder* builder);
  runtime::Task<base::Result<bytes::Buffer>> merge_get(MergeTask* task, std::string key, std::uint64_t position,
                                                       std::uint64_t size_bytes);
  runtime::Task<void> tell_merged(const meta::ObjectRecord* merged, const std::vector<object::PartitionEntry>* entries,
                                  const std::set<model::ObjectId>* inputs);
  // splitter.cc
  runtime::Task<base::Result<bool>> run_split(MergeTask* task, PlannedMerge* planned);
  runtime::Task<std::optional<SplitPart>> ask_part(SplitTarget target, const std::set<model::ObjectId>* objects);
  static Done match_parts(MergeTask& task, std::vector<SplitPart>& parts);
  runtime::Task<Done> split_off(MergeTask* task, SplitPart* part);
  runtime::Task<Done> commit_split(SplitPart* part, object::PartitionEntry entry, std::vector<object::InputBatch> blocks,
                                   base::WallMs created_ms);
  runtime::Task<base::Result<std::vector<object::AddedObject>>> put_split(SplitPart* part, object::PartitionEntry entry,
                                                                          std::vector<object::InputBatch> blocks,
                                                                          std::uint64_t sequence, base::WallMs created_ms);

  // collector.cc
  runtime::Task<Done> unlink_dead();
  /// What extents and producers need; empty while partitions are opening.
  runtime::Task<std::optional<std::set<model::ObjectId>>> referenced_by_log();
  runtime::Task<base::Result<bool>> proves_dead(const meta::ObjectRecord& object, const LiveData& live);
  runtime::Task<Done> delete_garbage();
  runtime::Task<Done> sweep();
  runtime::Task<base::Result<std::vector<std::string>>> list_names();
  // stale_uploads.cc
  runtime::Task<base::Result<std::vector<store::MultipartUpload>>> list_uploads();
  runtime::Task<Done> abort_stale(std::vector<store::MultipartUpload> uploads, const NamesView* view);
  runtime::Task<void> add_manifest_facts(const std::vector<std::string>& names, NamesView& view);

  Doors doors_;
  LogDoor log_;
  Naming naming_;
  ConfigOf config_of_;
  Options options_;
  Cells cells_;
  runtime::Scope scope_;
  runtime::Event wake_;
  bool kicked_ = false;
  base::MonoTime kick_allowed_{};  ///< not before: kicks that come in a burst are one round
  base::MonoTime retention_due_{};
  base::MonoTime garbage_due_{};
  base::MonoTime sweep_due_{};
  base::MonoTime merge_due_{};
  std::size_t object_count_ = 0;    ///< recent ones: as the newest plan found them, less what was merged
  model::CommitNumber counted_to_;  ///< the newest upload then
  bool merge_possible_ = false;     ///< the newest plan found something to merge
  bool merge_pressed_ = false;      ///< there are many recent objects: merging waits for nobody
  std::map<model::ObjectId, std::uint64_t> merge_live_bytes_;  ///< as the newest plan found them
  std::set<model::ObjectId> merge_refused_;                    ///< objects found damaged; forgotten with each sweep
  std::set<model::TopicPartition> split_refused_;              ///< whose manifest cannot be changed; the same
  std::map<model::ObjectId, FooterPtr> footers_;               ///< of large recent objects
  std::uint64_t footers_bytes_ = 0;
  std::set<model::ObjectId> unlink_tried_;  ///< objects that no shard needs, which unlink_dead() has looked at for that reason
  bool unlink_wanted_ = false;
  std::map<model::ObjectId, base::MonoTime> garbage_seen_;  ///< since when this process knows of gc/id
  std::map<std::string, base::MonoTime> orphans_seen_;
  std::map<std::string, base::MonoTime> uploads_seen_;          ///< stale uploads in parts, by the server's id
  bool uploads_refused_ = false;                                ///< said once that they cannot be listed
  std::map<model::TopicPartition, std::uint64_t> edits_tried_;  ///< newest number that was given to an edit and not committed
  struct FirstEnd {
    std::uint64_t sequence = 0;
    model::Offset end;
  };
  std::map<model::TopicPartition, FirstSegment> first_segments_;  ///< that retention found and left
  std::map<model::TopicPartition, FirstEnd> first_ends_;  ///< of manifests that begin below the log start: their first object's
};

}  // namespace weir::upkeep
