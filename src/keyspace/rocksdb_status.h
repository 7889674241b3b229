// keyspace/rocksdb_status.h: RocksDB's Status as weir's Error. Included by rocksdb*.cc only.
#pragma once

#include <string_view>

#include <fmt/core.h>
#include <rocksdb/status.h>

#include "base/result.h"

namespace weir::keyspace {

[[nodiscard]] inline std::unexpected<base::Error> rocksdb_error(std::string_view doing, const rocksdb::Status& status) {
  using base::ErrorKind;
  ErrorKind kind = ErrorKind::io;
  if (status.IsCorruption()) kind = ErrorKind::corrupt;
  if (status.IsNoSpace()) kind = ErrorKind::exhausted;
  if (status.IsInvalidArgument() || status.IsNotSupported()) kind = ErrorKind::invalid;
  return base::fail(kind, fmt::format("{}: {}", doing, status.ToString()));
}

}  // namespace weir::keyspace
