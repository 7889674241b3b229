#include "perf/options.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

namespace weir::perf {
namespace {

constexpr double bytes_per_mb = 1e6;

template <class T>
bool whole(std::string_view text, T& into) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

bool size_of(std::string_view text, std::uint32_t& into) { return whole(text, into) && into > 0 && into <= record_bytes_max; }

}  // namespace

std::string to_string(Mode mode) {
  switch (mode) {
    case Mode::fixed: return "fixed";
    case Mode::sweep: return "sweep";
    case Mode::maximum: return "maximum";
  }
  return "?";
}

base::Result<std::vector<std::uint32_t>> record_sizes(std::string_view text, int count) {
  const auto refuse = [text] {
    return base::fail(base::ErrorKind::invalid,
                      fmt::format("--record-size {}: write BYTES, BYTES-BYTES or BYTES,BYTES,...", text));
  };
  std::vector<std::uint32_t> sizes;
  if (const std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    std::uint32_t low = 0;
    std::uint32_t high = 0;
    if (!size_of(text.substr(0, dash), low) || !size_of(text.substr(dash + 1), high) || low > high) return refuse();
    for (int i = 0; i < count; ++i)
      sizes.push_back(count == 1 ? low
                                 : low + static_cast<std::uint32_t>(std::uint64_t{high - low} * static_cast<std::uint64_t>(i) /
                                                                    static_cast<std::uint64_t>(count - 1)));
    return sizes;
  }
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::uint32_t size = 0;
    if (!size_of(text.substr(0, comma), size)) return refuse();
    sizes.push_back(size);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  if (sizes.empty()) return refuse();
  return sizes;
}

base::Result<double> records_per_second(std::string_view text, double record_bytes_mean) {
  if (text == "max") return 0.0;
  const bool megabytes = text.ends_with("MB") || text.ends_with("MB/s");
  const std::string_view digits = text.substr(0, std::min(text.find('M'), text.size()));
  double value = 0;
  if (!whole(digits, value) || value < 0 || (!megabytes && digits.size() != text.size()))
    return base::fail(base::ErrorKind::invalid,
                      fmt::format("rate {}: write records per second, or megabytes like 40MB, or max", text));
  return megabytes ? value * bytes_per_mb / record_bytes_mean : value;
}

base::Result<double> duration_seconds(std::string_view text, double unit_seconds) {
  double factor = unit_seconds;
  std::string_view digits = text;
  if (text.ends_with("ms")) {
    factor = 0.001;
    digits.remove_suffix(2);
  } else if (text.ends_with('s') || text.ends_with('m') || text.ends_with('h')) {
    factor = text.back() == 's' ? 1 : text.back() == 'm' ? 60 : 3600;
    digits.remove_suffix(1);
  }
  double value = 0;
  if (!whole(digits, value) || value < 0)
    return base::fail(base::ErrorKind::invalid, fmt::format("'{}' is not a length of time: write 30s, 2m or 1h", text));
  return value * factor;
}

base::Result<void> apply_preset(std::string_view name, Options& options) {
  options.preset = std::string(name);
  if (name == "fsx-4to1") {
    // The machine decides the rate: see preset_rate() in perf/command.cc.
    options.record_size = "65536";
    options.partitions_per_topic = 4;
    options.groups_per_topic = 4;
    options.send_rate = "100MB";
  } else if (name == "small") {
    options.record_size = "1000";
    options.send_rate = "2000";
  } else if (name == "ingest") {
    options.record_size = "1000";
    options.partitions_per_topic = 16;
    options.producers_per_topic = 4;
    options.groups_per_topic = 0;
    options.send_rate = "50MB";
    options.producer_configs = {{"linger.ms", "10"}, {"batch.size", "262144"}};
  } else if (name == "catchup") {
    options.record_size = "16384";
    options.partitions_per_topic = 4;
    options.send_rate = "20MB";
    options.backlog_seconds = 60;
  } else {
    return base::fail(base::ErrorKind::invalid, fmt::format("--preset {}: fsx-4to1, small, ingest or catchup", name));
  }
  return {};
}

}  // namespace weir::perf
