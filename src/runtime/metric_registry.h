// runtime/metric_registry.h: the one Metrics: cells by (name, labels), rendered for Prometheus; and the table of declarations.
// Contract:   creating a cell and rendering take a lock; updating a cell does not. A declaration must be the same object each time
//             or equal in kind and help (asserted). Histograms are rendered with the bounds of `histogram_bounds`, which are
//             exact edges of LatencyHistogram's buckets, so no sample is counted under a bound it exceeds.
// Limits:     metric_series_max rendered series (asserted when a cell is made).
// Tests:      runtime/metric_registry_test.cc
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/metrics.h"

namespace weir::runtime {

inline constexpr std::size_t metric_series_max = 4000;

class MetricRegistry final : public Metrics {
 public:
  Counter& counter(const MetricDecl& decl, std::string_view labels) override;
  Gauge& gauge(const MetricDecl& decl, std::string_view labels) override;
  LatencyHistogram& histogram(const MetricDecl& decl, std::string_view labels) override;
  using Metrics::render;
  [[nodiscard]] std::string render(Detail detail) const override;
  [[nodiscard]] std::size_t series_count() const;
  /// Names with a cell that no DeclaredMetrics lists; a test holds this to be empty.
  [[nodiscard]] std::vector<std::string> undeclared_names() const;

 private:
  struct Cell {
    std::unique_ptr<Counter> counter;
    std::unique_ptr<Gauge> gauge;
    std::unique_ptr<LatencyHistogram> histogram;
  };
  struct Family {
    MetricKind kind = MetricKind::counter;
    std::string help;
    std::map<std::string, Cell> cells;  ///< by labels
  };
  Cell& cell(const MetricDecl& decl, MetricKind kind, std::string_view labels);

  mutable std::mutex mutex_;
  std::map<std::string, Family> families_;  ///< guarded by mutex_
  std::size_t series_count_ = 0;            ///< guarded by mutex_
};

}  // namespace weir::runtime
