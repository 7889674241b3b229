// perf/compare.cc: two reports beside each other.
#include <fmt/core.h>
#include <simdjson.h>

#include "perf/report.h"

namespace weir::perf {
namespace {

using Element = simdjson::dom::element;

struct Row {
  std::string name;
  std::string unit;
  double scale = 1;     ///< the report's number times this is shown
  std::string pointer;  ///< JSON pointer below the measured phase, the run or the report
  enum class Base : std::uint8_t { phase, run, report } base = Base::phase;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> list;
    for (const auto& [key, name] : {std::pair{"produce_from_intended", "produce"},
                                    {"produce_from_actual", "produce-from-actual-send"},
                                    {"end_to_end", "end-to-end"}}) {
      for (const auto& [field, label] :
           {std::pair{"mean_us", "mean"}, {"p50_us", "p50"}, {"p99_us", "p99"}, {"p999_us", "p99.9"}, {"max_us", "max"}})
        list.push_back({.name = fmt::format("{}-{}", name, label),
                        .unit = "ms",
                        .scale = 1e-3,
                        .pointer = fmt::format("/{}/{}", key, field)});
    }
    for (const char* name : {"lost", "duplicated", "reordered", "failed"})
      list.push_back({.name = name, .unit = "records", .pointer = fmt::format("/{}", name), .base = Row::Base::run});
    for (const auto& [field, name] : {std::pair{"calls_per_gb", "store-calls-per-GB"},
                                      {"wal_writes_per_gb", "WAL-writes-per-GB"},
                                      {"broker_cpu_seconds_per_gb", "broker-CPU-s-per-GB"},
                                      {"dollars_per_gb", "dollars-per-GB"}})
      list.push_back({.name = name, .unit = "-", .pointer = fmt::format("/costs/{}", field), .base = Row::Base::report});
    return list;
  }();
  return all;
}

std::optional<double> number_at(const Element& from, const std::string& pointer) {
  double value = 0;
  if (from.at_pointer(pointer).get(value) == simdjson::SUCCESS) return value;
  std::int64_t whole = 0;
  if (from.at_pointer(pointer).get(whole) == simdjson::SUCCESS) return static_cast<double>(whole);
  return std::nullopt;
}

struct Loaded {
  simdjson::dom::parser parser;
  Element root;
  Element run;
  Element phase;  ///< the measured one
  std::map<std::string, double> rates;
};

base::Result<std::unique_ptr<Loaded>> load(const std::string& path) {
  auto loaded = std::make_unique<Loaded>();
  std::string_view kind;
  std::int64_t main_run = 0;
  if (loaded->parser.load(path).get(loaded->root) != simdjson::SUCCESS ||
      loaded->root.at_key("kind").get(kind) != simdjson::SUCCESS || kind != "weir perf" ||
      loaded->root.at_key("main_run").get(main_run) != simdjson::SUCCESS ||
      loaded->root.at_pointer(fmt::format("/runs/{}", main_run)).get(loaded->run) != simdjson::SUCCESS)
    return base::fail(base::ErrorKind::invalid, fmt::format("{}: not a report of weir perf", path));
  simdjson::dom::array phases;
  bool found = false;
  if (loaded->run.at_key("phases").get(phases) == simdjson::SUCCESS) {
    for (const Element phase : phases) {
      std::string_view name;
      if (phase.at_key("name").get(name) != simdjson::SUCCESS || name != "measure") continue;
      loaded->phase = phase;
      found = true;
    }
  }
  if (!found) return base::fail(base::ErrorKind::invalid, fmt::format("{}: holds no measured phase", path));
  const double seconds =
      number_at(loaded->phase, "/end_seconds").value_or(0) - number_at(loaded->phase, "/begin_seconds").value_or(0);
  for (const auto& [field, name] : {std::pair{"delivered_bytes", "acknowledged"}, {"consumed_bytes", "read"}})
    loaded->rates[name] = seconds > 0 ? number_at(loaded->phase, fmt::format("/{}", field)).value_or(0) / 1e6 / seconds : 0;
  return loaded;
}

std::string shown(const std::optional<double>& value) { return value ? fmt::format("{:.4g}", *value) : "-"; }

}  // namespace

base::Result<std::string> compare(const std::string& a_path, const std::string& b_path, bool as_json) {
  auto a = load(a_path);
  if (!a) return std::unexpected(a.error());
  auto b = load(b_path);
  if (!b) return std::unexpected(b.error());
  std::string out = as_json ? "" : fmt::format("{:<32} {:<8} {:>12} {:>12} {:>8}\n", "WHAT", "UNIT", "A", "B", "B/A");
  const auto add = [&](const std::string& name, const std::string& unit, std::optional<double> left,
                       std::optional<double> right) {
    if (!left && !right) return;
    const std::optional<double> ratio = left && right && *left != 0 ? std::optional(*right / *left) : std::nullopt;
    const auto json = [](const std::optional<double>& v) { return v ? fmt::format("{:.6g}", *v) : "null"; };
    if (as_json) {
      out += fmt::format(R"({}{{"what":{},"unit":{},"a":{},"b":{},"ratio":{}}})", out.empty() ? "" : ",", json_quoted(name),
                         json_quoted(unit), json(left), json(right), json(ratio));
    } else {
      out += fmt::format("{:<32} {:<8} {:>12} {:>12} {:>8}\n", name, unit, shown(left), shown(right), shown(ratio));
    }
  };
  for (const auto& [name, rate] : (*a)->rates) add(name, "MB/s", rate, (*b)->rates.at(name));
  for (const Row& row : rows()) {
    const auto value = [&row](const Loaded& report) {
      const Element& from = row.base == Row::Base::phase ? report.phase : row.base == Row::Base::run ? report.run : report.root;
      auto number = number_at(from, row.pointer);
      if (number) *number *= row.scale;
      return number;
    };
    add(row.name, row.unit, value(**a), value(**b));
  }
  return as_json ? fmt::format("{{\"rows\":[{}]}}\n", out) : out;
}

}  // namespace weir::perf
