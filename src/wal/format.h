// wal/format.h: the bytes of a WAL volume: volume header, segment header, group (docs/formats/wal-v1.md).
// Why:        one group is one device write and is valid as a whole or not at all, whatever subset of its sectors a power loss
//             left; its identity and place are inside, so a stale, moved or foreign group is never taken for a current one.
// Place:      L4, pure. Lane and appender write it, recovery and the fuzz target read it.
// Contract:   little-endian, all sizes fixed; parse never reads outside its input and allocates at most what the input holds.
// Invariants: a payload byte is checksummed once, by who fills it: the table holds payload CRCs, the table's CRC (seeded with
//             identity, LSN and place) covers the table, the header's CRC covers the table's.
// Tests:      wal/format_test.cc with golden files in testdata/, wal/segment_fuzz.cc.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "model/ids.h"
#include "wal/wal.h"

namespace weir::wal {

inline constexpr std::uint32_t block_bytes = 4096;  ///< unit of placement and of the device
inline constexpr std::uint16_t format_version = 1;
inline constexpr std::uint32_t group_header_bytes = 128;
inline constexpr std::uint32_t record_entry_bytes = 56;
inline constexpr std::uint32_t statement_entry_bytes = 32;
inline constexpr std::uint32_t payload_alignment_bytes = 8;
inline constexpr std::size_t batch_front_bytes = 61;  ///< of a payload, kept by recovery
inline constexpr std::size_t volume_file_bytes = 2 * block_bytes;

[[nodiscard]] constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// --- volume file: the same block twice, so that one rotten block does not cost the volume ---

/// Both copies, volume_file_bytes, aligned for direct I/O.
[[nodiscard]] bytes::SlabRef encode_volume(const model::ClusterId& cluster);
/// The cluster that the volume belongs to. corrupt: neither copy is whole. invalid: a newer format.
[[nodiscard]] base::Result<model::ClusterId> decode_volume(bytes::Bytes file);

// --- segment header: the first block of a segment file ---

struct SegmentHeader {
  Identity identity;
  std::uint32_t segment = 0;        ///< number within the session
  std::uint32_t segment_bytes = 0;  ///< of the file
  bool retired = false;             ///< nothing of it is needed: the file ends after this block
};
[[nodiscard]] bytes::SlabRef encode_segment_header(const SegmentHeader& header);
/// corrupt: damaged. invalid: a newer format.
[[nodiscard]] base::Result<SegmentHeader> decode_segment_header(bytes::Bytes block);

// --- group ---

struct GroupHeader {
  Identity identity;
  model::Lsn lsn;
  model::Lsn durable_lsn;               ///< contiguous durable LSN known at submission
  std::uint64_t keyspace_revision = 0;  ///< newest that its appends rely on
  std::uint32_t segment = 0;
  std::uint32_t position_bytes = 0;  ///< of the group in its segment
  std::uint32_t total_bytes = 0;     ///< multiple of block_bytes
  std::uint32_t table_offset_bytes = 0;
  std::uint32_t record_count = 0;
  std::uint32_t statement_count = 0;
  std::uint32_t table_crc = 0;
};

/// A record's line in the table.
struct RecordEntry {
  RecordHeader header;
  std::uint32_t payload_offset_bytes = 0;  ///< in the group
  std::uint32_t payload_length_bytes = 0;
  std::uint32_t payload_crc = 0;
};

[[nodiscard]] constexpr std::uint64_t table_bytes(std::uint64_t records, std::uint64_t statements) {
  return records * record_entry_bytes + statements * statement_entry_bytes;
}
void encode_record_entry(std::byte* to, const RecordEntry& entry);
void encode_statement(std::byte* to, const Statement& statement);
/// Fills the first group_header_bytes at `to`; computes table_crc over `table` and the header's own CRC.
void encode_group_header(std::byte* to, const GroupHeader& header, bytes::Bytes table);

/// What stands at a position of a segment.
enum class GroupState : std::uint8_t {
  absent,     ///< no group begins here
  torn,       ///< a group began here, but header, table or a payload is not whole
  foreign,    ///< a whole header of another cluster, WAL, session or place: payload bytes or a stray write, never ours
  newer,      ///< ours, of a newer format: the start must be refused
  need_more,  ///< the window must reach `bytes_needed`
  valid,
};
struct ExaminedGroup {
  GroupState state = GroupState::absent;
  std::uint32_t bytes_needed = 0;
  GroupHeader header;
  std::vector<RecordEntry> records;
  std::vector<Statement> statements;
};
/// Where a window lies and whose groups are expected there.
struct ExamineContext {
  Identity identity;
  std::uint32_t segment = 0;
  std::uint32_t segment_bytes = 0;
};
/// Judges the group at the front of `window`, which begins at `position_bytes` of the segment and holds at least one block.
[[nodiscard]] ExaminedGroup examine_group(bytes::Bytes window, const ExamineContext& context, std::uint32_t position_bytes);

}  // namespace weir::wal
