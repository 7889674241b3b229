// keyspace/core/rocksdb_log.h: judges a RocksDB log file (WAL or MANIFEST): whole, torn at its end, or damaged in the middle.
// Why:        RocksDB's recovery modes either refuse a torn last write, which every power loss may leave (absolute
//             consistency; tolerate-tail does too where a checksum fails), or drop whatever follows a damaged place
//             (point in time), which may be commits that were acknowledged. The two can be told apart, because every write of
//             ours is one record and is synced before the next one begins: what is damaged and has a whole record *behind* it
//             was synced once, so it is corruption; what has none may never have been acknowledged, so it is cut off.
//             Rot of the very last record cannot be told from a torn write; the revision that the WAL of the broker relied
//             on (revision_check.h) tells when that loses something.
// Contract:   pure. Log format: 32 KiB blocks of fragments {masked CRC32C of type and payload, u16 length, u8 type: full, first,
//             middle, last}; no recycled logs, no compression records (we switch both off).
// Tests:      keyspace/rocksdb_log_test.cc, rocksdb_log_fuzz.cc, rocksdb_test.cc
#pragma once

#include <cstdint>
#include <optional>

#include "bytes/buffer.h"

namespace weir::keyspace::core {

inline constexpr std::size_t rocksdb_block_bytes = 32768;
inline constexpr std::size_t rocksdb_fragment_header_bytes = 7;

struct LogScan {
  std::uint64_t record_count = 0;
  std::uint64_t whole_bytes = 0;  ///< up to the end of the last whole record
  std::uint64_t file_bytes = 0;
  std::optional<std::uint64_t> record_behind_damage;  ///< where a later record begins, when there is one
  [[nodiscard]] bool torn() const { return whole_bytes < file_bytes && !record_behind_damage; }
  [[nodiscard]] bool damaged() const { return record_behind_damage.has_value(); }
};

[[nodiscard]] LogScan scan_rocksdb_log(bytes::Bytes file);

}  // namespace weir::keyspace::core
