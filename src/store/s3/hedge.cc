#include "store/s3/hedge.h"

#include <algorithm>

namespace weir::store::s3 {

std::size_t HedgeClock::class_of(std::uint64_t size_bytes) {
  if (size_bytes <= std::uint64_t{256} << 10U) return 0;
  return size_bytes <= std::uint64_t{2} << 20U ? 1 : 2;
}

void HedgeClock::record(std::uint64_t size_bytes, base::Duration took) {
  if (size_bytes > hedge_bytes_max) return;
  Class& one = classes_[class_of(size_bytes)];
  one.took[one.count % hedge_samples] = took;
  ++one.count;
}

std::optional<base::Duration> HedgeClock::patience(std::uint64_t size_bytes, base::MonoTime now) const {
  if (size_bytes > hedge_bytes_max || paused(now)) return std::nullopt;
  const Class& one = classes_[class_of(size_bytes)];
  const std::size_t count = std::min(one.count, hedge_samples);
  if (count < hedge_samples_min) return std::nullopt;
  std::array<base::Duration, hedge_samples> sorted = one.took;
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return std::max({sorted[count * 95 / 100], sorted[count / 2] * hedge_medians, hedge_patience_min});
}

}  // namespace weir::store::s3
