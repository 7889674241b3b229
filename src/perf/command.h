// perf/command.h: weir perf and weir perf compare, apart from parsing their options.
// Contract:   block and give the exit code: 0 measured and nothing lost, 1 lost or failed records or no measurement, 2 wrong usage.
//             Interval lines and the verdict go to stdout (to stderr with `json`, when stdout carries the report).
// Tests:      tests/system/test_perf.py
#pragma once

#include <string>
#include <vector>

#include "perf/options.h"
#include "perf/scrape.h"

namespace weir::perf {

struct Invocation {
  Options options;
  LocalBrokers brokers;
  bool json = false;  ///< the report to stdout
  bool live = false;  ///< a view that redraws itself
  std::vector<std::string> command;
  std::string version;
};
int perf_command(Invocation invocation);
int compare_command(const std::string& a_path, const std::string& b_path, bool json);

}  // namespace weir::perf
