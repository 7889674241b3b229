// wal/lane.h: the one writer of this broker on this WAL volume.
// Why:        LSNs, places, the durable prefix and the fate of failed writes need one owner; shards only fill groups.
// Place:      L4, shard 0 only; appenders of other shards post to it.
// Contract:   each submitted group comes back exactly once: group_durable() after its write and the gate, or group_failed().
//             A failed write is never retried in place (but for a full disk, where nothing was promised): its segment is fenced
//             and the same bytes go elsewhere under a new LSN.
// Invariants: never other bytes at the place of an LSN once issued; issued bytes past the durable prefix <= window (asserted).
// Failure:    gate closed: everything not yet reported fails as fenced.
// Limits:     inflight_writes_max, window_bytes, reappend_attempts_max, reads_inflight_max.
// Tests:      wal/wal_test.cc
#pragma once

#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "runtime/scope.h"
#include "wal/appender.h"
#include "wal/core/segment_book.h"
#include "wal/gate.h"
#include "wal/group.h"
#include "wal/metrics_decl.h"
#include "wal/segment_files.h"
#include "wal/space.h"

namespace weir::wal {

class Lane {
 public:
  static constexpr std::size_t reads_inflight_max = 32;
  static constexpr base::Duration no_space_retry = std::chrono::milliseconds(200);

  Lane(runtime::Runtime& runtime, const Identity& identity, const Options& options, SegmentBook& book, SegmentFiles& files,
       Gate& gate, Space& space, WalMetrics& metrics);

  void begin(std::vector<ShardAppender*> appenders) { appenders_ = std::move(appenders); }
  void submit(std::unique_ptr<Group> group);
  void take_returns(std::vector<ShardAppender::Released> released, std::vector<StatedOffset> uploaded);
  /// Space may have changed: places what waits, publishes what is usable.
  void pump();
  /// Closes the gate: what has no write in flight fails at once, the rest as its writes end.
  void seal(std::string why);
  void relied_on_revision(std::uint64_t revision) { keyspace_revision_ = std::max(keyspace_revision_, revision); }

  runtime::Task<base::Result<bytes::Buffer>> read(Place place);
  runtime::Task<std::string> describe(Place place);

  [[nodiscard]] base::MonoTime last_durable() const { return last_durable_; }
  [[nodiscard]] model::Lsn durable_lsn() const { return durable_lsn_; }
  /// No write waits for space any more: what cannot be written now fails.
  void begin_stop();
  /// Ends once no write is in flight; after begin_stop() and the appenders' drain.
  runtime::Task<void> join() { return scope_.join(); }

 private:
  struct Issued {
    std::uint64_t end_bytes = 0;  ///< of all issued so far
    bool resolved = false;
  };
  bool issue(std::deque<std::unique_ptr<Group>>& queue, std::uint64_t window_bytes);
  runtime::Task<void> write(std::unique_ptr<Group> group);
  void resolved(const Group& group);
  void durable(std::unique_ptr<Group> group);
  void write_failed(std::unique_ptr<Group> group, base::Error why);
  void give_up(std::unique_ptr<Group> group, const base::Error& why);
  void fenced(const base::Error& why);
  void drop_queued(const base::Error& why);
  void hand_back(std::unique_ptr<Group> group, const base::Error* why);
  void forget_gone();
  void publish_space();

  runtime::Runtime& runtime_;
  Identity identity_;
  Options options_;
  SegmentBook& book_;
  SegmentFiles& files_;
  Gate& gate_;
  Space& space_;
  WalMetrics& metrics_;
  std::vector<ShardAppender*> appenders_;

  std::deque<std::unique_ptr<Group>> queue_;      ///< bounded by the appenders' groups_max
  std::deque<std::unique_ptr<Group>> reappends_;  ///< oldest first LSN first
  std::uint32_t inflight_ = 0;
  std::set<std::uint64_t> outstanding_;  ///< sequences of groups not yet handed back
  std::uint64_t next_sequence_ = 1;

  model::Lsn next_lsn_{1};
  model::Lsn durable_lsn_{0};  ///< contiguous
  std::uint64_t issued_bytes_ = 0;
  std::uint64_t prefix_bytes_ = 0;
  std::deque<Issued> unresolved_;  ///< LSNs durable_lsn_ + 1 ..
  base::MonoTime last_durable_{};
  std::uint64_t keyspace_revision_ = 0;

  struct Gone {
    model::TopicPartition partition;
    std::uint64_t below_sequence = 0;  ///< groups from this sequence on cannot name it
  };
  std::deque<Gone> gone_;
  bool waiting_for_segment_ = false;
  bool stopping_ = false;
  bool fenced_ = false;
  runtime::Scope scope_;
  runtime::Semaphore reads_{reads_inflight_max};
};

}  // namespace weir::wal
