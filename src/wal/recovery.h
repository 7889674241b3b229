// wal/recovery.h: takes the volume and reads what earlier sessions left (protocols.md, 2, recovery steps 1 and 2).
// Why:        recovery must see everything that may be durable and must make durable whatever it saw, before anybody builds on it.
// Place:      L4, shard 0, once per start, before the session's first write.
// Contract:   reads every registered segment to its end, past bad groups; flushes every file it read; only then returns.
// Failure:    exists = another broker holds the volume. invalid = foreign cluster or newer format. corrupt = a registered file is
//             missing or short. io = a file could not be read or flushed: the volume is sick, nothing is served from it.
//             Every text names the path and what to do.
// Limits:     scanners_max segments at a time, scan_window_bytes of memory each (a larger group grows its window to its size).
// Tests:      wal/recovery_test.cc, wal/segment_fuzz.cc, sim.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "runtime/runtime.h"
#include "wal/format.h"
#include "wal/metrics_decl.h"
#include "wal/segment_files.h"
#include "wal/wal.h"

namespace weir::wal {

/// The volume's lock: held while `file` is open.
struct Volume {
  std::unique_ptr<runtime::File> file;
};

class Recovery {
 public:
  static constexpr std::size_t scanners_max = 4;
  static constexpr std::size_t scan_window_bytes = std::size_t{4} << 20U;
  static constexpr base::Duration lock_wait_max = std::chrono::seconds(3);
  static constexpr base::Duration lock_retry = std::chrono::milliseconds(50);
  using Progress = std::function<void(std::uint64_t, std::uint64_t)>;

  Recovery(runtime::Runtime& runtime, const Identity& identity, std::string directory, WalMetrics& metrics)
      : runtime_(runtime), identity_(identity), directory_(std::move(directory)), metrics_(metrics) {}

  /// Creates the volume when it is new; locks it; checks that it is this cluster's.
  runtime::Task<base::Result<Volume>> open_volume(bool has_earlier);
  /// Reads all segments; the files are added to `files` in order, with their records and statements in the book.
  runtime::Task<base::Result<RecoveredWal>> read_all(std::vector<RegisteredWal> earlier, SegmentFiles& files, SegmentBook& book,
                                                     Progress progress);

 private:
  struct Found {
    std::shared_ptr<SegmentFile> file;
    std::uint32_t segment_bytes = 0;
    bool stub = false;
    std::vector<RecoveredRecord> records;  ///< their places' segment is set later
    std::vector<Statement> statements;
    std::uint64_t bytes_read = 0;
    std::uint64_t groups_valid = 0;
    std::uint64_t groups_torn = 0;
    std::uint64_t keyspace_revision = 0;
    base::Result<void> result;
  };
  static runtime::Task<base::Result<bool>> wait_for_lock(runtime::File& file);
  runtime::Task<base::Result<void>> check_volume(runtime::File& file, std::string path, bool has_earlier);
  runtime::Task<base::Result<void>> check_segment(Found& found, RegisteredWal wal, std::uint32_t number);
  RecoveredWal collect(const std::vector<std::unique_ptr<Found>>& all, SegmentFiles& files, SegmentBook& book);
  runtime::Task<base::Result<std::vector<std::unique_ptr<Found>>>> open_session(RegisteredWal wal);
  runtime::Task<base::Result<std::unique_ptr<Found>>> open_segment(RegisteredWal wal, std::uint32_t number);
  runtime::Task<void> scan_worker(std::vector<std::unique_ptr<Found>>* all, std::size_t* next);
  runtime::Task<base::Result<void>> scan(Found& found);
  void take_group(Found& found, const ExaminedGroup& group, bytes::Bytes window);
  void report_progress(std::uint64_t bytes);
  runtime::Task<void> drop_removed(std::vector<RegisteredWal> earlier);

  runtime::Runtime& runtime_;
  Identity identity_;
  std::string directory_;
  WalMetrics& metrics_;
  Progress progress_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t read_bytes_ = 0;
  base::MonoTime last_report_{};
};

}  // namespace weir::wal
