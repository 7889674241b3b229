#include "meta/codec.h"

#include <fmt/core.h>

#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "meta/keys.h"

namespace weir::meta {
namespace {

using base::ErrorKind;
using base::fail;
using bytes::Packer;
using bytes::Unpacker;

constexpr std::size_t crc_bytes = 4;

Packer begin() {
  Packer out;
  out.put(value_version);
  return out;
}

std::string finish(std::string_view key, Packer& out) {
  out.put(bytes::crc32c(out.view(), bytes::crc32c(bytes::as_bytes(key))));
  return out.str();
}

void put_id(Packer& out, const model::Uuid& id) { out.put_bytes(std::as_bytes(std::span(id.bytes))); }

template <class Id>
Id get_id(Unpacker& in) {
  Id id;
  const bytes::Bytes raw = in.get_bytes(id.bytes.size());
  if (raw.size() == id.bytes.size()) std::memcpy(id.bytes.data(), raw.data(), raw.size());
  return id;
}

void put_values(Packer& out, const std::map<std::string, std::string>& values) {
  out.put(static_cast<std::uint32_t>(values.size()));
  for (const auto& [name, value] : values) {
    out.put_string(name);
    out.put_string(value);
  }
}

// False: a name stands there twice.
bool get_values(Unpacker& in, std::map<std::string, std::string>& values) {
  const auto count = in.get<std::uint32_t>();
  if (!in.can_hold(count, 2 * sizeof(std::uint32_t))) return true;
  for (std::uint32_t i = 0; i < count && !in.failed(); ++i) {
    std::string name = in.get_string();
    values[std::move(name)] = in.get_string();
  }
  return values.size() == count;
}

std::unexpected<base::Error> corrupt(std::string_view key, std::string_view what) {
  return fail(ErrorKind::corrupt, fmt::format("keyspace value of {}: {}", key, what));
}

// The fields between version and CRC, checked.
base::Result<Unpacker> open(const keyspace::KeyValue& entry) {
  const bytes::Bytes value = bytes::as_bytes(entry.value);
  if (value.size() < 1 + crc_bytes) return corrupt(entry.key, "too short");
  const bytes::Bytes body = value.first(value.size() - crc_bytes);
  const auto stated = bytes::load_le<std::uint32_t>(value.data() + body.size());
  if (bytes::crc32c(body, bytes::crc32c(bytes::as_bytes(entry.key))) != stated) return corrupt(entry.key, "bad CRC");
  const auto version = static_cast<std::uint8_t>(body[0]);
  if (version == 0) return corrupt(entry.key, "version 0");
  if (version > value_version) {
    return fail(ErrorKind::invalid, fmt::format("keyspace value of {} has format version {}, this binary reads up to {}: "
                                                "a newer weir wrote it",
                                                entry.key, version, value_version));
  }
  return Unpacker(body.subspan(1));
}

template <class T>
base::Result<T> close(const keyspace::KeyValue& entry, const Unpacker& in, T record) {
  if (!in.done()) return corrupt(entry.key, in.failed() ? "ends early" : "has bytes left over");
  return record;
}

}  // namespace

std::string encode(std::string_view key, const ClusterRecord& record) {
  Packer out = begin();
  put_id(out, record.id);
  out.put(record.format_level);
  out.put(record.incarnation);
  return finish(key, out);
}

base::Result<ClusterRecord> decode_cluster(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  ClusterRecord record;
  record.id = get_id<model::ClusterId>(in);
  record.format_level = in.get<std::uint32_t>();
  record.incarnation = in.get<std::uint64_t>();
  return close(entry, in, record);
}

std::string encode(std::string_view key, const TopicRecord& record) {
  Packer out = begin();
  put_id(out, record.id);
  out.put(record.partition_count);
  out.put(record.replication_factor);
  out.put(record.created_ms);
  out.put(static_cast<std::uint8_t>(record.internal ? 1 : 0));
  out.put(static_cast<std::uint32_t>(record.assignments.size()));
  for (const auto& replicas : record.assignments) {
    out.put(static_cast<std::uint32_t>(replicas.size()));
    for (const std::int32_t node : replicas) out.put(node);
  }
  put_values(out, record.configs);
  return finish(key, out);
}

base::Result<TopicRecord> decode_topic(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  TopicRecord record;
  record.name = keys::rest(entry.key, keys::topic_prefix);
  record.revision = entry.mod_revision;
  record.id = get_id<model::TopicId>(in);
  record.partition_count = in.get<std::int32_t>();
  record.replication_factor = in.get<std::int16_t>();
  record.created_ms = in.get<std::int64_t>();
  const auto internal = in.get<std::uint8_t>();
  record.internal = internal == 1;
  const auto assignment_count = in.get<std::uint32_t>();
  if (in.can_hold(assignment_count, sizeof(std::uint32_t))) {
    for (std::uint32_t i = 0; i < assignment_count && !in.failed(); ++i) {
      const auto replica_count = in.get<std::uint32_t>();
      if (!in.can_hold(replica_count, sizeof(std::int32_t))) break;
      auto& replicas = record.assignments.emplace_back();
      for (std::uint32_t j = 0; j < replica_count; ++j) replicas.push_back(in.get<std::int32_t>());
    }
  }
  const bool distinct = get_values(in, record.configs);
  if (in.failed()) return corrupt(entry.key, "ends early");
  if (record.name.empty() || record.partition_count < 1 || internal > 1 || !distinct ||
      (assignment_count != 0 && assignment_count != static_cast<std::uint32_t>(record.partition_count))) {
    return corrupt(entry.key, "an impossible topic");
  }
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const SessionRecord& record) {
  Packer out = begin();
  out.put(record.node.value());
  out.put(static_cast<std::uint8_t>(record.state));
  put_id(out, record.wal);
  out.put(record.segment_bytes);
  out.put(record.window_bytes);
  out.put(record.started_ms);
  return finish(key, out);
}

base::Result<SessionRecord> decode_session(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto id = keys::parse_id<model::SessionId>(keys::rest(entry.key, keys::session_prefix));
  if (!id) return corrupt(entry.key, "the key names no session");
  SessionRecord record;
  record.id = *id;
  record.revision = entry.mod_revision;
  record.node = model::NodeId(in.get<std::int32_t>());
  const auto state = in.get<std::uint8_t>();
  record.wal = get_id<model::WalId>(in);
  record.segment_bytes = in.get<std::uint32_t>();
  record.window_bytes = in.get<std::uint64_t>();
  record.started_ms = in.get<std::int64_t>();
  if (!in.failed() && (state < 1 || state > 3)) return corrupt(entry.key, "an unknown session state");
  record.state = static_cast<SessionState>(state);
  return close(entry, in, record);
}

std::string encode(std::string_view key, const OwnRecord& record) {
  Packer out = begin();
  out.put(static_cast<std::uint32_t>(record.history.size()));
  for (const OwnHistoryEntry& entry : record.history) {
    out.put(entry.epoch.value());
    out.put(entry.start.value());
    put_id(out, entry.session);
  }
  return finish(key, out);
}

base::Result<OwnRecord> decode_own(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  OwnRecord record;
  record.revision = entry.mod_revision;
  const auto count = in.get<std::uint32_t>();
  constexpr std::size_t entry_bytes = 4 + 8 + 16;
  if (in.can_hold(count, entry_bytes)) {
    for (std::uint32_t i = 0; i < count; ++i) {
      OwnHistoryEntry& item = record.history.emplace_back();
      item.epoch = model::LeaderEpoch(in.get<std::int32_t>());
      item.start = model::Offset(in.get<std::int64_t>());
      item.session = get_id<model::SessionId>(in);
    }
  }
  for (std::size_t i = 1; i < record.history.size(); ++i) {
    const OwnHistoryEntry& before = record.history[i - 1];
    const OwnHistoryEntry& after = record.history[i];
    if (after.epoch <= before.epoch || after.start < before.start) return corrupt(entry.key, "epochs or starts go back");
  }
  if (!in.failed() && (record.history.empty() || record.history.size() > own_history_max ||
                       record.history.front().epoch.value() < 1 || record.history.front().start.value() < 0)) {
    return corrupt(entry.key, "an impossible history");
  }
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const CommitRecord& record) {
  Packer out = begin();
  out.put(record.commit.value());
  put_id(out, record.object);
  return finish(key, out);
}

base::Result<CommitRecord> decode_commit(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  CommitRecord record;
  record.commit = model::CommitNumber(in.get<std::uint64_t>());
  record.object = get_id<model::ObjectId>(in);
  return close(entry, in, record);
}

std::string encode(std::string_view key, const ObjectRecord& record) {
  Packer out = begin();
  put_id(out, record.id);
  out.put_string(record.key);
  out.put(record.size_bytes);
  out.put(record.footer_position);
  out.put(record.footer_bytes);
  out.put(record.footer_crc);
  out.put(record.created_ms);
  if (record.merged_place > 0) out.put(record.merged_place);
  return finish(key, out);
}

base::Result<ObjectRecord> decode_object(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto name = keys::parse_object(keys::rest(entry.key, keys::object_prefix));
  if (!name) return corrupt(entry.key, "the key names no commit");
  ObjectRecord record;
  record.session = name->session;
  record.commit = name->commit;
  record.revision = entry.mod_revision;
  record.id = get_id<model::ObjectId>(in);
  record.key = in.get_string();
  record.size_bytes = in.get<std::uint64_t>();
  record.footer_position = in.get<std::uint64_t>();
  record.footer_bytes = in.get<std::uint32_t>();
  record.footer_crc = in.get<std::uint32_t>();
  record.created_ms = in.get<std::int64_t>();
  if (in.left() > 0) {
    record.merged_place = in.get<keyspace::Revision>();
    const bool possible = is_merge(record.commit) && record.merged_place > 0 && record.merged_place < record.revision;
    if (!in.failed() && !possible) return corrupt(entry.key, "a merged object at an impossible place");
  }
  if (!in.failed() &&
      (record.footer_bytes > record.size_bytes || record.footer_position > record.size_bytes - record.footer_bytes)) {
    return corrupt(entry.key, "a footer outside its object");
  }
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const ManifestRecord& record) {
  Packer out = begin();
  out.put(record.sequence);
  out.put(record.covers_to.value());
  put_id(out, record.page);
  out.put_string(record.key);
  out.put(record.root_position);
  out.put(record.root_bytes);
  out.put(record.root_crc);
  return finish(key, out);
}

base::Result<ManifestRecord> decode_manifest(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto partition = keys::parse_partition(keys::rest(entry.key, keys::manifest_prefix));
  if (!partition) return corrupt(entry.key, "the key names no partition");
  ManifestRecord record;
  record.partition = *partition;
  record.revision = entry.mod_revision;
  record.sequence = in.get<std::uint64_t>();
  record.covers_to = model::Offset(in.get<std::int64_t>());
  record.page = get_id<model::ObjectId>(in);
  record.key = in.get_string();
  record.root_position = in.get<std::uint64_t>();
  record.root_bytes = in.get<std::uint32_t>();
  record.root_crc = in.get<std::uint32_t>();
  if (!in.failed() && (record.sequence == 0 || record.covers_to.value() < 0 || record.root_bytes == 0)) {
    return corrupt(entry.key, "an impossible manifest");
  }
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const GarbageRecord& record) {
  Packer out = begin();
  out.put_string(record.key);
  out.put(record.unlinked_ms);
  return finish(key, out);
}

base::Result<GarbageRecord> decode_garbage(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto id = keys::parse_id<model::ObjectId>(keys::rest(entry.key, keys::garbage_prefix));
  if (!id) return corrupt(entry.key, "the key names no object");
  GarbageRecord record;
  record.id = *id;
  record.revision = entry.mod_revision;
  record.key = in.get_string();
  record.unlinked_ms = in.get<std::int64_t>();
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const DeletionRecord& record) {
  Packer out = begin();
  out.put_string(record.name);
  out.put(record.partition_count);
  return finish(key, out);
}

base::Result<DeletionRecord> decode_deletion(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  DeletionRecord record;
  record.name = in.get_string();
  record.partition_count = in.get<std::int32_t>();
  return close(entry, in, std::move(record));
}

std::string encode(std::string_view key, const ConfigRecord& record) {
  Packer out = begin();
  put_values(out, record.values);
  return finish(key, out);
}

base::Result<ConfigRecord> decode_config(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  auto name = keys::parse_config(keys::rest(entry.key, keys::config_prefix));
  if (!name) return corrupt(entry.key, "the key names no resource");
  ConfigRecord record{.kind = name->kind, .name = std::move(name->name), .values = {}, .revision = entry.mod_revision};
  const bool distinct = get_values(in, record.values);
  if (!in.failed() && (!distinct || record.values.empty())) return corrupt(entry.key, "impossible settings");
  return close(entry, in, std::move(record));
}

std::string encode_segments(std::string_view key, std::uint32_t segment_count) {
  Packer out = begin();
  out.put(segment_count);
  return finish(key, out);
}

base::Result<std::uint32_t> decode_segments(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto count = in.get<std::uint32_t>();
  return close(entry, in, count);
}

std::string encode_log_start(std::string_view key, model::Offset start) {
  Packer out = begin();
  out.put(start.value());
  return finish(key, out);
}

base::Result<model::Offset> decode_log_start(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto start = in.get<std::int64_t>();
  if (!in.failed() && start < 0) return corrupt(entry.key, "a negative log start");
  return close(entry, in, model::Offset(start));
}

std::string encode_producer_ids(std::string_view key, model::ProducerId next) {
  Packer out = begin();
  out.put(next.value());
  return finish(key, out);
}

base::Result<model::ProducerId> decode_producer_ids(const keyspace::KeyValue& entry) {
  WEIR_TRY_ASSIGN(Unpacker in, open(entry));
  const auto next = in.get<std::int64_t>();
  if (!in.failed() && next < 0) return corrupt(entry.key, "a negative producer id");
  return close(entry, in, model::ProducerId(next));
}

}  // namespace weir::meta
