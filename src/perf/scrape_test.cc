#include "perf/scrape.h"

#include <fstream>

#include <gtest/gtest.h>

namespace weir::perf {
namespace {

TEST(Scrape, ParsesAndPrices) {
  const Counters before = parse_metrics(
      "# HELP x y\nweir_store_requests_total{op=\"put\",outcome=\"ok\"} 5\nweir_wal_writes_total 100\nbroken line\nx NaNx\n");
  EXPECT_EQ(before.size(), 2U);
  const Counters after = parse_metrics(
      "weir_store_requests_total{op=\"put\",outcome=\"ok\"} 25\nweir_store_requests_total{op=\"get\",outcome=\"ok\"} 10\n"
      "weir_store_requests_total{op=\"list\",outcome=\"ok\"} 1\nweir_store_bytes_total{direction=\"put\"} "
      "2e9\nweir_wal_writes_total 300\n"
      "process_cpu_seconds_total 3600\n");
  const std::string path = testing::TempDir() + "/prices";
  std::ofstream(path)
      << "put.per.1000 = 5\nget.per.1000=1 # comment\n\nstore.per.gb.month=0.02\nretention.hours=365\ncpu.per.hour=0.5\n";
  auto prices = read_prices(path);
  ASSERT_TRUE(prices) << prices.error().text;
  const Costs c = costs(before, after, 4e9, *prices);
  EXPECT_DOUBLE_EQ(c.put_calls, 20);
  EXPECT_DOUBLE_EQ(c.get_calls, 10);
  EXPECT_DOUBLE_EQ(c.other_calls, 1);
  EXPECT_DOUBLE_EQ(c.wal_writes, 200);
  EXPECT_DOUBLE_EQ(c.gigabytes_in, 4);
  EXPECT_NEAR(c.dollars, 0.1 + 0.011 + 0.02 + 0.5, 1e-9);
  EXPECT_DOUBLE_EQ(costs(before, before, 1e9, {}).cpu_seconds, -1);
  std::ofstream(path) << "put.per.1000 = x\n";
  EXPECT_FALSE(read_prices(path));
  std::ofstream(path) << "unknown = 1\n";
  EXPECT_FALSE(read_prices(path));
}

TEST(Scrape, ControlGroupsOfBothVersions) {
  const std::string directory = testing::TempDir();
  std::ofstream(directory + "/cpuacct.usage") << "2500000000\n";
  const auto old = scrape({}, {.pids = {}, .cgroups = {directory}});
  ASSERT_TRUE(old) << old.error().text;
  EXPECT_DOUBLE_EQ(old->begin()->second, 2.5);
  std::ofstream(directory + "/cpu.stat") << "usage_usec 4250000\nuser_usec 4000000\n";
  const auto now = scrape({}, {.pids = {}, .cgroups = {directory}});
  ASSERT_TRUE(now) << now.error().text;
  EXPECT_DOUBLE_EQ(costs(*old, *now, 1e9, {}).cpu_seconds, 1.75);
  EXPECT_FALSE(scrape({}, {.pids = {}, .cgroups = {directory + "/missing"}}));
}

}  // namespace
}  // namespace weir::perf
