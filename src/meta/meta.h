// meta/meta.h: what the keyspace holds, typed: cluster, sessions, topics, ownership, upload commits, log starts, garbage.
// Why:        every metadata transaction compares the session and the revisions it built on; that rule lives here, once.
// Place:      L4; used by log, upload, upkeep, api, app. Values have a format version and a CRC (docs/formats/keyspace-v1.md).
// Contract:   calls from any shard once begin_session() has returned; each completes on its caller's reactor. Mutations compare
//             `sess/S live`: sess/S is put once when the session begins and once when it is sealed, so its revision is the
//             fence (what changes in between, the segment count, has its own key segs/S).
//             unknown_outcome: the caller must re-send the very same mutation or re-read; helpers below say which they do.
// Failure:    fenced = this session is sealed: stop everything. exists = a compare lost. not_found. corrupt = refuse.
//             retry = certainly not done. cancelled = stop() was called, certainly not done.
// Limits:     txns of at most keyspace::txn_operations_max; own_history_max entries; transact.h names attempts and pauses.
// Tests:      meta/*_test.cc on the memory keyspace, with ambiguous transactions and a crash at every transaction.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "keyspace/keyspace.h"
#include "meta/keys.h"
#include "model/ids.h"
#include "runtime/runtime.h"

namespace weir::meta {

inline constexpr std::size_t own_history_live_max = 16;  ///< entries that stop live moves
inline constexpr std::size_t own_history_max = 64;       ///< entries past which P serves reads and waits for the store
inline constexpr std::uint32_t format_level_max = 1;     ///< newest format level that this binary reads and writes

struct ClusterRecord {
  model::ClusterId id;
  std::uint32_t format_level = 1;
  std::uint64_t incarnation = 1;
};

struct TopicRecord {
  std::string name;
  model::TopicId id;
  std::int32_t partition_count = 0;
  std::int16_t replication_factor = 1;                 ///< as asked for; Metadata lists that many replicas
  std::vector<std::vector<std::int32_t>> assignments;  ///< as asked for, or empty
  std::map<std::string, std::string> configs;          ///< what was set explicitly
  base::WallMs created_ms = 0;
  bool internal = false;
  keyspace::Revision revision = 0;  ///< of its key; not stored in the value
};

enum class SessionState : std::uint8_t { live = 1, sealing = 2, sealed = 3 };

struct SessionRecord {
  model::SessionId id;
  model::NodeId node;
  SessionState state = SessionState::live;
  model::WalId wal;
  std::uint32_t segment_count = 0;
  std::uint32_t segment_bytes = 0;
  std::uint64_t window_bytes = 0;
  base::WallMs started_ms = 0;
  keyspace::Revision revision = 0;
};

struct OwnHistoryEntry {
  model::LeaderEpoch epoch;
  model::Offset start;
  model::SessionId session;  ///< whose WAL holds the epoch's un-uploaded records
  bool operator==(const OwnHistoryEntry&) const = default;
};

/// own/P. The last history entry is the epoch in force. A partition without a key yet has epoch 0, start 0 and no session.
struct OwnRecord {
  std::vector<OwnHistoryEntry> history;
  keyspace::Revision revision = 0;
  [[nodiscard]] model::LeaderEpoch epoch() const { return history.empty() ? model::LeaderEpoch(0) : history.back().epoch; }
  [[nodiscard]] model::Offset start() const { return history.empty() ? model::Offset(0) : history.back().start; }
};

/// One committed upload: obj/S/k.
struct ObjectRecord {
  model::SessionId session;
  model::CommitNumber commit;
  model::ObjectId id;
  std::string key;  ///< in the store
  std::uint64_t size_bytes = 0;
  std::uint64_t footer_position = 0;
  std::uint32_t footer_bytes = 0;
  std::uint32_t footer_crc = 0;
  base::WallMs created_ms = 0;
  /// Of a merged object: where it stands among the others, the place() of its newest input. 0: it is an upload.
  keyspace::Revision merged_place = 0;
  keyspace::Revision revision = 0;  ///< 0 before it is committed
  /// What objects are ordered by: for one partition that is the order of its offsets.
  [[nodiscard]] keyspace::Revision place() const { return merged_place > 0 ? merged_place : revision; }
};
/// Numbers of merges of a session; uploads number from 1. In names and keys they stand in the place of the commit number.
inline constexpr model::CommitNumber merge_number_base{1ULL << 63U};
[[nodiscard]] inline bool is_merge(model::CommitNumber number) { return number >= merge_number_base; }
inline constexpr std::size_t merge_inputs_max =
    40;  ///< of one merge: one transaction holds a compare and two operations of each

/// man/P: where the partition's manifest root lies, and how far it reaches. Objects in obj/ do not count for P below covers_to.
struct ManifestRecord {
  model::TopicPartition partition;
  std::uint64_t sequence = 0;  ///< of the edit that made it, from 1 on, those of failed edits left out; 0: there is none
  model::Offset covers_to{0};
  model::ObjectId page;
  std::string key;  ///< of the page object in the store
  std::uint64_t root_position = 0;
  std::uint32_t root_bytes = 0;
  std::uint32_t root_crc = 0;
  keyspace::Revision revision = 0;  ///< 0: there is no key
};
inline constexpr std::size_t manifest_drops_max = 112;  ///< objects that one commit of a manifest may drop

/// gc/id: an object that nothing references any more and that is deleted G after its collector saw this.
struct GarbageRecord {
  model::ObjectId id;
  std::string key;
  base::WallMs unlinked_ms = 0;
  keyspace::Revision revision = 0;
};

/// conf/KIND/NAME: what was set for a resource while brokers ran. No key: nothing is set.
struct ConfigRecord {
  ConfigKind kind = ConfigKind::broker;
  std::string name;
  std::map<std::string, std::string> values;
  keyspace::Revision revision = 0;  ///< 0: there is no key
};

/// Everything at start. Maps are ordered: nothing depends on hash order. What partitions are opened from is a load() after
/// begin_session(): only then can no former session of this node change anything any more.
struct Snapshot {
  std::map<std::string, TopicRecord> topics;
  std::map<model::TopicPartition, OwnRecord> own;
  std::map<model::TopicPartition, model::Offset> log_start;
  std::vector<SessionRecord> sessions;
  std::vector<ObjectRecord> objects;  ///< ordered by place(): per partition the order of offsets
  std::map<model::TopicPartition, ManifestRecord> manifests;
  std::vector<GarbageRecord> garbage;
  std::vector<ConfigRecord> configs;
  std::vector<model::TopicId> leftovers;  ///< deleted topics of which keys remain: see resume_deletions()
  keyspace::Revision revision = 0;        ///< of the first page read
};

class Meta {
 public:
  /// Both outlive this object.
  Meta(runtime::Runtime& runtime, keyspace::Keyspace& keyspace);
  ~Meta();
  Meta(const Meta&) = delete;
  Meta& operator=(const Meta&) = delete;
  /// Ends waiting for a keyspace that does not answer: calls return cancelled or unknown_outcome within `transact.h`'s longest
  /// pause. Any shard.
  void stop();

