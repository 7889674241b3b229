#include "runtime/metric_registry.h"

#include <algorithm>
#include <array>
#include <iterator>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::runtime {
namespace {

// Powers of four of 128 us, up to 8.4 s: nine bounds keep a histogram at twelve series.
constexpr std::array<std::uint64_t, 9> histogram_bounds_us = {128, 512, 2048, 8192, 32768, 131072, 524288, 2097152, 8388608};
constexpr std::size_t histogram_series_count = histogram_bounds_us.size() + 3;  // +Inf, _sum, _count

std::size_t series_of(MetricKind kind) { return kind == MetricKind::histogram ? histogram_series_count : 1; }

std::string_view type_name(MetricKind kind) {
  switch (kind) {
    case MetricKind::counter: return "counter";
    case MetricKind::gauge: return "gauge";
    case MetricKind::histogram: return "histogram";
  }
  return "untyped";
}

std::string help_text(std::string_view help) {
  std::string out;
  for (const char c : help) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

std::string in_braces(std::string_view labels) { return labels.empty() ? std::string() : fmt::format("{{{}}}", labels); }

void render_histogram(std::string& out, const std::string& name, const std::string& labels, const LatencyHistogram& histogram) {
  const std::string comma = labels.empty() ? "" : ",";
  auto to = std::back_inserter(out);
  std::uint64_t below = 0;
  std::size_t i = 0;
  for (const std::uint64_t bound_us : histogram_bounds_us) {
    const double bound = static_cast<double>(bound_us) * 1e-6;
    for (; i < LatencyHistogram::bucket_count && LatencyHistogram::upper_bound_seconds(i) <= bound * (1 + 1e-9); ++i) {
      below += histogram.bucket(i);
    }
    fmt::format_to(to, "{}_bucket{{{}{}le=\"{:.6f}\"}} {}\n", name, labels, comma, bound, below);
  }
  for (; i < LatencyHistogram::bucket_count; ++i) below += histogram.bucket(i);
  // +Inf and _count come from the same sum of buckets: a scrape beside a record() must not see them differ.
  fmt::format_to(to, "{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, below);
  fmt::format_to(to, "{}_sum{} {:.9f}\n", name, in_braces(labels), histogram.sum_seconds());
  fmt::format_to(to, "{}_count{} {}\n", name, in_braces(labels), below);
}

void render_samples(std::string& out, const std::string& name, const std::string& labels, const LatencyHistogram& histogram) {
  for (std::size_t i = 0; i < LatencyHistogram::bucket_count; ++i) {
    const std::uint64_t count = histogram.bucket(i);
    if (count == 0) continue;
    fmt::format_to(std::back_inserter(out), "{}_samples{{{}{}up_to=\"{:.9f}\"}} {}\n", name, labels, labels.empty() ? "" : ",",
                   LatencyHistogram::upper_bound_seconds(i), count);
  }
}

std::vector<const MetricDecl*>& declared() {
  static std::vector<const MetricDecl*> table;
  return table;
}

}  // namespace

DeclaredMetrics::DeclaredMetrics(std::initializer_list<const MetricDecl*> decls) {
  declared().insert(declared().end(), decls.begin(), decls.end());
}

std::vector<MetricDecl> DeclaredMetrics::all() {
  std::vector<MetricDecl> table;
  for (const MetricDecl* decl : declared()) table.push_back(*decl);
  std::ranges::sort(table, {}, &MetricDecl::name);
  const auto repeated = std::ranges::unique(table, {}, &MetricDecl::name);
  table.erase(repeated.begin(), repeated.end());
  return table;
}

MetricRegistry::Cell& MetricRegistry::cell(const MetricDecl& decl, MetricKind kind, std::string_view labels) {
  ENSURE(decl.kind == kind, "{} is a {}, asked for as a {}", decl.name, type_name(decl.kind), type_name(kind));
  ENSURE(decl.name.starts_with("weir_"), "the metric {} does not begin with weir_", decl.name);
  const auto [family_at, family_new] = families_.try_emplace(std::string(decl.name));
  Family& family = family_at->second;
  if (family_new) {
    family.kind = kind;
    family.help = decl.help;
  }
  ENSURE(family.kind == kind && family.help == decl.help, "{} is declared twice, differently", decl.name);
  const auto [cell_at, cell_new] = family.cells.try_emplace(std::string(labels));
  if (cell_new) {
    series_count_ += series_of(kind);
    ENSURE(series_count_ <= metric_series_max, "{} metric series: labels come from an unbounded set ({})", series_count_,
           decl.name);
  }
  return cell_at->second;
}

Counter& MetricRegistry::counter(const MetricDecl& decl, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  Cell& at = cell(decl, MetricKind::counter, labels);
  if (!at.counter) at.counter = std::make_unique<Counter>();
  return *at.counter;
}

Gauge& MetricRegistry::gauge(const MetricDecl& decl, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  Cell& at = cell(decl, MetricKind::gauge, labels);
  if (!at.gauge) at.gauge = std::make_unique<Gauge>();
  return *at.gauge;
}

LatencyHistogram& MetricRegistry::histogram(const MetricDecl& decl, std::string_view labels) {
  const std::lock_guard lock(mutex_);
  Cell& at = cell(decl, MetricKind::histogram, labels);
  if (!at.histogram) at.histogram = std::make_unique<LatencyHistogram>();
  return *at.histogram;
}

std::string MetricRegistry::render(Detail detail) const {
  const std::lock_guard lock(mutex_);
  std::string out;
  auto to = std::back_inserter(out);
  for (const auto& [name, family] : families_) {
    fmt::format_to(to, "# HELP {} {}\n# TYPE {} {}\n", name, help_text(family.help), name, type_name(family.kind));
    for (const auto& [labels, at] : family.cells) {
      if (at.counter) fmt::format_to(to, "{}{} {}\n", name, in_braces(labels), at.counter->value());
      if (at.gauge) fmt::format_to(to, "{}{} {}\n", name, in_braces(labels), at.gauge->value());
      if (at.histogram) render_histogram(out, name, labels, *at.histogram);
      if (at.histogram && detail == Detail::samples) render_samples(out, name, labels, *at.histogram);
    }
  }
  return out;
}

std::size_t MetricRegistry::series_count() const {
  const std::lock_guard lock(mutex_);
  return series_count_;
}

std::vector<std::string> MetricRegistry::undeclared_names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, family] : families_) {
    if (std::ranges::find(declared(), name, &MetricDecl::name) == declared().end()) names.push_back(name);
  }
  return names;
}

}  // namespace weir::runtime
