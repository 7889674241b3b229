// model/records.h: the records inside a batch: reading, building, and changing a batch's compression.
// Why:        the log looks into batches only where a topic or a question demands it (own compression.type, keys of compacted
//             topics, offsets by time, transaction markers); tests, markers and the small client build batches.
// Contract:   pure. RecordReader never reads outside its input; views point into it. All allocations are bounded by
//             inflated_bytes_max or by the input.
// Failure:    invalid: the records do not match the header or are damaged.
// Tests:      model/records_test.cc, model/records_fuzz.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "model/record_batch.h"

namespace weir::model {

/// What one batch may inflate to: a bomb of 1 MiB of zeros in zstd would otherwise cost gigabytes.
inline constexpr std::size_t inflated_bytes_max = std::size_t{128} << 20U;

struct RecordHeaderView {
  std::string_view key;
  std::optional<bytes::Bytes> value;
};

struct RecordView {
  Offset offset;
  base::WallMs timestamp = -1;  ///< as a consumer sees it: the batch's with LogAppendTime
  std::optional<bytes::Bytes> key;
  std::optional<bytes::Bytes> value;
  std::vector<RecordHeaderView> headers;
};

/// The records' bytes of a whole batch, decompressed when needed (else a view's copy is avoided: see RecordReader::open).
[[nodiscard]] base::Result<bytes::Buffer> inflate_records(bytes::Bytes batch, const BatchHeader& header);

class RecordReader {
 public:
  /// `batch` is one whole checked batch; it must outlive the reader.
  [[nodiscard]] static base::Result<RecordReader> open(bytes::Bytes batch);
  /// The next record; empty after the last. A record that contradicts the header is invalid.
  [[nodiscard]] base::Result<std::optional<RecordView>> next();

 private:
  RecordReader(const BatchHeader& header, bytes::Buffer inflated, bytes::Bytes data)
      : header_(header), inflated_(std::move(inflated)), data_(data) {}
  BatchHeader header_;
  bytes::Buffer inflated_;  ///< owns data_ when the batch is compressed
  bytes::Bytes data_;
  std::size_t at_ = 0;
  std::int32_t read_count_ = 0;
};

struct RecordInput {
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  base::WallMs timestamp = 0;
  std::vector<std::pair<std::string_view, std::optional<std::string_view>>> headers = {};
};

struct BatchSpec {
  Offset base_offset{0};
  LeaderEpoch leader_epoch{-1};
  CompressionType compression = CompressionType::none;
  TimestampType timestamp_type = TimestampType::create_time;
  ProducerId producer_id{-1};
  ProducerEpoch producer_epoch{-1};
  Sequence base_sequence{-1};
  bool transactional = false;
  bool control = false;
};

/// One whole batch with its CRC. At least one record.
[[nodiscard]] base::Result<bytes::Buffer> build_batch(const BatchSpec& spec, const std::vector<RecordInput>& records);

/// The same batch with its records in another codec; everything else in the header stays, lengths and CRC are renewed.
[[nodiscard]] base::Result<bytes::Buffer> recompress(bytes::Bytes batch, CompressionType to);

/// The end of a transaction, as its control batch carries it.
struct EndMarker {
  bool commit = false;
  std::int32_t coordinator_epoch = 0;
};
/// Kafka's control record: key (version i16, type i16: 0 abort, 1 commit), value (version i16, coordinator epoch i32).
[[nodiscard]] base::Result<EndMarker> read_end_marker(bytes::Bytes batch);
[[nodiscard]] base::Result<bytes::Buffer> build_end_marker(ProducerId producer, ProducerEpoch epoch, EndMarker marker,
                                                           base::WallMs timestamp);

}  // namespace weir::model
