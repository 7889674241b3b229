// What merging costs in store calls, before there are data: the planner over a virtual day, every call counted.
//   weir_merge_plan [brokers=45 rate=22000000 partitions=22 skewed=0 uneven=0 upload-mib=64 memory-mib=768 split-mib=256 manifest-puts=1 hours=24
//                    bytes=0 json=0]
// bytes: of one broker, after which it ends early (0: never); json=1: the counts themselves, for bench/merges. Without arguments: the two clusters of docs/performance.md. upkeep/testing/merge_days.h says what is counted.
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
  row("manifest pages: GET", static_cast<double>(days.manifest_gets), gb);
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

void print_json(const MergeLoad& load) {
  const MergeDays days = weir::upkeep::testing::run_merge_days(load);
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      R"({"produced_bytes":%llu,"upload_puts":%llu,"tier_gets":%llu,"tier_puts":%llu,"split_gets":%llu,"split_puts":%llu,)"
      R"("manifest_gets":%llu,"manifest_puts":%llu,"deletes":%llu,"sweep_lists":%.0f,"tier_bytes":%llu,"split_bytes":%llu,)"
      R"("objects_max":%zu,"live_bytes_at_end":%llu,"lost_bytes":%llu})",
      number(days.produced_bytes), number(days.upload_puts), number(days.tier_gets), number(days.tier_puts),
      number(days.split_gets), number(days.split_puts), number(days.manifest_gets), number(days.manifest_puts),
      number(days.deletes), days.sweep_lists, number(days.tier_bytes), number(days.split_bytes), days.objects_max,
      number(days.live_bytes_at_end), number(days.lost_bytes));
  std::puts("");
}

bool apply(MergeLoad& load, bool& json, std::string_view argument) {
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
  } else if (name == "uneven") {
    load.uneven_percent = static_cast<std::uint32_t>(value);
  } else if (name == "upload-mib") {
    load.upload_bytes = value << 20U;
  } else if (name == "memory-mib") {
    load.limits.memory_bytes = value << 20U;
  } else if (name == "split-mib") {
    load.limits.split_bytes = value << 20U;
    load.limits.split_min_bytes = load.limits.split_bytes / weir::upkeep::tier_factor;  // as app/broker.cc does
    load.limits.split_object_max = load.limits.split_bytes * 2;
  } else if (name == "manifest-puts") {
    load.manifest_puts = static_cast<std::uint32_t>(value);
  } else if (name == "hours") {
    load.hours = static_cast<std::uint32_t>(value);
  } else if (name == "bytes") {
    load.bytes_max = value;
  } else if (name == "json") {
    json = value != 0;
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  MergeLoad small{.broker_count = 45};
  bool json = false;
  if (argc > 1) {
    for (int i = 1; i < argc; ++i) {
      if (!apply(small, json, argv[i])) {
        std::fprintf(stderr, "unknown argument: %s\n", argv[i]);
        return 2;
      }
    }
    json ? print_json(small) : print(small);
    return 0;
  }
  print(small);
  MergeLoad large{.broker_count = 3, .bytes_per_second = 333'000'000, .partition_count = 333, .upload_bytes = 128ULL << 20U};
  large.limits.memory_bytes = 2ULL << 30U;
  print(large);
  return 0;
}
