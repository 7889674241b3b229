// perf/machine.h: what the run costs on this machine: CPU of this process, how busy all cores are.
// Contract:   -1 where the system does not say (not Linux).
#pragma once

namespace weir::perf {

struct CpuTimes {
  double process_seconds = 0;
  double machine_busy_seconds = -1;
  double machine_seconds = -1;
};
[[nodiscard]] CpuTimes cpu_times();
/// Between two looks, of all cores; -1: unknown.
[[nodiscard]] double busy_ratio(const CpuTimes& before, const CpuTimes& after);

}  // namespace weir::perf
