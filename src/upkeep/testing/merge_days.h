// upkeep/testing/merge_days.h: runs the merge planner over virtual hours of even or skewed load and counts every store call.
// Why:        the bill is calls; what a plan costs must be known before the data are there. Used by the test and by
//             bench/merge_plan, which prints the table of docs/performance.md.
// Counted:    uploads; a job's GETs and PUTs (one per object: no part of a multipart upload); manifest_puts and
//             manifest_gets per partition of a split, and the pages that they replace; DeleteObjects (1,000 keys at most) once a minute while there is garbage;
//             the hourly sweep of one broker over all names of the cluster, shared by all brokers. Not counted: consumers'
//             reads, retries. Merging keeps up within a minute (its backlog is counted at the end).
#pragma once

#include <cstdint>

#include "upkeep/core/merge_plan.h"

namespace weir::upkeep::testing {

struct MergeLoad {
  std::uint32_t broker_count = 1;
  std::uint64_t bytes_per_second = 22'000'000;  ///< of one broker
  std::uint32_t partition_count = 22;           ///< of one broker
  bool skewed = false;                          ///< the i-th partition gets 1/(i+1) of the first one's share
  std::uint32_t uneven_percent = 0;             ///< a partition's bytes in one upload are off its share by at most so much
  std::uint64_t upload_bytes = 64ULL << 20U;
  std::uint64_t upload_age_s = 60;
  MergeLimits limits;
  std::uint32_t manifest_puts = 1;  ///< leaves and root are one page object
  std::uint32_t manifest_gets = 1;  ///< of the last leaf, which the edit before has written
  std::uint32_t hours = 24;
  std::uint64_t bytes_max = 0;  ///< of the broker: ends once so many are produced; 0: hours alone decide
};

struct MergeDays {
  std::uint64_t produced_bytes = 0;
  std::uint64_t upload_puts = 0;
  std::uint64_t tier_jobs = 0;
  std::uint64_t tier_gets = 0;
  std::uint64_t tier_puts = 0;
  std::uint64_t tier_bytes = 0;
  std::uint64_t split_jobs = 0;
  std::uint64_t split_gets = 0;
  std::uint64_t split_puts = 0;
  std::uint64_t split_bytes = 0;
  std::uint64_t manifest_puts = 0;
  std::uint64_t manifest_gets = 0;
  std::uint64_t deletes = 0;
  double sweep_lists = 0;  ///< this broker's share
  std::uint64_t job_bytes_max = 0;
  std::size_t objects_max = 0;  ///< obj/ keys
  std::size_t entries_max = 0;  ///< entries that the planner held
  std::uint64_t live_bytes_at_end = 0;
  std::uint64_t lost_bytes = 0;  ///< produced, but neither split off nor in a recent object: must be 0

  [[nodiscard]] double gigabytes() const { return static_cast<double>(produced_bytes) / 1e9; }
  [[nodiscard]] double calls_per_gb() const;
  /// Bytes written by merging, per byte produced.
  [[nodiscard]] double rewritten() const {
    return static_cast<double>(tier_bytes + split_bytes) / static_cast<double>(produced_bytes);
  }
};

[[nodiscard]] MergeDays run_merge_days(const MergeLoad& load);

}  // namespace weir::upkeep::testing
