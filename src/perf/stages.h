// perf/stages.h: where weir's brokers spent their time between two looks at /metrics, and whether a part of them was emulated.
// Contract:   exact means; percentiles within an eighth, by the rule of all reports: 100 samples beyond, or none. Several brokers are
//             summed. Another broker than weir has no stages.
// Tests:      perf/scrape_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "perf/scrape.h"

namespace weir::perf {

struct StageTime {
  std::string name;
  std::uint64_t count = 0;
  double mean_us = 0;
  std::optional<double> p50_us{};
  std::optional<double> p99_us{};
  std::optional<double> p999_us{};
};

struct BrokerTimes {
  std::vector<StageTime> produce;     ///< in the order of a request's way, then "added"; those that have samples
  std::vector<StageTime> fetch;       ///< reads by the place they came from: group, wal, memory, store
  std::vector<std::string> emulated;  ///< "wal=fsx"; a figure with one of these is a model's
};
[[nodiscard]] BrokerTimes broker_times(const Counters& before, const Counters& after);

}  // namespace weir::perf
