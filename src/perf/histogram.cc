#include "perf/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace weir::perf {

std::size_t Histogram::bucket_of(std::uint64_t value) {
  if (value < (1U << step_bits)) return value;
  const unsigned exponent = static_cast<unsigned>(std::bit_width(value)) - 1;
  const std::uint64_t step = (value >> (exponent - step_bits)) & ((1U << step_bits) - 1);
  return ((exponent - step_bits + 1) << step_bits) + step;
}

std::int64_t Histogram::upper_bound(std::size_t bucket) {
  if (bucket < (1U << step_bits)) return static_cast<std::int64_t>(bucket);
  const std::uint64_t exponent = (bucket >> step_bits) - 1;
  const std::uint64_t step = bucket & ((1U << step_bits) - 1);
  return static_cast<std::int64_t>((((1ULL << step_bits) + step + 1) << exponent) - 1);
}

void Histogram::record(std::int64_t microseconds) {
  const std::int64_t value = std::max<std::int64_t>(microseconds, 0);
  ++buckets_[std::min(bucket_of(static_cast<std::uint64_t>(value)), bucket_count - 1)];
  ++count_;
  sum_ += static_cast<std::uint64_t>(value);
  max_ = std::max(max_, value);
}

void Histogram::merge(const Histogram& other) {
  for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

std::optional<std::int64_t> Histogram::quantile(double q) const {
  const double beyond = (1.0 - q) * static_cast<double>(count_);
  if (beyond < static_cast<double>(samples_beyond_min) - 1e-6) return std::nullopt;
  const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    seen += buckets_[i];
    if (seen >= rank && seen > 0) return std::min(upper_bound(i), max_);
  }
  return max_;
}

std::vector<std::pair<std::int64_t, std::uint64_t>> Histogram::filled() const {
  std::vector<std::pair<std::int64_t, std::uint64_t>> buckets;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    if (buckets_[i] > 0) buckets.emplace_back(upper_bound(i), buckets_[i]);
  }
  return buckets;
}

}  // namespace weir::perf
