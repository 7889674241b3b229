// runtime/metrics.h: counters, gauges and histograms of one broker, by declaration.
// Why:        one declaration gives the series, its help text and its line in docs/metrics.md.
// Contract:   a room declares its metrics as namespace-scope MetricDecl constants in its metrics_decl.h and asks Metrics for
//             the live cell once, at construction; cells live as long as Metrics. Updates are relaxed atomics: any thread.
//             Names begin with weir_, units last (_bytes, _seconds, _total for counters).
// Limits:     metric_series_max per broker (metric_registry.h; asserted): label values come from small fixed sets, never from clients.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"

namespace weir::runtime {

enum class MetricKind : std::uint8_t { counter, gauge, histogram };

struct MetricDecl {
  std::string_view name;
  MetricKind kind;
  std::string_view help;
};

/// Puts declarations into the process's table, from which docs/metrics.md is made. In a room's metrics_decl.h, after them:
///   inline const DeclaredMetrics wal_metrics({&wal_groups_total, &wal_append_seconds});
class DeclaredMetrics {
 public:
  DeclaredMetrics(std::initializer_list<const MetricDecl*> decls);
  /// All declarations of the rooms linked into this program, by name.
  static std::vector<MetricDecl> all();
};

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(std::int64_t v) { value_.store(v, std::memory_order_relaxed); }
  void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::int64_t> value_{0};
};

/// Durations in a log-linear histogram: 8 steps per power of two of microseconds, up to 2^26 us (67 s).
class LatencyHistogram {
 public:
  static constexpr std::size_t bucket_count = 27 * 8;
  void record(base::Duration duration);
  [[nodiscard]] std::uint64_t count() const;
  [[nodiscard]] double sum_seconds() const { return static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) * 1e-9; }
  /// Upper bound of the bucket that holds the quantile (0..1), in seconds; 0 when empty.
  [[nodiscard]] double quantile_seconds(double q) const;
  [[nodiscard]] std::uint64_t bucket(std::size_t i) const { return buckets_[i].load(std::memory_order_relaxed); }
  [[nodiscard]] static double upper_bound_seconds(std::size_t i);

 private:
  std::atomic<std::uint64_t> sum_ns_{0};
  std::array<std::atomic<std::uint64_t>, bucket_count> buckets_{};
};

class Metrics {
 public:
  virtual ~Metrics() = default;
  /// The cell of (declaration, label set); made on first use. labels: `key="value",...` or empty.
  virtual Counter& counter(const MetricDecl& decl, std::string_view labels = {}) = 0;
  virtual Gauge& gauge(const MetricDecl& decl, std::string_view labels = {}) = 0;
  virtual LatencyHistogram& histogram(const MetricDecl& decl, std::string_view labels = {}) = 0;
  /// Prometheus text exposition format 0.0.4.
  [[nodiscard]] std::string render() const { return render(Detail::few_buckets); }
  enum class Detail : std::uint8_t {
    few_buckets,  ///< of histograms: what a scrape every few seconds should cost
    samples,  ///< also NAME_samples{..,up_to="seconds"}: how many samples each bucket that has any holds (not cumulative, so
              ///< that sums over brokers and differences of two looks are right)
  };
  [[nodiscard]] virtual std::string render(Detail detail) const = 0;
};

}  // namespace weir::runtime
