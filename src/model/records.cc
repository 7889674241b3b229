#include "model/records.h"

#include <array>
#include <cstring>

#include "base/ensure.h"
#include "bytes/compression.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "bytes/varint.h"

namespace weir::model {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::size_t at_length = 8;
constexpr std::size_t at_crc = 17;
constexpr std::size_t at_attributes = 21;
constexpr std::uint16_t compression_mask = 7;
constexpr std::size_t record_bytes_min = 7;  ///< length, attributes, deltas, key, value and header count of one byte each

bytes::Codec codec_of(CompressionType type) { return static_cast<bytes::Codec>(type); }

// Reads a length-prefixed field: -1 = null. False when it does not fit.
bool get_field(bytes::Bytes data, std::size_t& at, std::optional<bytes::Bytes>& out) {
  const auto length = bytes::get_varint(data, at);
  if (!length || *length < -1 || *length > static_cast<std::int64_t>(data.size() - at)) return false;
  if (*length == -1) {
    out.reset();
    return true;
  }
  out = data.subspan(at, static_cast<std::size_t>(*length));
  at += static_cast<std::size_t>(*length);
  return true;
}

bool get_headers(bytes::Bytes data, std::size_t& at, std::vector<RecordHeaderView>& out) {
  const auto count = bytes::get_varint(data, at);
  constexpr std::int64_t header_bytes_min = 2;
  if (!count || *count < 0 || *count > static_cast<std::int64_t>(data.size() - at) / header_bytes_min) return false;
  out.reserve(static_cast<std::size_t>(*count));
  for (std::int64_t i = 0; i < *count; ++i) {
    std::optional<bytes::Bytes> key;
    RecordHeaderView header;
    if (!get_field(data, at, key) || !key || !get_field(data, at, header.value)) return false;
    header.key = bytes::as_text(*key);
    out.push_back(header);
  }
  return true;
}

void put_field(std::vector<std::byte>& into, std::optional<std::string_view> field) {
  bytes::put_varint(into, field ? static_cast<std::int64_t>(field->size()) : -1);
  if (field) into.insert(into.end(), bytes::as_bytes(*field).begin(), bytes::as_bytes(*field).end());
}

// Puts the header's fields and the CRC in front of records that are in their final codec.
bytes::Buffer assemble(const BatchHeader& header, bytes::Bytes records) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(batch_header_bytes + records.size());
  std::byte* p = slab.writable().data();
  using bytes::store_be;
  store_be(p, header.base_offset.value());
  store_be(p + at_length, static_cast<std::int32_t>(batch_header_bytes - batch_log_overhead_bytes + records.size()));
  store_be(p + 12, header.leader_epoch.value());
  store_be(p + 16, batch_magic_v2);
  store_be(p + at_attributes, header.attributes);
  store_be(p + 23, header.last_offset_delta);
  store_be(p + 27, header.base_timestamp);
  store_be(p + 35, header.max_timestamp);
  store_be(p + 43, header.producer_id.value());
  store_be(p + 51, header.producer_epoch.value());
  store_be(p + 53, header.base_sequence.value());
  store_be(p + 57, header.record_count);
  if (!records.empty()) std::memcpy(p + batch_header_bytes, records.data(), records.size());
  store_be(p + at_crc, bytes::crc32c(bytes::Bytes(p + at_attributes, slab.size() - at_attributes)));
  const std::size_t size = slab.size();
  return bytes::Buffer(std::move(slab), 0, size);
}

}  // namespace

Result<bytes::Buffer> inflate_records(bytes::Bytes batch, const BatchHeader& header) {
  const bytes::Bytes records = batch.subspan(batch_header_bytes, header.size_bytes() - batch_header_bytes);
  if (header.compression() == CompressionType::none) return bytes::Buffer::copy_of(records);
  return bytes::decompress(codec_of(header.compression()), records, inflated_bytes_max);
}

Result<RecordReader> RecordReader::open(bytes::Bytes batch) {
  const std::optional<BatchHeader> header = peek_batch_header(batch);
  if (!header || header->batch_length < static_cast<std::int32_t>(batch_header_bytes - batch_log_overhead_bytes) ||
      header->size_bytes() > batch.size()) {
    return fail(ErrorKind::invalid, "the batch is shorter than its header says");
  }
  if (header->compression() == CompressionType::none) {
    return RecordReader(*header, {}, batch.subspan(batch_header_bytes, header->size_bytes() - batch_header_bytes));
  }
  if (header->compression() > CompressionType::zstd) return fail(ErrorKind::invalid, "unknown compression codec");
  WEIR_TRY_ASSIGN(bytes::Buffer inflated, inflate_records(batch, *header));
  const bytes::Bytes view = inflated.view();
  return RecordReader(*header, std::move(inflated), view);
}

