// keyspace/rocksdb_options.h: how RocksDB is run here. Included by rocksdb*.cc only: it pulls RocksDB's headers in.
#pragma once

#include <rocksdb/options.h>

#include "runtime/log.h"

namespace weir::keyspace {

/// For opening: strictest recovery, synced and tracked logs, a small footprint. What RocksDB has to say at warn and above goes to
/// `log` (null: nowhere), which outlives the database.
[[nodiscard]] rocksdb::Options rocksdb_options(runtime::Logger* log);

}  // namespace weir::keyspace
