#include "log/validate.h"

#include <fmt/format.h>

namespace weir::log {
namespace {

constexpr std::size_t at_magic = 16;  // in every version of the format

void refuse(Validated& batch, Errc error, std::string message) {
  batch.error = error;
  batch.message = std::move(message);
}

// Kafka's distinctions: bytes that end inside a batch hold no batch at all, which is the request's fault and not damage on the way; an
// old magic is a client too old, an unheard-of one is damage.
Errc errc_of(model::BatchFault fault, bytes::Bytes records) {
  switch (fault) {
    case model::BatchFault::bad_length:
    case model::BatchFault::bad_crc: return Errc::corrupt_batch;
    case model::BatchFault::unsupported_magic: {
      const auto magic = static_cast<std::int8_t>(records[at_magic]);  // the fault was found there
      return magic >= 0 && magic < model::batch_magic_v2 ? Errc::unsupported_magic : Errc::corrupt_batch;
    }
    case model::BatchFault::bad_compression: return Errc::unsupported_compression;
    case model::BatchFault::bad_producer: {
      const auto header = model::peek_batch_header(records);
      return header && header->has_producer() && header->producer_epoch.value() < 0 ? Errc::invalid_producer_epoch
                                                                                    : Errc::invalid_record;
    }
    case model::BatchFault::too_short:
    case model::BatchFault::bad_count: return Errc::invalid_record;
  }
  return Errc::corrupt_batch;
}

// Kafka judges each record's time against the broker's clock; the header's maximum stands for the newest of them.
void check_newest(Validated& batch, const model::TopicConfig& config, base::WallMs now_ms) {
  if (batch.header.timestamp_type() == model::TimestampType::log_append_time) {
    refuse(batch, Errc::invalid_timestamp, "a producer must not mark its records with the broker's append time");
    return;
  }
  const base::WallMs newest = batch.header.max_timestamp;
  if (newest >= 0 && newest - now_ms > config.timestamp_after_max_ms) {
    refuse(batch, Errc::invalid_timestamp,
           fmt::format("timestamp {} is more than {} ms ahead of the broker's clock", newest, config.timestamp_after_max_ms));
  }
}

void check_records(Validated& batch, bytes::Bytes sent, const model::TopicConfig& config, bool check_age, base::WallMs now_ms) {
  auto reader = model::RecordReader::open(sent);
  if (!reader) return refuse(batch, Errc::invalid_record, reader.error().text);
  for (;;) {
    auto record = reader->next();
    if (!record) return refuse(batch, Errc::invalid_record, record.error().text);
    if (!*record) return;
    if (config.cleanup_compact && !(*record)->key) {
      return refuse(batch, Errc::invalid_record, "a record of a compacted topic needs a key");
    }
    if (check_age && (*record)->timestamp >= 0 && now_ms - (*record)->timestamp > config.timestamp_before_max_ms) {
      return refuse(batch, Errc::invalid_timestamp,
                    fmt::format("timestamp {} is more than {} ms old", (*record)->timestamp, config.timestamp_before_max_ms));
    }
  }
}

}  // namespace

Validated validate_batch(bytes::Bytes records, bool coordinator) {
  Validated batch;
  if (records.empty()) {
    refuse(batch, Errc::invalid_record, "a produce needs one batch for each partition");
    return batch;
  }
  auto checked = model::check_batch(records);
  if (!checked) {
    // A coordinator's own records carry a producer id without sequences (offset commits of a transaction).
    if (!coordinator || checked.error() != model::BatchFault::bad_producer) {
      refuse(batch, errc_of(checked.error(), records), std::string(model::to_string(checked.error())));
      return batch;
    }
    batch.header = *model::peek_batch_header(records);
  } else {
    batch.header = *checked;
  }
  if (batch.header.size_bytes() != records.size()) {
    refuse(batch, Errc::invalid_record, "a produce must hold exactly one batch for each partition");
    return batch;
  }
  if (!coordinator && batch.header.base_offset.value() != 0) {
    refuse(batch, Errc::invalid_record, "the base offset of a batch that a client sends must be 0");
    return batch;
  }
  if (!batch.header.is_control()) return batch;
  if (!coordinator) {
    refuse(batch, Errc::invalid_record, "clients must not write control batches");
    return batch;
  }
  auto marker = model::read_end_marker(records);
  if (!marker) {
    refuse(batch, Errc::invalid_record, marker.error().text);
    return batch;
  }
  batch.marker = *marker;
  return batch;
}

void validate_for_topic(Validated& batch, bytes::Bytes sent, const model::TopicConfig& config, bool coordinator,
                        base::WallMs now_ms) {
  if (batch.error != Errc::none) return;
  const auto size_max = static_cast<std::size_t>(config.max_message_bytes);
  if (!coordinator && sent.size() > size_max) {
    return refuse(batch, Errc::message_too_large,
                  fmt::format("a batch of {} bytes exceeds max.message.bytes = {}", sent.size(), size_max));
  }
  if (batch.header.is_control()) return;
  const bool create_time = config.timestamp_type == model::TimestampType::create_time;
  if (create_time) check_newest(batch, config, now_ms);
  if (batch.error != Errc::none) return;
  const bool check_age = create_time && config.timestamp_before_max_ms != std::numeric_limits<std::int64_t>::max();
  if (config.cleanup_compact || check_age) check_records(batch, sent, config, check_age, now_ms);
  if (batch.error != Errc::none) return;
  if (!config.compression || *config.compression == batch.header.compression()) return;
  auto rebuilt = model::recompress(sent, *config.compression);
  if (!rebuilt) return refuse(batch, Errc::invalid_record, rebuilt.error().text);
  if (!coordinator && rebuilt->size() > size_max) {
    return refuse(batch, Errc::message_too_large,
                  fmt::format("in the topic's compression the batch has {} bytes: more than max.message.bytes = {}",
                              rebuilt->size(), size_max));
  }
  batch.header = *model::peek_batch_header(rebuilt->view());
  batch.rebuilt = std::move(*rebuilt);
}

}  // namespace weir::log
