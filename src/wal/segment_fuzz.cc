// Arbitrary bytes as a segment: the parser ends, stays inside and never accepts what it would not write again the same way.
// The harness mends the checksums of the first group, so that the fuzzer reaches what stands behind them.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/ensure.h"
#include "bytes/crc32c.h"
#include "bytes/endian.h"
#include "wal/format.h"

using namespace weir;

namespace {
constexpr std::size_t input_bytes_max = 256U << 10U;

void mend(std::vector<std::byte>& data) {
  std::byte* at = data.data();
  const auto table_at = bytes::load_le<std::uint32_t>(at + 100);
  const auto records = bytes::load_le<std::uint32_t>(at + 104);
  const auto statements = bytes::load_le<std::uint32_t>(at + 108);
  const std::uint64_t size = wal::table_bytes(records, statements);
  if (table_at + size <= data.size()) {
    for (std::uint32_t i = 0; i < records; ++i) {
      std::byte* entry = at + table_at + std::size_t{i} * wal::record_entry_bytes;
      const std::uint64_t from = bytes::load_le<std::uint32_t>(entry + 40);
      const std::uint64_t length = bytes::load_le<std::uint32_t>(entry + 44);
      if (from + length <= table_at) bytes::store_le(entry + 48, bytes::crc32c(bytes::Bytes(at + from, length)));
    }
    const std::uint32_t seed = bytes::crc32c(bytes::Bytes(at + 16, 80));
    bytes::store_le(at + 112, bytes::crc32c(bytes::Bytes(at + table_at, size), seed));
  }
  bytes::store_le(at + wal::group_header_bytes - 4, bytes::crc32c(bytes::Bytes(at, wal::group_header_bytes - 4)));
}

void scan(const std::vector<std::byte>& data, const wal::ExamineContext& context, std::uint32_t begin) {
  std::size_t position = 0;
  while (position + wal::block_bytes <= data.size()) {
    const bytes::Bytes window = bytes::Bytes(data).subspan(position);
    const wal::ExaminedGroup group = wal::examine_group(window, context, static_cast<std::uint32_t>(begin + position));
    if (group.state == wal::GroupState::valid) {
      ENSURE(group.header.total_bytes <= window.size() && group.header.total_bytes > 0, "a valid group reaches outside");
      for (const wal::RecordEntry& record : group.records) {
        const bytes::Bytes payload = window.subspan(record.payload_offset_bytes, record.payload_length_bytes);
        ENSURE(bytes::crc32c(payload) == record.payload_crc, "an accepted payload does not match its checksum");
      }
      position += group.header.total_bytes;
    } else {
      ENSURE(group.records.empty() && group.statements.empty(), "a refused group gave records");
      position += wal::block_bytes;
    }
  }
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  if (size < wal::block_bytes || size > input_bytes_max) return 0;
  std::vector<std::byte> data(size);
  std::memcpy(data.data(), input, size);
  static_cast<void>(wal::decode_volume(data).has_value());
  static_cast<void>(wal::decode_segment_header(data).has_value());
  // As it came, then with identity, place and checksums of its first group made right.
  wal::ExamineContext context;
  std::memcpy(context.identity.cluster.bytes.data(), data.data() + 16, 16);
  std::memcpy(context.identity.wal.bytes.data(), data.data() + 32, 16);
  std::memcpy(context.identity.session.bytes.data(), data.data() + 48, 16);
  context.segment = bytes::load_le<std::uint32_t>(data.data() + 88);
  context.segment_bytes = 1U << 30U;
  const auto position = bytes::load_le<std::uint32_t>(data.data() + 92);
  scan(data, context, position);
  std::memcpy(data.data(), "weirWGRP", 8);
  bytes::store_le(data.data() + 8, wal::format_version);
  bytes::store_le(data.data() + 10, static_cast<std::uint16_t>(wal::group_header_bytes));
  mend(data);
  scan(data, context, position);
  return 0;
}
