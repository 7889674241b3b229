// model/record_batch.h: Kafka's record batch, magic 2: header, checks, patches, and records of an uncompressed payload.
// Source:     Kafka's documentation, "Record Batch": baseOffset i64, batchLength i32, partitionLeaderEpoch i32, magic i8,
//             crc u32, attributes i16, lastOffsetDelta i32, baseTimestamp i64, maxTimestamp i64, producerId i64,
//             producerEpoch i16, baseSequence i32, recordsCount i32, records. Big-endian. The CRC covers attributes to the end,
//             so base offset and leader epoch can be patched without touching it.
// Contract:   pure; parse never reads outside its input.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "base/units.h"
#include "bytes/buffer.h"
#include "model/ids.h"

namespace weir::model {

inline constexpr std::size_t batch_header_bytes = 61;
/// Bytes before what batchLength counts (base offset and the length itself).
inline constexpr std::size_t batch_log_overhead_bytes = 12;
inline constexpr std::int8_t batch_magic_v2 = 2;

enum class CompressionType : std::uint8_t { none = 0, gzip = 1, snappy = 2, lz4 = 3, zstd = 4 };
enum class TimestampType : std::uint8_t { create_time = 0, log_append_time = 1 };

struct BatchHeader {
  Offset base_offset;
  std::int32_t batch_length = 0;  ///< bytes after this field
  LeaderEpoch leader_epoch;
  std::int8_t magic = 0;
  std::uint32_t crc = 0;
  std::uint16_t attributes = 0;
  std::int32_t last_offset_delta = 0;
  base::WallMs base_timestamp = 0;
  base::WallMs max_timestamp = 0;
  ProducerId producer_id;
  ProducerEpoch producer_epoch;
  Sequence base_sequence;
  std::int32_t record_count = 0;

  [[nodiscard]] std::size_t size_bytes() const { return static_cast<std::size_t>(batch_length) + batch_log_overhead_bytes; }
  [[nodiscard]] Offset last_offset() const { return base_offset + last_offset_delta; }
  [[nodiscard]] Offset next_offset() const { return last_offset() + 1; }
  [[nodiscard]] CompressionType compression() const { return static_cast<CompressionType>(attributes & 7U); }
  [[nodiscard]] TimestampType timestamp_type() const { return static_cast<TimestampType>((attributes >> 3U) & 1U); }
  [[nodiscard]] bool is_transactional() const { return (attributes & 0x10U) != 0; }
  [[nodiscard]] bool is_control() const { return (attributes & 0x20U) != 0; }
  [[nodiscard]] bool has_producer() const { return producer_id.value() >= 0; }
  /// The last record's sequence: wraps at 2^31 to 0.
  [[nodiscard]] Sequence last_sequence() const;
};

/// sequence + delta in Kafka's arithmetic (wraps at 2^31 to 0).
[[nodiscard]] Sequence advance_sequence(Sequence sequence, std::int32_t delta);

/// Why a batch was refused; api turns it into Kafka's error code.
enum class BatchFault : std::uint8_t {
  too_short,          ///< the input ends before the header or the stated length
  bad_length,         ///< a length below the header's
  unsupported_magic,  ///< magic 0, 1 or unknown
  bad_crc,
  bad_count,        ///< record count < 1, or lastOffsetDelta + 1 != count
  bad_compression,  ///< an unknown codec number
  bad_producer,     ///< producer id without epoch or sequence, or the other way round
};
std::string_view to_string(BatchFault fault);

/// Reads the header of the batch at the front of `data`. Checks only that the header is there.
[[nodiscard]] std::optional<BatchHeader> peek_batch_header(bytes::Bytes data);
/// Reads and checks one whole batch at the front of `data` (which may hold more behind it).
[[nodiscard]] std::expected<BatchHeader, BatchFault> check_batch(bytes::Bytes data);

/// Patches in place: `batch` is the whole batch. None of these fields is covered by the batch's CRC.
void patch_base_offset(bytes::MutableBytes batch, Offset base_offset);
void patch_leader_epoch(bytes::MutableBytes batch, LeaderEpoch epoch);
/// Sets LogAppendTime with this time (attribute bit and maxTimestamp) and renews the CRC over the whole batch.
void patch_log_append_time(bytes::MutableBytes batch, base::WallMs time_ms);

}  // namespace weir::model
