// keyspace/rocksdb_options.h: how RocksDB is run here. Included by rocksdb*.cc only: it pulls RocksDB's headers in.
#pragma once

#include <rocksdb/options.h>

namespace weir::keyspace {

/// For opening: strictest recovery, synced and tracked logs, a small footprint.
[[nodiscard]] rocksdb::Options rocksdb_options();

}  // namespace weir::keyspace
