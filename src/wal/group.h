// wal/group.h: records that go to the device as one write, from the shard that fills it to the lane and back.
// Why:        a group is moved, never copied: its memory is the batches' home, its tables travel with it.
// Invariants: begin is a multiple of block_bytes; [begin, begin + header) and everything from the table on belong to the lane
//             while it has the group: no Buffer shows them.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "bytes/buffer.h"
#include "runtime/reactor.h"
#include "runtime/sync.h"
#include "wal/core/segment_book.h"
#include "wal/format.h"

namespace weir::wal {

struct GroupRecord {
  RecordEntry entry;
  RecordToken token;
};

struct Group {
  runtime::ShardId shard;
  bytes::SlabRef slab;
  std::size_t begin_bytes = 0;  ///< in the slab
  std::size_t fill_bytes = 0;   ///< header and payloads so far
  std::vector<GroupRecord> records;
  std::vector<Statement> statements;
  std::uint64_t admitted_bytes = 0;  ///< counted against WAL space until the group has a place

  // set by seal()
  bytes::SlabRef table_slab;             ///< empty: the table stands in `slab` behind the payloads
  std::uint32_t table_offset_bytes = 0;  ///< in the group
  std::uint32_t total_bytes = 0;
  base::MonoTime sealed_at{};

  // set by the lane
  std::uint64_t sequence = 0;  ///< of submission
  SegmentBook::Spot spot;
  model::Lsn lsn;
  GroupTimes times;
  std::vector<model::Lsn> failed_lsns;
  std::vector<SegmentHandle> copies;  ///< segments of failed attempts

  std::shared_ptr<runtime::Completion<base::Result<void>>> flushed;  ///< told on the group's shard

  [[nodiscard]] std::byte* front() const { return slab.writable().data() + begin_bytes; }
  [[nodiscard]] bytes::Bytes table() const;
  /// Writes the table behind the payloads (or into a slab of its own when there is no room) and zeroes what lies between.
  void seal();
  /// Fills the header in place; the group's place and LSN are known.
  void write_header(GroupHeader header) const;
  /// The device write: one piece, or two when the table has its own slab.
  [[nodiscard]] std::vector<bytes::Bytes> pieces() const;
};

}  // namespace weir::wal
