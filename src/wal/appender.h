// wal/appender.h: one shard's way into the WAL: the open group, the groups under way, admission.
// Why:        reserve() and commit_record() never suspend and never hop: a record's place in the order is fixed by the call.
// Place:      L4, one per shard, all calls there except where the lane posts back.
// Contract:   see wal.h. A turn's commits gather: the group is offered to the lane at the next turn of the reactor.
// Invariants: at most groups_max groups under way; a reservation is committed before the next call (asserted).
// Limits:     queue bytes (a shard's part of the window), group memory (SlabBudget, all shards' together), statements_max per
//             group, WAL space (Space).
// Tests:      wal/wal_test.cc
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/sync.h"
#include "wal/group.h"
#include "wal/metrics_decl.h"
#include "wal/slab_pool.h"
#include "wal/space.h"
#include "wal/wal.h"

namespace weir::wal {

class Lane;

struct AppenderLimits {
  std::size_t slab_bytes = 0;         ///< also the largest group of ordinary payloads
  std::uint64_t queue_bytes_max = 0;  ///< reserved and not yet durable
  std::uint32_t groups_max = 0;       ///< under way at a time
  std::uint32_t statements_max = 0;   ///< per group; the others follow in the next one
  std::size_t payload_bytes_max = 0;
};

class ShardAppender final : public Appender {
 public:
  static constexpr base::Duration idle_statement_delay = std::chrono::milliseconds(50);
  static constexpr base::Duration flush_wait_max = std::chrono::seconds(5);
  static constexpr std::uint32_t flushes_max = 4;
  static constexpr base::Duration admission_recheck = std::chrono::milliseconds(10);
  static constexpr int slabs_let_go_max = 8;  ///< that the sink is asked for in one look

  /// The budget and the space are shared by all shards' appenders and outlive them.
  ShardAppender(runtime::Runtime& runtime, runtime::ShardId shard, AppenderLimits limits, SlabBudget& budget, Space& space,
                WalMetrics& metrics);
  ~ShardAppender() override;

  /// Before any append; sink and lane outlive the appender's use.
  void begin(Lane* lane, ShardSink* sink);
  /// Once, before any append: the appenders of all shards, this one among them. They live as long as this one.
  void know(std::vector<ShardAppender*> all);

  [[nodiscard]] bool can_append(std::size_t payload_bytes) const override;
  runtime::Task<base::Result<void>> wait_admission(std::size_t payload_bytes, base::MonoTime deadline) override;
  [[nodiscard]] std::size_t payload_bytes_max() const override { return limits_.payload_bytes_max; }
  Reservation reserve(const RecordHeader& header, std::size_t payload_bytes, RecordToken token) override;
  bytes::Buffer commit_record(const Reservation& reservation, std::uint32_t crc) override;
  void release(std::span<const Place> places) override;
  void uploaded_to(const model::TopicPartition& partition, model::Offset offset) override;
  runtime::Task<base::Result<bytes::Buffer>> read(Place place) override;
  runtime::Task<std::vector<base::Result<bytes::Buffer>>> read_run(std::vector<Place> places) override;

  // --- for the lane, on this shard ---
  void group_durable(std::unique_ptr<Group> group);
  void group_failed(std::unique_ptr<Group> group, const base::Error& why);
  /// Writes what the sink states now (with even_empty: also nothing) in a control group and waits until it is durable; retry
  /// when that takes longer than flush_wait_max.
  runtime::Task<base::Result<void>> flush(bool even_empty);
  /// Another shard's appends wait for group memory: tells what has become free here, and lets this much of what durable records
  /// hold go where this shard holds more than its own part.
  void give_back(std::size_t bytes);
  /// Refuses appends from now on; waiters end with `fenced` or cancelled.
  void refuse(base::Error why);
  /// Nothing open, nothing under way, no releases unsent.
  [[nodiscard]] bool idle() const;
  /// Waits until idle(). The timers are gone afterwards.
  runtime::Task<void> drain();

 private:
  struct Waiter {
    std::size_t bytes;
    runtime::Event turn;
  };
  [[nodiscard]] bool admits(std::size_t payload_bytes) const;
  [[nodiscard]] bool fits_open(std::size_t payload_bytes) const;
  [[nodiscard]] bool lacks_memory(std::size_t payload_bytes) const;
  void make_room(std::size_t payload_bytes, bool ask_others);
  void open_group(std::size_t payload_bytes);
  void schedule_pump();
  void pump();
  void send(std::unique_ptr<Group> group);
  void take_statements(Group& group);
  void control_group(std::shared_ptr<runtime::Completion<base::Result<void>>> flushed, bool even_empty);
  void flush_done(const std::shared_ptr<runtime::Completion<base::Result<void>>>& flushed, base::Result<void> result);
  void finished(const Group& group);
  void arm_idle_timer();
  void idle_timer_fired();
  void schedule_returns();
  void send_returns();
  void wake_front();

  runtime::Runtime& runtime_;
  runtime::Reactor& reactor_;
  runtime::ShardId shard_;
  AppenderLimits limits_;
  Space& space_;
  WalMetrics& metrics_;
  Lane* lane_ = nullptr;
  ShardSink* sink_ = nullptr;
  std::vector<ShardAppender*> all_;

  SlabPool pool_;
  bytes::SlabRef slab_;              ///< the current one
  std::size_t slab_fill_bytes_ = 0;  ///< of sealed groups in it
  std::unique_ptr<Group> open_;
  std::deque<std::unique_ptr<Group>> full_;  ///< closed, not yet sent; bounded by queue_bytes_max
  std::uint32_t under_way_ = 0;
  std::uint32_t flushes_ = 0;      ///< probes under way
  std::uint64_t queue_bytes_ = 0;  ///< admitted and not yet durable
  std::uint64_t reservation_id_ = 0;
  bool reserved_ = false;
  bool pump_posted_ = false;

  std::optional<base::Error> refused_;
  std::deque<Waiter*> waiters_;
  runtime::TimerId idle_timer_ = 0;
  base::MonoTime last_activity_{};
  runtime::Event drained_;

  struct Released {
    SegmentHandle segment;
    model::Lsn lsn;
    std::uint64_t records;
  };
  friend class Lane;
  std::vector<Released> released_;  ///< gathered for one hop per turn
  std::vector<StatedOffset> uploaded_;
  bool returns_posted_ = false;
  std::vector<DurableRecord> durable_scratch_;
};

}  // namespace weir::wal
