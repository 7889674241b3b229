// perf/value_pool.h: the values of a run's records, made before the clock starts, so that the sender only picks one.
// Contract:   random_ratio of each value is random bytes, the rest a repeated text: 1 cannot be compressed, 0 to almost nothing.
//             Deterministic: equal options give equal values.
// Limits:     pool_bytes_max.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "perf/options.h"

namespace weir::perf {

class ValuePool {
 public:
  [[nodiscard]] static base::Result<ValuePool> make(const Options& options);
  [[nodiscard]] const std::string& at(std::uint64_t i) const { return values_[i % values_.size()]; }
  [[nodiscard]] double mean_bytes() const { return mean_bytes_; }
  [[nodiscard]] std::size_t size() const { return values_.size(); }

 private:
  std::vector<std::string> values_;
  double mean_bytes_ = 0;
};

}  // namespace weir::perf
