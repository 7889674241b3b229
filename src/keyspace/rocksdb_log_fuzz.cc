// Any bytes as a RocksDB log: the scan ends, stays inside, and what it calls whole is whole again when scanned alone.
#include "base/ensure.h"
#include "keyspace/core/rocksdb_log.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using weir::keyspace::core::LogScan;
  const weir::bytes::Bytes file(reinterpret_cast<const std::byte*>(data), size);
  const LogScan scan = weir::keyspace::core::scan_rocksdb_log(file);
  ENSURE(scan.whole_bytes <= size, "whole up to byte {} of {}", scan.whole_bytes, size);
  ENSURE(!scan.record_behind_damage || (*scan.record_behind_damage >= scan.whole_bytes && *scan.record_behind_damage < size),
         "a record at byte {} of {}", *scan.record_behind_damage, size);
  const LogScan again = weir::keyspace::core::scan_rocksdb_log(file.first(scan.whole_bytes));
  ENSURE(!again.torn() && !again.damaged() && again.record_count == scan.record_count, "{} records became {}",
         scan.record_count, again.record_count);
  return 0;
}
