// perf/scrape.h: counters of the brokers under load, from weir's /metrics and /proc, and what they mean per GB.
// Contract:   counters are summed over the brokers; a broker that cannot be asked is a failure, not a zero.
// Limits:     scrape_bytes_max, scrape_seconds_max.
// Tests:      perf/scrape_test.cc
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::perf {

inline constexpr std::size_t scrape_bytes_max = 16U << 20U;
inline constexpr int scrape_seconds_max = 10;

/// "name{labels}" -> value.
using Counters = std::map<std::string, double>;

/// Brokers on this machine whose CPU is counted, whatever they are: a process from /proc, or a control group with all that runs in it
/// (a directory with cpu.stat, as version 2 has it, or cpuacct.usage).
struct LocalBrokers {
  std::vector<int> pids;
  std::vector<std::string> cgroups;
  [[nodiscard]] bool empty() const { return pids.empty() && cgroups.empty(); }
};
/// `addresses`: HOST:PORT of admin listeners.
[[nodiscard]] base::Result<Counters> scrape(const std::vector<std::string>& addresses, const LocalBrokers& local);
/// Prometheus text: counters and gauges; comments and what cannot be read as a number are left out.
[[nodiscard]] Counters parse_metrics(std::string_view text);

/// What the brokers did between two looks, per GB that producers had acknowledged.
struct Costs {
  double gigabytes_in = 0;
  double put_calls = 0;
  double get_calls = 0;
  double other_calls = 0;
  double put_bytes = 0;
  double get_bytes = 0;
  double wal_writes = 0;
  double cpu_seconds = -1;  ///< -1: nobody said
  double dollars = -1;      ///< -1: without prices
};
/// Prices: "put.per.1000", "get.per.1000", "store.per.gb.month", "retention.hours", "cpu.per.hour" (of one core), "wal.per.gb".
using Prices = std::map<std::string, double>;
[[nodiscard]] base::Result<Prices> read_prices(const std::string& path);
[[nodiscard]] Costs costs(const Counters& before, const Counters& after, double bytes_in, const Prices& prices);

}  // namespace weir::perf
