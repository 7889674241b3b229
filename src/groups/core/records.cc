#include "groups/core/records.h"

#include <fmt/format.h>

#include "wire/group_metadata_key.h"
#include "wire/offset_commit_key.h"
#include "wire/offset_commit_value.h"
#include "wire/writer.h"

namespace weir::groups {
namespace {

constexpr std::int16_t offset_value_version = 3;
constexpr std::int16_t offset_value_with_expiry_version = 1;
constexpr std::int16_t group_value_version = 3;

// The version (or a key's type) stands in front of the message.
template <class Message>
bytes::Buffer encode(std::int16_t front, const Message& message, std::int16_t version) {
  wire::Writer writer;
  writer.put(front);
  message.encode(writer, version);
  auto list = writer.finish();
  ENSURE(list.has_value(), "a record of the topic of groups: {}", list.error().text);
  if (list->size() == 1) return std::move(list->front());
  return bytes::Buffer::copy_of(wire::flatten(*list));
}

template <class Message>
base::Result<Message> decode(bytes::Bytes value) {
  wire::Reader reader(value);
  const auto version = reader.get<std::int16_t>();
  if (!reader.ok() || version < Message::version_min || version > Message::version_max) {
    return base::fail(base::ErrorKind::invalid,
                      fmt::format("{} of version {}: this broker reads up to {}", Message::message_name, version,
                                  static_cast<int>(Message::version_max)));
  }
  return Message::decode(reader, version);
}

}  // namespace

bytes::Buffer offset_key(const std::string& group, const TopicIndex& at) {
  const wire::OffsetCommitKey key{.group = group, .topic = at.topic, .partition = at.partition};
  return encode(static_cast<std::int16_t>(RecordType::offset), key, 0);
}

bytes::Buffer offset_value(const StoredOffset& offset) {
  wire::OffsetCommitValue value;
  value.offset = offset.offset;
  value.leader_epoch = offset.leader_epoch;
  value.metadata = offset.metadata;
  value.commit_timestamp = offset.commit_ms;
  value.expire_timestamp = offset.expire_ms.value_or(-1);
  const std::int16_t version = offset.expire_ms ? offset_value_with_expiry_version : offset_value_version;
  return encode(version, value, version);
}

bytes::Buffer group_key(const std::string& group) {
  wire::GroupMetadataKey key;
  key.group = group;
  return encode(static_cast<std::int16_t>(RecordType::group), key, 0);
}

bytes::Buffer group_value(const wire::GroupMetadataValue& value) {
  return encode(group_value_version, value, group_value_version);
}

base::Result<StoredOffset> read_offset_value(bytes::Bytes value) {
  auto read = decode<wire::OffsetCommitValue>(value);
  if (!read) return std::unexpected(read.error());
  StoredOffset offset;
  offset.offset = read->offset;
  offset.leader_epoch = read->leader_epoch;
  offset.metadata = std::string(read->metadata);
  offset.commit_ms = read->commit_timestamp;
  if (read->expire_timestamp >= 0) offset.expire_ms = read->expire_timestamp;
  offset.topic_id = read->topic_id;
  return offset;
}

base::Result<wire::GroupMetadataValue> read_group_value(bytes::Bytes value) { return decode<wire::GroupMetadataValue>(value); }

}  // namespace weir::groups
