// wal/core/segment_book.h: which segment takes the next group, and when a place may be used again (protocols.md, 2, "Places").
// Why:        freeing too early is silent loss, too late is a full WAL; the rules are kept apart from I/O so that the model in
//             tests/model drives this very class.
// Place:      L4 core, pure; owned by the lane (shard 0).
// Contract:   place() issues a spot; each spot ends in completed() or failed(). A segment is needed while a write to it is in
//             flight, a record of it is live, or it is held. Holds: the last completed statement of a high watermark above what
//             is uploaded; a copy of a record whose write finally failed, until offsets beyond it are uploaded.
// Invariants: a fenced or earlier segment is never placed into; live counts never fall below zero; a statement's hold moves only
//             to a completed group that states at least as much (all asserted).
// Limits:     memory: one entry per segment and per partition seen (forget()), one per re-appended group.
// Tests:      wal/core/segment_book_test.cc, tests/model.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/ids.h"

namespace weir::wal {

using SegmentHandle = std::uint32_t;

struct StatedOffset {
  model::TopicPartition partition;
  model::Offset offset;
};

class SegmentBook {
 public:
  struct Spot {
    SegmentHandle segment = 0;
    std::uint32_t position_bytes = 0;
  };
  /// Groups begin behind the segment's header of `header_bytes`.
  SegmentBook(std::uint32_t segment_bytes, std::uint32_t header_bytes)
      : segment_bytes_(segment_bytes), header_bytes_(header_bytes) {}

  /// The next handle, in order from 0. own: empty and ready for groups; otherwise of an earlier session, only read.
  SegmentHandle add(bool own);
  /// Space for a group with `records` records; none: no segment is free.
  std::optional<Spot> place(std::uint32_t total_bytes, std::uint64_t records);
  /// The write is durable and gated. `copies`: segments of the group's earlier, failed attempts.
  void completed(SegmentHandle segment, model::Lsn lsn, std::uint64_t records, std::span<const StatedOffset> statements,
                 std::span<const SegmentHandle> copies);
  /// The write failed or is uncertain: the segment is fenced. Its records stay live there until resolved by completed() of a
  /// later attempt or by given_up().
  void failed(SegmentHandle segment);
  /// No further attempt: the records (P, end offset) are void; their copies matter until more than them is uploaded.
  void given_up(std::span<const SegmentHandle> copies, std::span<const StatedOffset> records);

  /// Takes no more writes: its file failed outside of a group's write.
  void fence(SegmentHandle segment) { at(segment).fenced = true; }
  /// If it is the current one, groups go elsewhere from now on; where its unused rest begins. Blocked, it is not used again.
  std::uint32_t leave(SegmentHandle segment);
  void set_blocked(SegmentHandle segment, bool blocked) { at(segment).blocked = blocked; }

  /// What recovery found in an earlier segment.
  void recovered_records(SegmentHandle segment, std::uint64_t count);
  void recovered_statement(SegmentHandle segment, StatedOffset statement);
  /// Damage was seen: the file is kept as evidence until its whole session goes.
  void keep(SegmentHandle segment);
  [[nodiscard]] bool kept(SegmentHandle segment) const { return at(segment).kept; }

  void release(SegmentHandle segment, model::Lsn lsn, std::uint64_t records);
  void uploaded_to(const model::TopicPartition& partition, model::Offset offset);
  /// The partition is gone and no issued group names it any more.
  void forget(const model::TopicPartition& partition);

  [[nodiscard]] bool needed(SegmentHandle segment) const;
  /// Own, not fenced, not the current one, not needed: its places may be used again.
  [[nodiscard]] bool reusable(SegmentHandle segment) const;
  /// Fenced or earlier, not needed, not kept: the file may be replaced by a stub.
  [[nodiscard]] bool retirable(SegmentHandle segment) const;
  void retired(SegmentHandle segment);

  [[nodiscard]] std::size_t size() const { return segments_.size(); }
  [[nodiscard]] std::uint64_t live(SegmentHandle segment) const { return at(segment).live; }
  [[nodiscard]] std::uint64_t holds(SegmentHandle segment) const { return at(segment).holds; }
  [[nodiscard]] bool fenced(SegmentHandle segment) const { return at(segment).fenced; }
  [[nodiscard]] std::size_t reusable_count() const;
  /// Bytes left in the current segment.
  [[nodiscard]] std::uint32_t current_rest_bytes() const;
  [[nodiscard]] std::size_t partition_count() const { return partitions_.size(); }

 private:
  struct Segment {
    bool own = false;
    bool fenced = false;
    bool kept = false;
    bool retired = false;
    bool blocked = false;  ///< its rest is being filled with zeros
    std::uint32_t position_bytes = 0;
    std::uint32_t inflight = 0;
    std::uint64_t live = 0;
    std::uint64_t holds = 0;
  };
  struct DeadCopy {
    SegmentHandle segment = 0;
    model::Offset end;
  };
  struct Partition {
    model::Offset uploaded{-1};
    std::optional<model::Offset> stated;  ///< the highest completed statement above `uploaded`
    SegmentHandle stated_in = 0;
    std::vector<DeadCopy> dead;  ///< at most one per segment
  };
  struct Copies {
    std::vector<SegmentHandle> segments;
    std::uint64_t records = 0;
  };
  Segment& at(SegmentHandle segment);
  [[nodiscard]] const Segment& at(SegmentHandle segment) const;
  void hold_statement(SegmentHandle segment, const StatedOffset& statement);
  void hold_dead(SegmentHandle segment, const StatedOffset& record);
  void drop_live(SegmentHandle segment, std::uint64_t records);

  std::uint32_t segment_bytes_;
  std::uint32_t header_bytes_;
  std::vector<Segment> segments_;
  std::optional<SegmentHandle> current_;
  std::unordered_map<model::TopicPartition, Partition> partitions_;  // looked up only: its order is never used
  std::unordered_map<std::uint64_t, Copies> copies_;                 // by the LSN of the attempt that succeeded
};

}  // namespace weir::wal
