// object/format.h: weir's object, version 1: blocks of batches, then one footer that indexes them by partition.
// Why:        one upload carries all partitions of a broker; readers need one footer and range GETs. Everything that merging,
//             log compaction and transactions need is here from the first version (docs/formats/object-v1.md).
// Contract:   pure: bytes in, bytes out. All integers little-endian, 64 bits for offsets and sizes. A block holds whole batches
//             of one partition in offset order, byte for byte as served to clients. Entries are sorted by (topic, partition).
// Invariants: block CRCs cover the block header (with cluster, object id, position in the object, partition, base offset) and
//             the payload; the footer's CRC covers the footer and the same identity. Nothing is used before its check.
// Failure:    corrupt with the place, never a crash or an allocation beyond the input.
// Limits:     block_payload_bytes_max (a larger single batch gets a block of its own).
// Tests:      object/format_test.cc (golden files in testdata/), object/footer_fuzz.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "bytes/buffer.h"
#include "model/ids.h"

namespace weir::object {

inline constexpr std::uint32_t format_version = 1;
inline constexpr std::size_t object_header_bytes = 64;
inline constexpr std::size_t block_header_bytes = 96;
inline constexpr std::size_t footer_trailer_bytes = 32;  ///< at the very end: footer offset, length, CRC, magic
inline constexpr std::size_t block_payload_bytes_max = 1U << 20U;

struct EpochStart {
  model::LeaderEpoch epoch;
  model::Offset start;
  bool operator==(const EpochStart&) const = default;
};

/// One batch that a producer wrote, as idempotence needs it.
struct ProducerBatch {
  model::Sequence base_sequence;
  model::Sequence last_sequence;
  model::Offset base_offset;
  model::Offset last_offset;
  base::WallMs max_timestamp = -1;
  bool operator==(const ProducerBatch&) const = default;
};
inline constexpr std::size_t producer_batches_max = 5;

/// What a producer changed within the entry's range: its newest batches, oldest first.
struct ProducerDelta {
  model::ProducerId producer_id;
  model::ProducerEpoch epoch;
  std::vector<ProducerBatch> batches;        ///< at most producer_batches_max
  model::Offset open_transaction_start{-1};  ///< -1: no open transaction after the range
  std::int32_t coordinator_epoch = -1;
  bool operator==(const ProducerDelta&) const = default;
};

/// An aborted transaction whose marker lies within the entry's range.
struct AbortedSpan {
  model::ProducerId producer_id;
  model::Offset first;
  model::Offset last;  ///< the marker's offset
  bool operator==(const AbortedSpan&) const = default;
};

/// Where one block lies and what it holds.
struct BlockRef {
  std::uint64_t position = 0;  ///< of the block header in the object
  std::uint32_t payload_bytes = 0;
  std::uint32_t payload_crc = 0;
  model::Offset base_offset;  ///< of its first batch
  model::Offset end_offset;   ///< after its last batch
  base::WallMs max_timestamp = -1;
  bool operator==(const BlockRef&) const = default;
};

/// First offset at which the running maximum of timestamps reached `timestamp`: entries ascend in both.
struct TimeIndexEntry {
  base::WallMs timestamp = -1;
  model::Offset offset;
  bool operator==(const TimeIndexEntry&) const = default;
};

struct PartitionEntry {
  model::TopicPartition partition;
  model::Offset base_offset;
  model::Offset end_offset;  ///< first offset after the entry
  std::uint64_t payload_bytes = 0;
  base::WallMs max_timestamp = -1;
  std::vector<EpochStart> epochs;           ///< leader epochs that begin within the range, and the one in force at its start
  model::Offset last_stable_offset;         ///< at end_offset
  model::Offset first_unstable_offset{-1};  ///< -1: none
  std::vector<AbortedSpan> aborted;
  std::vector<ProducerDelta> producers;
  std::vector<TimeIndexEntry> time_index;
  std::vector<BlockRef> blocks;
  bool operator==(const PartitionEntry&) const = default;
};

/// Identity of an object: a part of every checksum in it.
struct Identity {
  model::ClusterId cluster;
  model::ObjectId object;
  bool operator==(const Identity&) const = default;
};

struct Footer {
  Identity identity;
  model::SessionId session;
  model::CommitNumber commit;
  std::vector<PartitionEntry> entries;
  bool operator==(const Footer&) const = default;
};

/// One batch to go into an object; the payload is shared, not copied.
struct InputBatch {
  bytes::Buffer payload;
  std::uint32_t payload_crc = 0;  ///< CRC32C of payload, as the WAL record carries it
  model::Offset base_offset;
  model::Offset end_offset;
  base::WallMs max_timestamp = -1;
};

/// Builds an object in one pass. add_partition() in ascending (topic, partition) order.
class Builder {
 public:
  Builder(Identity identity, model::SessionId session, model::CommitNumber commit);
  /// `entry` carries everything but blocks, payload_bytes, max_timestamp and time_index, which are derived from the batches
  /// (one at least, ascending; the last ends at entry.end_offset).
  void add_partition(PartitionEntry entry, std::vector<InputBatch> batches);
  /// The same in steps, for a caller that must give way in between: begin, then steps until one says that the partition is whole.
  /// A step reads and copies up to `bytes_max` of payload and one batch more.
  void begin_partition(PartitionEntry entry, std::vector<InputBatch> batches);
  /// As begin_partition(), from whole blocks of other objects, whose checks have passed: their CRCs are combined, nothing is read
  /// again, small neighbours become one block. The time index is the entry's.
  void begin_blocks(PartitionEntry entry, std::vector<InputBatch> blocks);
  [[nodiscard]] bool add_blocks(std::uint64_t bytes_max);
  /// Payloads are copied into blocks of their own instead of being shared: for an object made from a small part of a large
  /// backlog, whose batches would keep alive far more group memory than they hold.
  void copy_payloads(bool copy) { copy_payloads_ = copy; }
  struct Finished {
    bytes::BufferList body;  ///< header, blocks, footer, trailer
    std::uint64_t size_bytes = 0;
    std::uint32_t crc32c = 0;  ///< of the whole body (combined, not recomputed)
    std::uint64_t footer_position = 0;
    std::uint32_t footer_bytes = 0;
    std::uint32_t footer_crc = 0;  ///< as parse_trailer gives it and the footer itself ends with
    Footer footer;
  };
  [[nodiscard]] Finished finish() &&;
  [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
  /// What the steps up to now have worked on: each payload byte counts once for its checksum and once more where it is copied.
  [[nodiscard]] std::uint64_t worked_bytes() const { return worked_bytes_; }

 private:
  /// The block that steps are making: first its batches are looked at, then its pieces go to the body.
  struct Block {
    BlockRef ref;
    std::size_t end_batch = 0;     ///< behind its last
    bytes::BufferList pieces;      ///< of its payload; those that adjoin in memory are one
    std::size_t next_piece = 0;    ///< the first that is not in the body yet
    std::size_t piece_copied = 0;  ///< bytes of it
    std::size_t end_of_run = 0;    ///< pieces up to here go into `slab`
    bytes::SlabRef slab;
    std::size_t slab_filled = 0;
  };
  void append(bytes::Buffer piece, std::uint32_t piece_crc);
  void begin_block();
  void take_batch();
  void end_batches();
  void place_piece();
  Footer footer_;
  PartitionEntry entry_;             ///< of the partition under way
  std::vector<InputBatch> batches_;  ///< of it; empty between partitions
  std::size_t next_batch_ = 0;
  bytes::BufferList body_;
  std::uint64_t position_ = 0;
  std::uint64_t payload_bytes_ = 0;
  std::uint64_t worked_bytes_ = 0;
  std::optional<Block> block_;
  std::uint32_t crc_ = 0;
  bool copy_payloads_ = false;
};

/// Checks and parses a footer: `data` is [footer_position, footer_position + footer_bytes).
[[nodiscard]] base::Result<Footer> parse_footer(bytes::Bytes data, std::uint64_t footer_position, const Identity& expected);
/// Whether `header`, the object's first object_header_bytes, are those of the object that the footer describes. Readers do not need it;
/// a tool that looks for damage does.
[[nodiscard]] base::Result<void> verify_object_header(bytes::Bytes header, const Footer& footer);
/// Where the footer lies, from the object's last footer_trailer_bytes.
struct FooterPlace {
  std::uint64_t position = 0;
  std::uint32_t size_bytes = 0;
  std::uint32_t crc = 0;
};
[[nodiscard]] base::Result<FooterPlace> parse_trailer(bytes::Bytes trailer);
/// Checks one block (header and payload, [position, position + block_header_bytes + payload_bytes)); gives its payload.
[[nodiscard]] base::Result<bytes::Bytes> verify_block(bytes::Bytes block, const Identity& expected,
                                                      const model::TopicPartition& partition, const BlockRef& ref);

}  // namespace weir::object
