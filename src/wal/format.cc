#include "wal/format.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"

namespace weir::wal {
namespace {

using bytes::load_le;
using bytes::store_le;

// Read as bytes: "weirWVOL", "weirWSEG", "weirWGRP".
constexpr std::uint64_t volume_magic = 0x4C4F565772696577ULL;
constexpr std::uint64_t segment_magic = 0x4745535772696577ULL;
constexpr std::uint64_t group_magic = 0x5052475772696577ULL;

constexpr std::size_t block_crc_offset = block_bytes - 4;
constexpr std::size_t group_crc_offset = group_header_bytes - 4;
constexpr std::size_t group_identity_offset = 16;  // identity, LSN, ..., position: what seeds the table's CRC
constexpr std::size_t group_identity_end = 96;
constexpr std::uint32_t segment_flag_retired = 1;

void put_id(std::byte* to, const model::Uuid& id) { std::memcpy(to, id.bytes.data(), id.bytes.size()); }
template <class Id>
Id get_id(const std::byte* from) {
  Id id;
  std::memcpy(id.bytes.data(), from, id.bytes.size());
  return id;
}

void put_identity(std::byte* to, const Identity& identity) {
  put_id(to, identity.cluster);
  put_id(to + 16, identity.wal);
  put_id(to + 32, identity.session);
}
Identity get_identity(const std::byte* from) {
  return {.cluster = get_id<model::ClusterId>(from),
          .session = get_id<model::SessionId>(from + 32),
          .wal = get_id<model::WalId>(from + 16)};
}
bool same(const Identity& a, const Identity& b) { return a.cluster == b.cluster && a.wal == b.wal && a.session == b.session; }

std::uint32_t table_crc_of(const std::byte* header, bytes::Bytes table) {
  const std::uint32_t seed =
      bytes::crc32c(bytes::Bytes(header + group_identity_offset, group_identity_end - group_identity_offset));
  return bytes::crc32c(table, seed);
}

bool known_kind(std::uint8_t kind) {
  return kind >= static_cast<std::uint8_t>(RecordKind::data) && kind <= static_cast<std::uint8_t>(RecordKind::control);
}

RecordEntry decode_record_entry(const std::byte* from) {
  RecordEntry entry;
  entry.header.partition.topic = get_id<model::TopicId>(from);
  entry.header.partition.partition = model::PartitionIndex(load_le<std::int32_t>(from + 16));
  entry.header.epoch = model::LeaderEpoch(load_le<std::int32_t>(from + 20));
  entry.header.base_offset = model::Offset(load_le<std::int64_t>(from + 24));
  entry.header.offset_count = load_le<std::int32_t>(from + 32);
  entry.header.kind = static_cast<RecordKind>(load_le<std::uint8_t>(from + 36));
  entry.payload_offset_bytes = load_le<std::uint32_t>(from + 40);
  entry.payload_length_bytes = load_le<std::uint32_t>(from + 44);
  entry.payload_crc = load_le<std::uint32_t>(from + 48);
  return entry;
}

// Whether the line can stand in a group at all: nothing later may have to fear its numbers.
bool sane(const RecordEntry& entry, const std::byte* from, std::uint32_t table_offset) {
  const std::uint64_t end = std::uint64_t{entry.payload_offset_bytes} + entry.payload_length_bytes;
  return known_kind(load_le<std::uint8_t>(from + 36)) && entry.header.partition.partition.value() >= 0 &&
         entry.header.epoch.value() >= 0 && entry.header.base_offset.value() >= 0 && entry.header.offset_count >= 0 &&
         entry.header.base_offset.value() <= INT64_MAX - entry.header.offset_count &&
         entry.payload_offset_bytes >= group_header_bytes && end <= table_offset;
}

GroupHeader decode_group_header(const std::byte* from) {
  GroupHeader header;
  header.identity = get_identity(from + 16);
  header.lsn = model::Lsn(load_le<std::uint64_t>(from + 64));
  header.durable_lsn = model::Lsn(load_le<std::uint64_t>(from + 72));
  header.keyspace_revision = load_le<std::uint64_t>(from + 80);
  header.segment = load_le<std::uint32_t>(from + 88);
  header.position_bytes = load_le<std::uint32_t>(from + 92);
  header.total_bytes = load_le<std::uint32_t>(from + 96);
  header.table_offset_bytes = load_le<std::uint32_t>(from + 100);
  header.record_count = load_le<std::uint32_t>(from + 104);
  header.statement_count = load_le<std::uint32_t>(from + 108);
  header.table_crc = load_le<std::uint32_t>(from + 112);
  return header;
}

bool lengths_fit(const GroupHeader& header, std::uint32_t segment_bytes) {
  const std::uint64_t table = table_bytes(header.record_count, header.statement_count);
  return header.total_bytes >= block_bytes && header.total_bytes % block_bytes == 0 &&
         std::uint64_t{header.position_bytes} + header.total_bytes <= segment_bytes &&
         header.table_offset_bytes >= group_header_bytes && header.table_offset_bytes + table <= header.total_bytes;
}

// Table and payloads of a group whose header is whole and whose bytes are all there.
bool read_table(bytes::Bytes window, ExaminedGroup& group) {
  const GroupHeader& header = group.header;
  const std::byte* at = window.data() + header.table_offset_bytes;
  const std::size_t size = table_bytes(header.record_count, header.statement_count);
  if (table_crc_of(window.data(), bytes::Bytes(at, size)) != header.table_crc) return false;
  group.records.reserve(header.record_count);
  for (std::uint32_t i = 0; i < header.record_count; ++i, at += record_entry_bytes) {
    RecordEntry entry = decode_record_entry(at);
    if (!sane(entry, at, header.table_offset_bytes)) return false;
    const bytes::Bytes payload = window.subspan(entry.payload_offset_bytes, entry.payload_length_bytes);
    if (bytes::crc32c(payload) != entry.payload_crc) return false;
    group.records.push_back(entry);
  }
  group.statements.reserve(header.statement_count);
  for (std::uint32_t i = 0; i < header.statement_count; ++i, at += statement_entry_bytes) {
    Statement statement;
    statement.partition.topic = get_id<model::TopicId>(at);
    statement.partition.partition = model::PartitionIndex(load_le<std::int32_t>(at + 16));
    statement.high_watermark = model::Offset(load_le<std::int64_t>(at + 24));
    if (statement.partition.partition.value() < 0 || statement.high_watermark.value() < 0) return false;
    group.statements.push_back(statement);
  }
  return true;
}

}  // namespace

bytes::SlabRef encode_volume(const model::ClusterId& cluster) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(volume_file_bytes, block_bytes);
  std::byte* block = slab.writable().data();
  std::memset(block, 0, volume_file_bytes);
  store_le(block, volume_magic);
  store_le(block + 8, format_version);
  put_id(block + 16, cluster);
  store_le(block + block_crc_offset, bytes::crc32c(bytes::Bytes(block, block_crc_offset)));
  std::memcpy(block + block_bytes, block, block_bytes);
  return slab;
}

