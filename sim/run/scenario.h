// sim/run/scenario.h: one seed from the first start to the verdict.
// Phases:     1 active: clients work while the nemesis draws faults, at least ten virtual minutes
//             2 healing: faults end; the broker must serve again, producers must end, each partition must take one more batch
//             3 judgement: every partition is read whole and compared; then a clean stop must upload everything, wal/ is
//             deleted, the broker starts again, and everything is read once more, now from objects alone
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/run/plan.h"

namespace weir::sim {

struct Verdict {
  std::uint64_t seed = 0;
  std::vector<std::string> violations;
  std::uint64_t trace_hash = 0;
  std::vector<std::uint64_t> checkpoints;
  std::uint64_t events = 0;
  std::uint64_t acked_batches = 0;
  std::uint64_t acked_records = 0;
  std::uint64_t observed_batches = 0;
  std::uint64_t fetches = 0;
  std::uint64_t committed_transactions = 0;
  std::uint64_t aborted_transactions = 0;
  std::uint64_t hidden_batches = 0;  ///< of aborted transactions, as read_committed consumers were told
  std::uint64_t commits = 0;
  std::uint64_t generations = 0;
  std::uint64_t starts = 0;
  double virtual_seconds = 0;
  FaultTable faults;
  std::vector<std::string> last_log_lines;
};

Verdict run_scenario(const Plan& plan, bool print_trace);

}  // namespace weir::sim
