// keyspace/rocksdb.h: the keyspace of one node: local_keyspace.h over a RocksDB that makes its changes durable.
// Why:        synced small commits at about 3,000/s with ordered storage and checksums; weir only adds revisions and watches.
// Place:      L3; opened by open.h. RocksDB's headers stay in the .cc; its calls run on the blocking pool, one at a time.
// Contract:   every batch of transactions is one synced write that also holds the new revision. At open the whole content is
//             read, each value verified (CRC over key, revision and value), and kept in memory; RocksDB is then only written.
// Failure:    corrupt = the log, a table or a value is damaged: the start is refused, nothing is dropped (core/rocksdb_log.h
//             explains what counts as damage). exists = another process uses the directory. exhausted = disk full. io.
// Limits:     memory: two write buffers of write_buffer_bytes, no block cache; disk: logs of log_bytes_max.
// Tests:      rocksdb_test.cc (conformance, cuts and flips at every byte, a second opener)
#pragma once

#include <memory>
#include <string>

#include "keyspace/local_keyspace.h"
#include "runtime/runtime.h"

namespace weir::keyspace {

inline constexpr std::size_t write_buffer_bytes = 1024 * 1024;
inline constexpr std::uint64_t log_bytes_max = 4 * 1024 * 1024;

/// Opens or creates the keyspace in `directory` (absolute). Runs on the current reactor, which becomes its home.
runtime::Task<base::Result<std::unique_ptr<LocalKeyspace>>> open_rocksdb_keyspace(runtime::Runtime& runtime,
                                                                                  std::string directory);

}  // namespace weir::keyspace