base::Result<model::ClusterId> decode_volume(bytes::Bytes file) {
  for (std::size_t at = 0; at + block_bytes <= file.size() && at < volume_file_bytes; at += block_bytes) {
    const std::byte* block = file.data() + at;
    if (load_le<std::uint64_t>(block) != volume_magic) continue;
    if (load_le<std::uint32_t>(block + block_crc_offset) != bytes::crc32c(bytes::Bytes(block, block_crc_offset))) continue;
    const auto version = load_le<std::uint16_t>(block + 8);
    if (version > format_version) {
      return base::fail(
          base::ErrorKind::invalid,
          fmt::format("WAL format {} is newer than this binary's {}: start a newer weir", version, format_version));
    }
    return get_id<model::ClusterId>(block + 16);
  }
  return base::fail(base::ErrorKind::corrupt, "the volume header is damaged");
}

bytes::SlabRef encode_segment_header(const SegmentHeader& header) {
  bytes::SlabRef slab = bytes::SlabRef::allocate(block_bytes, block_bytes);
  std::byte* block = slab.writable().data();
  std::memset(block, 0, block_bytes);
  store_le(block, segment_magic);
  store_le(block + 8, format_version);
  store_le(block + 12, header.retired ? segment_flag_retired : 0U);
  put_identity(block + 16, header.identity);
  store_le(block + 64, header.segment);
  store_le(block + 68, header.segment_bytes);
  store_le(block + block_crc_offset, bytes::crc32c(bytes::Bytes(block, block_crc_offset)));
  return slab;
}

