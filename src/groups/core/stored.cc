#include "groups/core/stored.h"

#include <algorithm>

#include "base/ensure.h"
#include "groups/core/records.h"
#include "wire/group_metadata_key.h"
#include "wire/offset_commit_key.h"

namespace weir::groups {
namespace {

std::size_t bytes_of(const std::string& group, const TopicIndex& at, const StoredOffset& offset) {
  return record_bytes(offset_key(group, at).size(), offset_value(offset).size());
}
std::size_t bytes_of(const std::string& group, const bytes::Buffer& metadata) {
  return record_bytes(group_key(group).size(), metadata.size());
}

}  // namespace

bool StoredGroup::has_pending(const TopicIndex& at) const {
  return std::ranges::any_of(pending, [&](const auto& entry) { return entry.second.contains(at); });
}

base::Result<void> StoredState::apply(bytes::Bytes key, std::optional<bytes::Bytes> value, const Source& source) {
  wire::Reader reader(key);
  const auto type = reader.get<std::int16_t>();
  if (!reader.ok()) return base::fail(base::ErrorKind::invalid, "a record's key has no type");
  const bytes::Bytes body = key.subspan(reader.position());
  switch (static_cast<RecordType>(type)) {
    case RecordType::legacy_offset:
    case RecordType::offset: return apply_offset(body, value, source);
    case RecordType::group: return apply_group(key, body, value);
  }
  const std::string name(bytes::as_text(key));
  if (const auto old = others_.find(name); old != others_.end()) {
    live_bytes_ -= record_bytes(name.size(), old->second.value.size());
    others_.erase(old);
  }
  if (value) {
    live_bytes_ += record_bytes(name.size(), value->size());
    others_.emplace(name, Kept{.value = bytes::Buffer::copy_of(*value)});
  }
  return {};
}

base::Result<void> StoredState::apply_offset(bytes::Bytes body, std::optional<bytes::Bytes> value, const Source& source) {
  wire::Reader reader(body);
  auto key = wire::OffsetCommitKey::decode(reader, 0);
  if (!key) return std::unexpected(key.error());
  const std::string id(key->group);
  const TopicIndex at{.topic = std::string(key->topic), .partition = key->partition};
  if (!value) {
    const auto group = groups_.find(id);
    if (group == groups_.end()) return {};
    drop_offset(group->second, id, at);
    // What a transaction is still to say about a removed partition is void too.
    for (auto& [producer, offsets] : group->second.pending) offsets.erase(at);
    forget_if_empty(id);
    return {};
  }
  auto offset = read_offset_value(*value);
  if (!offset) return std::unexpected(offset.error());
  StoredGroup& group = groups_[id];
  if (source.transaction) {
    open_.try_emplace(*source.transaction, source.offset);
    touched_[*source.transaction].insert(id);
    group.pending[*source.transaction][at] = std::move(*offset);
  } else {
    put_offset(group, id, at, std::move(*offset));
  }
  return {};
}

base::Result<void> StoredState::apply_group(bytes::Bytes /*key*/, bytes::Bytes body, std::optional<bytes::Bytes> value) {
  wire::Reader reader(body);
  auto key = wire::GroupMetadataKey::decode(reader, 0);
  if (!key) return std::unexpected(key.error());
  const std::string id(key->group);
  if (value) {
    auto readable = read_group_value(*value);
    if (!readable) return std::unexpected(readable.error());
  }
  StoredGroup& group = groups_[id];
  if (group.metadata) live_bytes_ -= bytes_of(id, *group.metadata);
  group.metadata.reset();
  if (value) {
    group.metadata = bytes::Buffer::copy_of(*value);
    live_bytes_ += bytes_of(id, *group.metadata);
  }
  forget_if_empty(id);
  return {};
}

void StoredState::put_offset(StoredGroup& group, const std::string& id, const TopicIndex& at, StoredOffset offset) {
  drop_offset(group, id, at);
  live_bytes_ += bytes_of(id, at, offset);
  ++offset_count_;
  group.offsets.emplace(at, std::move(offset));
}

void StoredState::drop_offset(StoredGroup& group, const std::string& id, const TopicIndex& at) {
  const auto old = group.offsets.find(at);
  if (old == group.offsets.end()) return;
  live_bytes_ -= bytes_of(id, at, old->second);
  --offset_count_;
  group.offsets.erase(old);
}

void StoredState::forget_if_empty(const std::string& id) {
  if (const auto group = groups_.find(id); group != groups_.end() && group->second.empty()) groups_.erase(group);
}

void StoredState::end_transaction(model::ProducerId producer, bool commit) {
  open_.erase(producer);
  const auto touched = touched_.find(producer);
  if (touched == touched_.end()) return;
  for (const std::string& id : touched->second) {
    const auto group = groups_.find(id);
    if (group == groups_.end()) continue;
    auto node = group->second.pending.extract(producer);
    if (!node) continue;
    for (auto& [at, offset] : node.mapped()) {
      if (commit) put_offset(group->second, id, at, std::move(offset));
    }
    forget_if_empty(id);
  }
  touched_.erase(touched);
}

const StoredGroup* StoredState::find(const std::string& group) const {
  const auto at = groups_.find(group);
  return at == groups_.end() ? nullptr : &at->second;
}

std::optional<model::Offset> StoredState::first_open() const {
  std::optional<model::Offset> first;
  for (const auto& [producer, offset] : open_) first = std::min(first.value_or(offset), offset);
  return first;
}

std::string StoredState::checkpoint(const std::string& after, std::size_t bytes_max, std::vector<Record>& into) const {
  // The cursor is 'o' and a key of others_, or 'g' and a group's id: those come last. A group's records stay together.
  std::size_t bytes = 0;
  if (after.empty() || after.front() == 'o') {
    for (auto it = after.empty() ? others_.begin() : others_.upper_bound(after.substr(1)); it != others_.end(); ++it) {
      into.push_back({.key = bytes::Buffer::copy_of(it->first), .value = it->second.value});
      bytes += record_bytes(it->first.size(), it->second.value.size());
      if (bytes >= bytes_max) return "o" + it->first;
    }
  }
  for (auto it = !after.empty() && after.front() == 'g' ? groups_.upper_bound(after.substr(1)) : groups_.begin();
       it != groups_.end(); ++it) {
    const auto& [id, group] = *it;
    if (group.metadata) {
      into.push_back({.key = group_key(id), .value = *group.metadata});
      bytes += record_bytes(into.back().key.size(), group.metadata->size());
    }
    for (const auto& [at, offset] : group.offsets) {
      into.push_back({.key = offset_key(id, at), .value = offset_value(offset)});
      bytes += record_bytes(into.back().key.size(), into.back().value->size());
    }
    if (bytes >= bytes_max) return "g" + id;
  }
  return {};
}

}  // namespace weir::groups
