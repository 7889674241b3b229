#include "perf/machine.h"

#include <fstream>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

namespace weir::perf {

CpuTimes cpu_times() {
  CpuTimes times;
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; };
  times.process_seconds = seconds(usage.ru_utime) + seconds(usage.ru_stime);
  std::ifstream stat("/proc/stat");
  std::string word;
  if (!(stat >> word) || word != "cpu") return times;
  // user nice system idle iowait irq softirq steal
  double total = 0;
  double idle = 0;
  for (int field = 0; field < 8; ++field) {
    double ticks = 0;
    if (!(stat >> ticks)) return times;
    total += ticks;
    if (field == 3 || field == 4) idle += ticks;
  }
  const auto per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  times.machine_seconds = total / per_second;
  times.machine_busy_seconds = (total - idle) / per_second;
  return times;
}

double busy_ratio(const CpuTimes& before, const CpuTimes& after) {
  const double all = after.machine_seconds - before.machine_seconds;
  if (before.machine_seconds < 0 || all <= 0) return -1;
  return (after.machine_busy_seconds - before.machine_busy_seconds) / all;
}

}  // namespace weir::perf