  // --- cluster and session (shard 0, at start) ---
  /// The cluster of this keyspace; makes one with the given id when the keyspace is empty. invalid: a newer format level.
  runtime::Task<base::Result<ClusterRecord>> open_cluster(model::ClusterId id_if_new);
  runtime::Task<base::Result<Snapshot>> load();
  /// Seals the node's former sessions (its volume lock is held) and puts sess/S live. From here on this object acts as S.
  runtime::Task<base::Result<void>> begin_session(SessionRecord session, std::vector<SessionRecord> former);
  /// Makes "segment_count segments exist" durable.
  runtime::Task<base::Result<void>> register_segments(std::uint32_t segment_count);
  /// Drops a sealed session, or at the clean stop this one, whose WAL nothing needs (its files are deleted already).
  runtime::Task<base::Result<void>> drop_session(model::SessionId session);
  /// Re-reads sess/S: false once it is sealed or absent.
  runtime::Task<base::Result<bool>> session_live();
  [[nodiscard]] model::SessionId session() const { return session_.id; }

  // --- topics ---
  /// Puts the topic unless the name is taken (exists).
  runtime::Task<base::Result<TopicRecord>> create_topic(TopicRecord topic);
  /// Replaces the record if it is still at `topic.revision` (exists otherwise).
  runtime::Task<base::Result<TopicRecord>> update_topic(TopicRecord topic);
  /// The topic as the keyspace has it now: what became of a creation whose outcome was unknown.
  runtime::Task<base::Result<std::optional<TopicRecord>>> find_topic(std::string name);
  /// Removes the topic's key, then its own/, log-start and man/ keys (again at start for what a crash left). Succeeds once the topic's
  /// key is gone: keys that a keyspace in trouble did not let go are left to the next start, with a line in the log.
  runtime::Task<base::Result<void>> delete_topic(TopicRecord topic);
  /// Erases what is left of deleted topics: for Snapshot::leftovers, at start.
  runtime::Task<base::Result<void>> resume_deletions(std::vector<model::TopicId> leftovers);
  /// A block of `count` producer ids never given before; the first one.
  runtime::Task<base::Result<model::ProducerId>> allocate_producer_ids(std::int64_t count);

