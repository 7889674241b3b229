// What merging costs in store calls, before there are data: the planner over a virtual day, every call counted.
//   weir_merge_plan [brokers=45 rate=22000000 partitions=22 skewed=0 upload-mib=64 memory-mib=768 split-mib=256 manifest-puts=2 hours=24]
// Without arguments: the two clusters of docs/performance.md. upkeep/testing/merge_days.h says what is counted.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "upkeep/testing/merge_days.h"

namespace {

using weir::upkeep::testing::MergeDays;
using weir::upkeep::testing::MergeLoad;

void row(const char* what, double count, double gigabytes) { std::printf("  %-34s %9.2f\n", what, count / gigabytes); }

void print(const MergeLoad& load) {
  const MergeDays days = weir::upkeep::testing::run_merge_days(load);
  const auto mib = [](std::uint64_t bytes) { return static_cast<unsigned long long>(bytes >> 20U); };
  std::printf(
      "%u brokers, %.0f MB/s and %u partitions each%s, %u hours; uploads of %llu MiB, jobs of %llu MiB, split at %llu MiB\n",
      load.broker_count, static_cast<double>(load.bytes_per_second) / 1e6, load.partition_count, load.skewed ? " (skewed)" : "",
      load.hours, mib(load.upload_bytes), mib(load.limits.memory_bytes), mib(load.limits.split_bytes));
  std::printf(" store calls per GB\n");
  const double gb = days.gigabytes();
  row("uploads: PUT", static_cast<double>(days.upload_puts), gb);
  row("tiers: GET", static_cast<double>(days.tier_gets), gb);
  row("tiers: PUT", static_cast<double>(days.tier_puts), gb);
  row("splits: GET", static_cast<double>(days.split_gets), gb);
  row("splits: PUT", static_cast<double>(days.split_puts), gb);
  row("manifest pages: PUT", static_cast<double>(days.manifest_puts), gb);
  row("DeleteObjects", static_cast<double>(days.deletes), gb);
  row("sweep: LIST", days.sweep_lists, gb);
  std::printf("  %-34s %9.2f\n", "all", days.calls_per_gb());
  std::printf(
      " bytes rewritten %.2f times (tiers %.2f, splits %.2f); obj/ keys at most %zu; largest job %llu MiB; planner at most %zu "
      "entries (%.1f MB)\n",
      days.rewritten(), static_cast<double>(days.tier_bytes) / (gb * 1e9), static_cast<double>(days.split_bytes) / (gb * 1e9),
      days.objects_max, mib(days.job_bytes_max), days.entries_max,
      static_cast<double>(days.entries_max * sizeof(weir::upkeep::MergeEntry)) / 1e6);
  std::printf(" in recent objects at the end: %llu MiB; lost: %llu bytes\n\n", mib(days.live_bytes_at_end),
              static_cast<unsigned long long>(days.lost_bytes));
}

bool apply(MergeLoad& load, std::string_view argument) {
  const std::size_t at = argument.find('=');
  if (at == std::string_view::npos) return false;
  const std::string_view name = argument.substr(0, at);
  const std::uint64_t value = std::strtoull(std::string(argument.substr(at + 1)).c_str(), nullptr, 10);
  if (name == "brokers") {
    load.broker_count = static_cast<std::uint32_t>(value);
  } else if (name == "rate") {
    load.bytes_per_second = value;
  } else if (name == "partitions") {
    load.partition_count = static_cast<std::uint32_t>(value);
  } else if (name == "skewed") {
    load.skewed = value != 0;
  } else if (name == "upload-mib") {
    load.upload_bytes = value << 20U;
  } else if (name == "memory-mib") {
    load.limits.memory_bytes = value << 20U;
  } else if (name == "split-mib") {
    load.limits.split_bytes = value << 20U;
  } else if (name == "manifest-puts") {
    load.manifest_puts = static_cast<std::uint32_t>(value);
  } else if (name == "hours") {
    load.hours = static_cast<std::uint32_t>(value);
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  MergeLoad small{.broker_count = 45};
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      if (!apply(small, argv[i])) {
        std::fprintf(stderr, "unknown argument: %s\n", argv[i]);
        return 2;
      }
    }
    print(small);
    return 0;
  }
  print(small);
  MergeLoad large{.broker_count = 3, .bytes_per_second = 333'000'000, .partition_count = 333, .upload_bytes = 128ULL << 20U};
  large.limits.memory_bytes = 2ULL << 30U;
  print(large);
  return 0;
}
