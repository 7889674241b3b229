#include "perf/stages.h"

#include <array>
#include <charconv>
#include <map>
#include <string_view>

#include <fmt/core.h>

namespace weir::perf {
namespace {

constexpr std::array<std::string_view, 9> produce_stages = {"frame_wait", "parse", "turn",       "queue",  "slot_wait",
                                                            "device",     "gate",  "order_wait", "respond"};
constexpr std::array<std::string_view, 4> read_places = {"group", "wal", "memory", "store"};
constexpr double samples_beyond_min = 100;

double value_of(const Counters& counters, const std::string& series) {
  const auto at = counters.find(series);
  return at == counters.end() ? 0 : at->second;
}

std::optional<StageTime> stage_time(const Counters& before, const Counters& after, std::string_view family,
                                    std::string_view labels, std::string_view name) {
  const auto rise = [&](const std::string& series) { return value_of(after, series) - value_of(before, series); };
  const std::string braces = labels.empty() ? "" : fmt::format("{{{}}}", labels);
  StageTime time{.name = std::string(name)};
  const double count = rise(fmt::format("{}_count{}", family, braces));
  if (count < 1) return std::nullopt;
  time.count = static_cast<std::uint64_t>(count);
  time.mean_us = rise(fmt::format("{}_sum{}", family, braces)) / count * 1e6;
  std::map<double, double> buckets;
  const std::string prefix = fmt::format("{}_samples{{{}{}up_to=\"", family, labels, labels.empty() ? "" : ",");
  for (auto at = after.lower_bound(prefix); at != after.end() && at->first.starts_with(prefix); ++at) {
    double up_to = 0;
    std::from_chars(at->first.data() + prefix.size(), at->first.data() + at->first.size(), up_to);
    buckets[up_to] += at->second - value_of(before, at->first);
  }
  const auto quantile = [&](double q) -> std::optional<double> {
    double total = 0;
    for (const auto& [up_to, samples] : buckets) total += samples;
    if (total * (1 - q) < samples_beyond_min) return std::nullopt;
    double seen = 0;
    for (const auto& [up_to, samples] : buckets) {
      seen += samples;
      if (seen >= q * total) return up_to * 1e6;
    }
    return std::nullopt;
  };
  time.p50_us = quantile(0.5);
  time.p99_us = quantile(0.99);
  time.p999_us = quantile(0.999);
  return time;
}

}  // namespace

BrokerTimes broker_times(const Counters& before, const Counters& after) {
  BrokerTimes times;
  const auto add = [&](std::vector<StageTime>& into, std::string_view family, const std::string& labels,
                       std::string_view name) {
    if (auto time = stage_time(before, after, family, labels, name)) into.push_back(std::move(*time));
  };
  for (const std::string_view stage : produce_stages)
    add(times.produce, "weir_produce_stage_seconds", fmt::format("stage=\"{}\"", stage), stage);
  add(times.produce, "weir_produce_added_seconds", "", "added");
  for (const std::string_view place : read_places)
    add(times.fetch, "weir_log_read_seconds", fmt::format("from=\"{}\"", place), place);
  constexpr std::string_view emulated = "weir_emulated{what=\"";
  for (const auto& [series, value] : after) {
    if (!series.starts_with(emulated) || value < 1) continue;
    std::string_view rest = std::string_view(series).substr(emulated.size());
    const std::string_view what = rest.substr(0, rest.find('"'));
    constexpr std::string_view profile = "profile=\"";
    rest.remove_prefix(std::min(rest.find(profile), rest.size() - profile.size()) + profile.size());
    times.emulated.push_back(fmt::format("{}={}", what, rest.substr(0, rest.find('"'))));
  }
  return times;
}

}  // namespace weir::perf