  // --- settings of brokers, groups and client-metrics subscriptions ---
  /// Replaces the resource's settings if they are still at `config.revision` (exists otherwise); without values the key goes.
  runtime::Task<base::Result<ConfigRecord>> put_config(ConfigRecord config);
  /// As the keyspace has them now; without a key: no values, revision 0.
  runtime::Task<base::Result<ConfigRecord>> find_config(ConfigKind kind, std::string name);

  /// Of the newest change that this broker saw.
  [[nodiscard]] keyspace::Revision last_known_revision() const { return keyspace_.last_known_revision(); }

  // --- partitions ---
  /// own/P -> (this session, next epoch, start), comparing `current.revision`; history is cut to what is above uploaded_to.
  /// Decides an unknown outcome itself by re-reading (only this session changes own/P). exhausted: own_history_max is reached.
  runtime::Task<base::Result<OwnRecord>> open_epoch(model::TopicPartition partition, OwnRecord current, model::Offset start,
                                                    model::Offset uploaded_to);
  /// Log starts only move up; any number (split into txns).
  runtime::Task<base::Result<void>> set_log_starts(std::vector<std::pair<model::TopicPartition, model::Offset>> starts);

  // --- uploads and garbage ---
  /// Commit k: compare sess/S live and com/S.k = k-1; put com/S, obj/S/k. Re-sent unchanged until decided; fenced when sealed.
  runtime::Task<base::Result<ObjectRecord>> commit_upload(ObjectRecord object);
  /// man/P: old -> next, comparing sess/S live and `old.revision`; `dropped` (at most manifest_drops_max; ids and keys) goes to
  /// gc/ in the same transaction. Decides an unknown outcome itself: re-sent unchanged until it is known. The new record, with its
  /// revision. exists: somebody else changed man/P; fenced: sealed. Sequences grow, covers_to never goes back.
  runtime::Task<base::Result<ManifestRecord>> commit_manifest(ManifestRecord old, ManifestRecord next,
                                                              std::vector<GarbageRecord> dropped, base::WallMs now_ms);
  /// All of obj/, ordered by place().
  runtime::Task<base::Result<std::vector<ObjectRecord>>> list_objects();
  /// The number of the session's next merge. None is given twice.
  model::CommitNumber begin_merge() { return merge_number_base + ++merge_count_; }
  /// `merged` (of this session, with a number from begin_merge()) takes the place of `inputs`, neighbours in order of place() and at
  /// most merge_inputs_max: obj/ of the one, gc/ for each of the others, in one transaction that compares their revisions. Re-sent
  /// unchanged until decided. exists: an input is not as it was, nothing is done; fenced: sealed.
  runtime::Task<base::Result<ObjectRecord>> commit_merge(ObjectRecord merged, std::vector<ObjectRecord> inputs,
                                                         base::WallMs now_ms);
  /// Unlinks objects that nothing references: obj/.. -> gc/id in one txn each.
  runtime::Task<base::Result<void>> unlink_objects(std::vector<ObjectRecord> objects, base::WallMs now_ms);
  runtime::Task<base::Result<std::vector<GarbageRecord>>> list_garbage();
  runtime::Task<base::Result<void>> drop_garbage(std::vector<GarbageRecord> garbage);
  /// The newest commit number of this session.
  [[nodiscard]] model::CommitNumber last_commit() const { return last_commit_; }
  /// The newest number that begin_merge() gave.
  [[nodiscard]] model::CommitNumber last_merge() const { return merge_number_base + merge_count_; }

 private:
  struct Detail;
  runtime::Task<base::Result<void>> load_sessions_and_objects(Snapshot* snapshot);
  runtime::Task<base::Result<void>> seal_former(SessionRecord former);
  runtime::Task<base::Result<void>> raise_log_starts(std::vector<std::pair<std::string, model::Offset>> chunk);
  runtime::Task<base::Result<ObjectRecord>> decide_commit(ObjectRecord object);
  runtime::Runtime& runtime_;
  keyspace::Keyspace& keyspace_;
  std::unique_ptr<Detail> detail_;
  SessionRecord session_;
  model::CommitNumber last_commit_;
  keyspace::Revision commit_revision_ = 0;           ///< of com/S
  std::optional<model::ObjectId> undecided_commit_;  ///< commit last_commit_ + 1 was sent for this object, outcome unknown
  bool committing_ = false;
  std::uint64_t merge_count_ = 0;
  std::uint32_t segment_count_ = 0;
  keyspace::Revision segments_revision_ = 0;  ///< of segs/S
};

}  // namespace weir::meta
