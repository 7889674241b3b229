// perf/histogram.h: latencies in microseconds, log-linear: 64 steps per power of two, so a value is within 1.6 % of its bucket.
// Contract:   not thread-safe: one per thread, then merge(). A quantile is given only with at least samples_beyond_min samples
//             beyond it; otherwise it would be an accident of one run.
// Tests:      perf/histogram_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace weir::perf {

inline constexpr std::uint64_t samples_beyond_min = 100;

class Histogram {
 public:
  void record(std::int64_t microseconds);
  void merge(const Histogram& other);
  [[nodiscard]] std::uint64_t count() const { return count_; }
  [[nodiscard]] double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  [[nodiscard]] std::int64_t max() const { return max_; }
  /// Upper bound of the bucket that holds the quantile; nothing when fewer than samples_beyond_min samples lie beyond it.
  [[nodiscard]] std::optional<std::int64_t> quantile(double q) const;
  /// (upper bound, count) of each bucket that holds something, rising.
  [[nodiscard]] std::vector<std::pair<std::int64_t, std::uint64_t>> filled() const;

 private:
  static constexpr unsigned step_bits = 6;
  static constexpr std::size_t bucket_count = (64 - step_bits) << step_bits;
  static std::size_t bucket_of(std::uint64_t value);
  static std::int64_t upper_bound(std::size_t bucket);
  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::int64_t max_ = 0;
};

}  // namespace weir::perf
