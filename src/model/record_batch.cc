#include "model/record_batch.h"

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"

namespace weir::model {
namespace {
// Positions of the fields within a batch.
constexpr std::size_t at_length = 8;
constexpr std::size_t at_leader_epoch = 12;
constexpr std::size_t at_magic = 16;
constexpr std::size_t at_crc = 17;
constexpr std::size_t at_attributes = 21;
constexpr std::size_t at_last_offset_delta = 23;
constexpr std::size_t at_base_timestamp = 27;
constexpr std::size_t at_max_timestamp = 35;
constexpr std::size_t at_producer_id = 43;
constexpr std::size_t at_producer_epoch = 51;
constexpr std::size_t at_base_sequence = 53;
constexpr std::size_t at_record_count = 57;
constexpr std::uint16_t timestamp_type_bit = 8;
}  // namespace

Sequence advance_sequence(Sequence sequence, std::int32_t delta) {
  constexpr std::int64_t modulus = std::int64_t{1} << 31;
  return Sequence(static_cast<std::int32_t>((std::int64_t{sequence.value()} + delta) % modulus));
}

Sequence BatchHeader::last_sequence() const {
  return base_sequence == no_sequence ? no_sequence : advance_sequence(base_sequence, record_count - 1);
}

std::string_view to_string(BatchFault fault) {
  switch (fault) {
    case BatchFault::too_short: return "the batch ends before its stated length";
    case BatchFault::bad_length: return "the batch length is below the size of a header";
    case BatchFault::unsupported_magic: return "the batch's magic is not 2";
    case BatchFault::bad_crc: return "the batch's CRC does not match its bytes";
    case BatchFault::bad_count: return "the record count does not match the offsets";
    case BatchFault::bad_compression: return "the compression codec is unknown";
    case BatchFault::bad_producer: return "producer id, epoch and sequence do not fit together";
  }
  return "unknown fault";
}

std::optional<BatchHeader> peek_batch_header(bytes::Bytes data) {
  if (data.size() < batch_header_bytes) return std::nullopt;
  const std::byte* p = data.data();
  using bytes::load_be;
  return BatchHeader{
      .base_offset = Offset(load_be<std::int64_t>(p)),
      .batch_length = load_be<std::int32_t>(p + at_length),
      .leader_epoch = LeaderEpoch(load_be<std::int32_t>(p + at_leader_epoch)),
      .magic = load_be<std::int8_t>(p + at_magic),
      .crc = load_be<std::uint32_t>(p + at_crc),
      .attributes = load_be<std::uint16_t>(p + at_attributes),
      .last_offset_delta = load_be<std::int32_t>(p + at_last_offset_delta),
      .base_timestamp = load_be<std::int64_t>(p + at_base_timestamp),
      .max_timestamp = load_be<std::int64_t>(p + at_max_timestamp),
      .producer_id = ProducerId(load_be<std::int64_t>(p + at_producer_id)),
      .producer_epoch = ProducerEpoch(load_be<std::int16_t>(p + at_producer_epoch)),
      .base_sequence = Sequence(load_be<std::int32_t>(p + at_base_sequence)),
      .record_count = load_be<std::int32_t>(p + at_record_count),
  };
}

std::expected<BatchHeader, BatchFault> check_batch(bytes::Bytes data) {
  // Magic sits at the same place in all versions, so an old client is told the right thing even with a short old batch.
  if (data.size() > at_magic && static_cast<std::int8_t>(data[at_magic]) != batch_magic_v2) {
    return std::unexpected(BatchFault::unsupported_magic);
  }
  const std::optional<BatchHeader> header = peek_batch_header(data);
  if (!header) return std::unexpected(BatchFault::too_short);
  if (header->batch_length < static_cast<std::int32_t>(batch_header_bytes - batch_log_overhead_bytes)) {
    return std::unexpected(BatchFault::bad_length);
  }
  if (header->size_bytes() > data.size()) return std::unexpected(BatchFault::too_short);
  if (bytes::crc32c(data.subspan(at_attributes, header->size_bytes() - at_attributes)) != header->crc) {
    return std::unexpected(BatchFault::bad_crc);
  }
  if (header->record_count < 1 || header->last_offset_delta != header->record_count - 1) {
    return std::unexpected(BatchFault::bad_count);
  }
  if ((header->attributes & 7U) > static_cast<std::uint16_t>(CompressionType::zstd)) {
    return std::unexpected(BatchFault::bad_compression);
  }
  const bool has_epoch = header->producer_epoch.value() >= 0;
  if (header->has_producer() != has_epoch) return std::unexpected(BatchFault::bad_producer);
  if (header->has_producer() && header->base_sequence.value() < 0 && !header->is_control()) {
    return std::unexpected(BatchFault::bad_producer);
  }
  return *header;
}

void patch_base_offset(bytes::MutableBytes batch, Offset base_offset) { bytes::store_be(batch.data(), base_offset.value()); }

void patch_leader_epoch(bytes::MutableBytes batch, LeaderEpoch epoch) {
  bytes::store_be(batch.data() + at_leader_epoch, epoch.value());
}

void patch_log_append_time(bytes::MutableBytes batch, base::WallMs time_ms) {
  ENSURE(batch.size() >= batch_header_bytes, "a batch of {} bytes", batch.size());
  const auto attributes = bytes::load_be<std::uint16_t>(batch.data() + at_attributes);
  bytes::store_be(batch.data() + at_attributes, static_cast<std::uint16_t>(attributes | timestamp_type_bit));
  bytes::store_be(batch.data() + at_max_timestamp, time_ms);
  bytes::store_be(batch.data() + at_crc, bytes::crc32c(batch.subspan(at_attributes)));
}

}  // namespace weir::model