Result<std::optional<RecordView>> RecordReader::next() {
  if (read_count_ == header_.record_count) {
    if (at_ != data_.size()) return fail(ErrorKind::invalid, "bytes follow the last record");
    return std::optional<RecordView>();
  }
  const auto length = bytes::get_varint(data_, at_);
  if (!length || *length < static_cast<std::int64_t>(record_bytes_min - 1) ||
      *length > static_cast<std::int64_t>(data_.size() - at_)) {
    return fail(ErrorKind::invalid, "a record's length does not fit");
  }
  const bytes::Bytes record = data_.subspan(at_, static_cast<std::size_t>(*length));
  at_ += record.size();
  std::size_t at = 1;  // attributes: unused in magic 2
  const auto timestamp_delta = bytes::get_varint(record, at);
  const auto offset_delta = bytes::get_varint(record, at);
  if (!timestamp_delta || !offset_delta || *offset_delta != read_count_) {
    return fail(ErrorKind::invalid, "a record's deltas do not match the batch");
  }
  RecordView view;
  view.offset = header_.base_offset + *offset_delta;
  view.timestamp = header_.timestamp_type() == TimestampType::log_append_time
                       ? header_.max_timestamp
                       : static_cast<std::int64_t>(static_cast<std::uint64_t>(header_.base_timestamp) +
                                                   static_cast<std::uint64_t>(*timestamp_delta));
  if (!get_field(record, at, view.key) || !get_field(record, at, view.value) || !get_headers(record, at, view.headers) ||
      at != record.size()) {
    return fail(ErrorKind::invalid, "a record's fields do not fill its length");
  }
  ++read_count_;
  return std::optional<RecordView>(std::move(view));
}

Result<bytes::Buffer> build_batch(const BatchSpec& spec, const std::vector<RecordInput>& records) {
  ENSURE(!records.empty(), "a batch needs a record");
  BatchHeader header;
  header.base_offset = spec.base_offset;
  header.leader_epoch = spec.leader_epoch;
  header.attributes =
      static_cast<std::uint16_t>(static_cast<unsigned>(spec.compression) | (static_cast<unsigned>(spec.timestamp_type) << 3U) |
                                 (spec.transactional ? 0x10U : 0U) | (spec.control ? 0x20U : 0U));
  header.last_offset_delta = static_cast<std::int32_t>(records.size()) - 1;
  header.record_count = static_cast<std::int32_t>(records.size());
  header.base_timestamp = records.front().timestamp;
  header.max_timestamp = records.front().timestamp;
  header.producer_id = spec.producer_id;
  header.producer_epoch = spec.producer_epoch;
  header.base_sequence = spec.base_sequence;
  std::vector<std::byte> plain;
  std::vector<std::byte> one;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const RecordInput& record = records[i];
    header.max_timestamp = std::max(header.max_timestamp, record.timestamp);
    one.assign(1, std::byte{0});
    bytes::put_varint(one, record.timestamp - header.base_timestamp);
    bytes::put_varint(one, static_cast<std::int64_t>(i));
    put_field(one, record.key);
    put_field(one, record.value);
    bytes::put_varint(one, static_cast<std::int64_t>(record.headers.size()));
    for (const auto& [key, value] : record.headers) {
      put_field(one, key);
      put_field(one, value);
    }
    bytes::put_varint(plain, static_cast<std::int64_t>(one.size()));
    plain.insert(plain.end(), one.begin(), one.end());
  }
  if (spec.compression == CompressionType::none) return assemble(header, plain);
  WEIR_TRY_ASSIGN(const bytes::Buffer packed, bytes::compress(codec_of(spec.compression), plain));
  return assemble(header, packed.view());
}

Result<bytes::Buffer> recompress(bytes::Bytes batch, CompressionType to) {
  std::optional<BatchHeader> header = peek_batch_header(batch);
  if (!header || header->size_bytes() > batch.size())
    return fail(ErrorKind::invalid, "the batch is shorter than its header says");
  WEIR_TRY_ASSIGN(const bytes::Buffer plain, inflate_records(batch, *header));
  header->attributes = static_cast<std::uint16_t>((header->attributes & ~compression_mask) | static_cast<std::uint16_t>(to));
  if (to == CompressionType::none) return assemble(*header, plain.view());
  WEIR_TRY_ASSIGN(const bytes::Buffer packed, bytes::compress(codec_of(to), plain.view()));
  return assemble(*header, packed.view());
}

Result<EndMarker> read_end_marker(bytes::Bytes batch) {
  WEIR_TRY_ASSIGN(RecordReader reader, RecordReader::open(batch));
  WEIR_TRY_ASSIGN(const std::optional<RecordView> record, reader.next());
  constexpr std::size_t key_bytes_min = 4;
  constexpr std::size_t value_bytes_min = 6;
  if (!record || !record->key || record->key->size() < key_bytes_min || !record->value ||
      record->value->size() < value_bytes_min) {
    return fail(ErrorKind::invalid, "a control batch without an end-of-transaction marker");
  }
  const auto type = bytes::load_be<std::int16_t>(record->key->data() + 2);
  if (type != 0 && type != 1) return fail(ErrorKind::invalid, "an unknown kind of control record");
  return EndMarker{.commit = type == 1, .coordinator_epoch = bytes::load_be<std::int32_t>(record->value->data() + 2)};
}

Result<bytes::Buffer> build_end_marker(ProducerId producer, ProducerEpoch epoch, EndMarker marker, base::WallMs timestamp) {
  std::array<std::byte, 4> key{};
  std::array<std::byte, 6> value{};
  bytes::store_be<std::int16_t>(key.data() + 2, marker.commit ? 1 : 0);
  bytes::store_be<std::int32_t>(value.data() + 2, marker.coordinator_epoch);
  const BatchSpec spec{.producer_id = producer, .producer_epoch = epoch, .transactional = true, .control = true};
  return build_batch(spec, {{.key = bytes::as_text(key), .value = bytes::as_text(value), .timestamp = timestamp}});
}

}  // namespace weir::model