base::Result<SegmentHeader> decode_segment_header(bytes::Bytes block) {
  if (block.size() < block_bytes || load_le<std::uint64_t>(block.data()) != segment_magic ||
      load_le<std::uint32_t>(block.data() + block_crc_offset) != bytes::crc32c(block.first(block_crc_offset))) {
    return base::fail(base::ErrorKind::corrupt, "the segment header is damaged");
  }
  const auto version = load_le<std::uint16_t>(block.data() + 8);
  if (version > format_version) {
    return base::fail(
        base::ErrorKind::invalid,
        fmt::format("segment format {} is newer than this binary's {}: start a newer weir", version, format_version));
  }
  return SegmentHeader{.identity = get_identity(block.data() + 16),
                       .segment = load_le<std::uint32_t>(block.data() + 64),
                       .segment_bytes = load_le<std::uint32_t>(block.data() + 68),
                       .retired = (load_le<std::uint32_t>(block.data() + 12) & segment_flag_retired) != 0};
}

void encode_record_entry(std::byte* to, const RecordEntry& entry) {
  std::memset(to, 0, record_entry_bytes);
  put_id(to, entry.header.partition.topic);
  store_le(to + 16, entry.header.partition.partition.value());
  store_le(to + 20, entry.header.epoch.value());
  store_le(to + 24, entry.header.base_offset.value());
  store_le(to + 32, entry.header.offset_count);
  store_le(to + 36, static_cast<std::uint8_t>(entry.header.kind));
  store_le(to + 40, entry.payload_offset_bytes);
  store_le(to + 44, entry.payload_length_bytes);
  store_le(to + 48, entry.payload_crc);
}

void encode_statement(std::byte* to, const Statement& statement) {
  std::memset(to, 0, statement_entry_bytes);
  put_id(to, statement.partition.topic);
  store_le(to + 16, statement.partition.partition.value());
  store_le(to + 24, statement.high_watermark.value());
}

void encode_group_header(std::byte* to, const GroupHeader& header, bytes::Bytes table) {
  ENSURE(table.size() == table_bytes(header.record_count, header.statement_count),
         "a table of {} bytes for {} records, {} lines", table.size(), header.record_count, header.statement_count);
  std::memset(to, 0, group_header_bytes);
  store_le(to, group_magic);
  store_le(to + 8, format_version);
  store_le(to + 10, static_cast<std::uint16_t>(group_header_bytes));
  put_identity(to + 16, header.identity);
  store_le(to + 64, header.lsn.value());
  store_le(to + 72, header.durable_lsn.value());
  store_le(to + 80, header.keyspace_revision);
  store_le(to + 88, header.segment);
  store_le(to + 92, header.position_bytes);
  store_le(to + 96, header.total_bytes);
  store_le(to + 100, header.table_offset_bytes);
  store_le(to + 104, header.record_count);
  store_le(to + 108, header.statement_count);
  store_le(to + 112, table_crc_of(to, table));
  store_le(to + group_crc_offset, bytes::crc32c(bytes::Bytes(to, group_crc_offset)));
}

ExaminedGroup examine_group(bytes::Bytes window, const ExamineContext& context, std::uint32_t position_bytes) {
  ENSURE(window.size() >= block_bytes, "a window of {} bytes", window.size());
  ExaminedGroup group;
  const std::byte* at = window.data();
  if (load_le<std::uint64_t>(at) != group_magic) {
    // A damaged magic is damage too: a segment that holds it must not be freed as if it had held nothing.
    const GroupHeader claimed = decode_group_header(at);
    const bool begins_here = same(claimed.identity, context.identity) && claimed.segment == context.segment &&
                             claimed.position_bytes == position_bytes;
    if (begins_here) group.state = GroupState::torn;
    return group;
  }
  group.state = GroupState::torn;
  if (load_le<std::uint32_t>(at + group_crc_offset) != bytes::crc32c(bytes::Bytes(at, group_crc_offset))) return group;
  group.header = decode_group_header(at);
  if (!same(group.header.identity, context.identity) || group.header.segment != context.segment ||
      group.header.position_bytes != position_bytes) {
    group.state = GroupState::foreign;
    return group;
  }
  if (load_le<std::uint16_t>(at + 8) > format_version) {
    group.state = GroupState::newer;
    return group;
  }
  if (load_le<std::uint16_t>(at + 10) != group_header_bytes || !lengths_fit(group.header, context.segment_bytes)) return group;
  if (window.size() < group.header.total_bytes) {
    group.state = GroupState::need_more;
    group.bytes_needed = group.header.total_bytes;
    return group;
  }
  if (read_table(window.first(group.header.total_bytes), group)) {
    group.state = GroupState::valid;
  } else {
    group.records.clear();
    group.statements.clear();
  }
  return group;
}

}  // namespace weir::wal
