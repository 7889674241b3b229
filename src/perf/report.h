// perf/report.h: everything that a run found, as JSON, as a page of its own, and two of them beside each other.
// Contract:   the JSON holds the whole histograms, so that nothing has to be measured again to ask another question. The page holds
//             the JSON and draws it itself: it opens offline, from a file.
// Tests:      tests/system/test_perf.py
#pragma once

#include <string>
#include <vector>

#include "perf/engine.h"
#include "perf/scrape.h"
#include "perf/stages.h"

namespace weir::perf {

struct Report {
  std::string version;
  std::string title;
  std::vector<std::string> command;
  std::string started_at;  ///< UTC
  std::string machine;     ///< cores, kernel
  Options options;
  double record_bytes_mean = 0;
  std::vector<std::string> verdict;  ///< lines for a person
  std::vector<RunResult> runs;       ///< one; of a sweep, one per rate
  std::size_t main_run = 0;          ///< the one that the verdict is about
  bool has_costs = false;
  Costs costs;
  BrokerTimes times;  ///< with has_costs
};

[[nodiscard]] std::string to_json(const Report& report);
/// `json` is what to_json() gave.
[[nodiscard]] std::string to_html(const std::string& json);
/// Rows of what differs, as text or JSON. invalid: not reports.
[[nodiscard]] base::Result<std::string> compare(const std::string& a_path, const std::string& b_path, bool as_json);
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace weir::perf
