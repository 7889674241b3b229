#include "runtime/metrics.h"

#include <algorithm>

namespace weir::runtime {
namespace {
constexpr unsigned sub_bits = 3;  // 8 steps per power of two
constexpr std::uint64_t sub_mask = (1U << sub_bits) - 1;
}  // namespace

void LatencyHistogram::record(base::Duration duration) {
  const std::int64_t ns = std::max<std::int64_t>(duration.count(), 0);
  const std::uint64_t us = static_cast<std::uint64_t>(ns) / 1000;
  const unsigned power = us == 0 ? 0U : static_cast<unsigned>(std::bit_width(us)) - 1;
  const std::uint64_t step = us == 0 ? 0 : (power >= sub_bits ? us >> (power - sub_bits) : us << (sub_bits - power)) & sub_mask;
  const std::size_t index = std::min<std::size_t>(power * (sub_mask + 1) + step, bucket_count - 1);
  buckets_[index].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(static_cast<std::uint64_t>(ns), std::memory_order_relaxed);
}

std::uint64_t LatencyHistogram::count() const {
  std::uint64_t total = 0;
  for (const auto& bucket : buckets_) total += bucket.load(std::memory_order_relaxed);
  return total;
}

double LatencyHistogram::upper_bound_seconds(std::size_t i) {
  const std::size_t power = i >> sub_bits;
  const auto steps = static_cast<double>((i & sub_mask) + sub_mask + 2);
  return steps * static_cast<double>(std::uint64_t{1} << power) / static_cast<double>(sub_mask + 1) * 1e-6;
}

double LatencyHistogram::quantile_seconds(double q) const {
  std::uint64_t total = 0;
  std::array<std::uint64_t, bucket_count> copy{};
  for (std::size_t i = 0; i < bucket_count; ++i) total += copy[i] = bucket(i);
  if (total == 0) return 0;
  const double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < bucket_count; ++i) {
    seen += copy[i];
    if (copy[i] > 0 && static_cast<double>(seen) >= wanted) return upper_bound_seconds(i);
  }
  return upper_bound_seconds(bucket_count - 1);
}

}  // namespace weir::runtime
