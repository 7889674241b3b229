// log/validate.h: whether a produced batch may be appended, as far as the batch and the topic's settings tell.
// Contract:   pure. validate_batch() needs no partition and runs on the caller's shard (the CRC is paid there);
//             validate_for_topic() runs on the owner's. Exactly one batch per partition, as Kafka asks of Produce 3 and later.
//             The records are looked into only where the topic demands it: its own compression.type, keys of compacted topics,
//             a bound on old timestamps.
// Tests:      log/produce_test.cc
#pragma once

#include <optional>
#include <string>

#include "log/log.h"
#include "model/records.h"

namespace weir::log {

struct Validated {
  model::BatchHeader header;               ///< of what will be appended
  bytes::Buffer rebuilt;                   ///< the batch in the topic's codec, when it had to be changed
  std::optional<model::EndMarker> marker;  ///< of a control batch
  Errc error = Errc::none;
  std::string message;
  [[nodiscard]] bytes::Bytes bytes_of(bytes::Bytes sent) const { return rebuilt.empty() ? sent : rebuilt.view(); }
};

[[nodiscard]] Validated validate_batch(bytes::Bytes records, bool coordinator);
/// Adds what the topic demands; a no-op on an error.
void validate_for_topic(Validated& batch, bytes::Bytes sent, const model::TopicConfig& config, bool coordinator,
                        base::WallMs now_ms);

}  // namespace weir::log
