#include "keyspace/rocksdb_options.h"

#include <cstdarg>
#include <cstdio>

#include <rocksdb/env.h>
#include <rocksdb/table.h>

#include "keyspace/rocksdb.h"

namespace weir::keyspace {
namespace {

constexpr std::size_t line_bytes_max = 1024;

// RocksDB's own log file stands on the very disk that may be failing, and a build with assertions (Debian's) aborts the process
// when that file had an error before. So its lines go where the broker's go.
class ForwardedLog final : public rocksdb::Logger {
 public:
  explicit ForwardedLog(runtime::Logger* log) : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), log_(log) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    if (log_ == nullptr) return;
    char line[line_bytes_max];
    std::vsnprintf(line, sizeof line, format, arguments);
    log_->warn("keyspace", "RocksDB reports", {{"text", std::string_view(line)}});
  }

 private:
  runtime::Logger* log_;
};

}  // namespace

rocksdb::Options rocksdb_options(runtime::Logger* log) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.error_if_exists = false;

  // Damage. Torn tails are cut off before (core/rocksdb_log.h); of what is left RocksDB must not tolerate anything. Logs that
  // were closed are listed with their synced size in the MANIFEST, so that one that is missing or cut short refuses too.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kAbsoluteConsistency;
  options.track_and_verify_wals_in_manifest = true;
  options.paranoid_checks = true;
  options.force_consistency_checks = true;
  options.recycle_log_file_num = 0;  // old bytes behind the end would look like damage
  options.wal_compression = rocksdb::kNoCompression;
  // What was read from the log at open is written anew to a table and synced: a log that was read may still have been in a
  // volatile cache (after a failed sync, say).
  options.avoid_flush_during_recovery = false;
  options.allow_fallocate = false;  // a file's length is then what was written: torn is told from preallocated

  // Footprint. Metadata is small and served from memory by local_keyspace; RocksDB is read once, at open.
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = 2;
  options.max_total_wal_size = log_bytes_max;
  options.max_manifest_file_size = 1024 * 1024;
  options.max_open_files = 64;
  options.table_cache_numshardbits = 0;
  options.max_background_jobs = 2;
  options.max_file_opening_threads = 1;
  options.target_file_size_base = 8 * 1024 * 1024;
  options.compression = rocksdb::kNoCompression;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.info_log = std::make_shared<ForwardedLog>(log);
  rocksdb::BlockBasedTableOptions table;
  table.no_block_cache = true;
  table.checksum = rocksdb::kCRC32c;
  table.verify_compression = false;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace weir::keyspace
