#include "keyspace/core/rocksdb_log.h"

#include <algorithm>

#include "bytes/crc32c.h"
#include "bytes/endian.h"

namespace weir::keyspace::core {
namespace {

enum class FragmentType : std::uint8_t { zero = 0, full = 1, first = 2, middle = 3, last = 4 };

struct Fragment {
  FragmentType type;
  std::size_t end;  ///< position behind it
};

// A CRC of bytes that hold CRCs is no good check, so the format stores it rotated and offset.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15U) | (crc << 17U)) + 0xA282EAD8U; }

std::size_t left_in_block(std::size_t at) { return rocksdb_block_bytes - at % rocksdb_block_bytes; }

// The whole, valid fragment that begins at `at`.
std::optional<Fragment> fragment_at(bytes::Bytes file, std::size_t at) {
  if (left_in_block(at) < rocksdb_fragment_header_bytes || file.size() - at < rocksdb_fragment_header_bytes)
    return std::nullopt;
  const std::byte* header = file.data() + at;
  const std::size_t length = bytes::load_le<std::uint16_t>(header + 4);
  const auto type = static_cast<std::uint8_t>(header[6]);
  if (type < 1 || type > 4) return std::nullopt;
  if (length > left_in_block(at) - rocksdb_fragment_header_bytes) return std::nullopt;
  if (length > file.size() - at - rocksdb_fragment_header_bytes) return std::nullopt;
  const std::uint32_t crc = bytes::crc32c(file.subspan(at + 6, 1 + length));
  if (masked(crc) != bytes::load_le<std::uint32_t>(header)) return std::nullopt;
  return Fragment{.type = static_cast<FragmentType>(type), .end = at + rocksdb_fragment_header_bytes + length};
}

bool begins_record(FragmentType type) { return type == FragmentType::full || type == FragmentType::first; }

// Lengths cannot be trusted behind a damaged place, so every byte may begin the next record.
std::optional<std::uint64_t> record_from(bytes::Bytes file, std::size_t from) {
  for (std::size_t at = from; at < file.size(); ++at) {
    if (const auto fragment = fragment_at(file, at); fragment && begins_record(fragment->type)) return at;
  }
  return std::nullopt;
}

}  // namespace

LogScan scan_rocksdb_log(bytes::Bytes file) {
  LogScan scan;
  scan.file_bytes = file.size();
  std::size_t at = 0;
  std::size_t record_at = 0;  // first fragment of the record being read
  bool inside = false;
  for (;;) {
    if (left_in_block(at) < rocksdb_fragment_header_bytes) {  // a block's trailer: too short for a header
      at += left_in_block(at);
    }
    if (at >= file.size()) break;
    const auto fragment = fragment_at(file, at);
    if (!fragment) break;
    if (begins_record(fragment->type)) {
      if (inside) {  // the record before never ended, yet this one was begun
        scan.record_behind_damage = at;
        return scan;
      }
      record_at = at;
      inside = true;
    } else if (!inside) {
      break;
    }
    at = fragment->end;
    if (fragment->type == FragmentType::full || fragment->type == FragmentType::last) {
      inside = false;
      ++scan.record_count;
      scan.whole_bytes = at;
    }
  }
  if (scan.whole_bytes < file.size()) {
    scan.record_behind_damage =
        record_from(file, inside ? record_at + 1 : std::min<std::size_t>(scan.whole_bytes, file.size()) + 1);
  }
  return scan;
}

}  // namespace weir::keyspace::core
