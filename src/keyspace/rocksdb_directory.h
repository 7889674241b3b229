// keyspace/rocksdb_directory.h: what happens to a keyspace's directory before RocksDB opens it: made durable, locked, judged.
// Place:      L3, behind rocksdb.h; blocking, runs on a pool thread. File access goes through RocksDB's Env, as RocksDB's own.
// Contract:   prepare() holds an exclusive lock (weir.lock) before it looks at or cuts anything; the lock lives as long as the
//             object. Only a torn tail of the newest log, or of the MANIFEST, is cut off, and the cut is synced.
// Failure:    as rocksdb.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace weir::keyspace {

/// One thing that was done to the directory, for the broker's log.
struct DirectoryNote {
  std::string file;
  std::uint64_t cut_bytes = 0;
};

class RocksdbDirectory {
 public:
  static base::Result<std::unique_ptr<RocksdbDirectory>> lock(const std::string& directory);
  virtual ~RocksdbDirectory() = default;
  /// Judges the logs; before each open.
  virtual base::Result<std::vector<DirectoryNote>> check() = 0;
  /// Where RocksDB's files are.
  [[nodiscard]] virtual const std::string& database() const = 0;
};

}  // namespace weir::keyspace
