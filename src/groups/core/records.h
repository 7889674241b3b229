// groups/core/records.h: the records of the topic of groups, in Kafka's formats (schemas/offset_commit_*, group_metadata_*).
// Why:        Kafka's own tools and monitors read that topic.
// Contract:   pure. Written: offsets in version 3 (1 with a client's own expiry), groups in version 3, which every reader since
//             Kafka 2.3 knows. Read: all versions.
// Failure:    invalid: unknown version or damaged.
// Tests:      groups/core/stored_test.cc, tests/compat/wire (the schemas against Kafka's own).
#pragma once

#include <string>

#include "base/result.h"
#include "groups/core/stored.h"
#include "groups/core/types.h"
#include "wire/group_metadata_value.h"
#include "wire/reader.h"

namespace weir::groups {

/// The number in front of a key.
enum class RecordType : std::int16_t { legacy_offset = 0, offset = 1, group = 2 };

[[nodiscard]] bytes::Buffer offset_key(const std::string& group, const TopicIndex& at);
[[nodiscard]] bytes::Buffer offset_value(const StoredOffset& offset);
[[nodiscard]] bytes::Buffer group_key(const std::string& group);
[[nodiscard]] bytes::Buffer group_value(const wire::GroupMetadataValue& value);

[[nodiscard]] base::Result<StoredOffset> read_offset_value(bytes::Bytes value);
/// Views point into `value`.
[[nodiscard]] base::Result<wire::GroupMetadataValue> read_group_value(bytes::Bytes value);

/// What a record takes in a batch, about.
[[nodiscard]] inline std::size_t record_bytes(std::size_t key_bytes, std::size_t value_bytes) {
  constexpr std::size_t overhead = 20;
  return key_bytes + value_bytes + overhead;
}

}  // namespace weir::groups
