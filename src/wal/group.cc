#include "wal/group.h"

#include <cstring>

#include "base/ensure.h"

namespace weir::wal {

bytes::Bytes Group::table() const {
  const std::size_t size = table_bytes(records.size(), statements.size());
  if (!table_slab) return {front() + table_offset_bytes, size};
  return {table_slab.writable().data(), size};
}

void Group::seal() {
  ENSURE(total_bytes == 0, "a group is sealed once");
  const std::size_t size = table_bytes(records.size(), statements.size());
  const std::size_t inside = round_up(fill_bytes + size, block_bytes);
  std::byte* table_at = nullptr;
  if (begin_bytes + inside <= slab.size()) {
    table_offset_bytes = static_cast<std::uint32_t>(fill_bytes);
    total_bytes = static_cast<std::uint32_t>(inside);
    table_at = front() + fill_bytes;
    std::memset(table_at + size, 0, inside - fill_bytes - size);
  } else {
    const std::size_t head = round_up(fill_bytes, block_bytes);
    ENSURE(begin_bytes + head <= slab.size(), "a group's payloads exceed their slab");
    std::memset(front() + fill_bytes, 0, head - fill_bytes);
    const std::size_t tail = round_up(size, block_bytes);
    table_slab = bytes::SlabRef::allocate(tail, block_bytes);
    table_at = table_slab.writable().data();
    std::memset(table_at + size, 0, tail - size);
    table_offset_bytes = static_cast<std::uint32_t>(head);
    total_bytes = static_cast<std::uint32_t>(head + tail);
  }
  for (const GroupRecord& record : records) {
    encode_record_entry(table_at, record.entry);
    table_at += record_entry_bytes;
  }
  for (const Statement& statement : statements) {
    encode_statement(table_at, statement);
    table_at += statement_entry_bytes;
  }
}

void Group::write_header(GroupHeader header) const {
  header.table_offset_bytes = table_offset_bytes;
  header.total_bytes = total_bytes;
  header.record_count = static_cast<std::uint32_t>(records.size());
  header.statement_count = static_cast<std::uint32_t>(statements.size());
  encode_group_header(front(), header, table());
}

std::vector<bytes::Bytes> Group::pieces() const {
  if (!table_slab) return {bytes::Bytes(front(), total_bytes)};
  return {bytes::Bytes(front(), table_offset_bytes), bytes::Bytes(table_slab.writable())};
}

}  // namespace weir::wal
