#include "perf/scrape.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "perf/stages.h"

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
  std::filesystem::remove(directory + "/cpu.stat");  // of an earlier run
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

TEST(Scrape, StagesAreWhatHappenedBetweenTheLooks) {
  const std::string device = "weir_produce_stage_seconds";
  const Counters before = parse_metrics(device + "_sum{stage=\"device\"} 5\n" + device + "_count{stage=\"device\"} 1000\n" +
                                        device + "_samples{stage=\"device\",up_to=\"0.500000000\"} 1000\n");
  const Counters after =
      parse_metrics(device + "_sum{stage=\"device\"} 35\n" + device + "_count{stage=\"device\"} 21000\n" + device +
                    "_samples{stage=\"device\",up_to=\"0.001000000\"} 19700\n" + device +
                    "_samples{stage=\"device\",up_to=\"0.500000000\"} 1300\n"
                    "weir_log_read_seconds_count{from=\"store\"} 3\nweir_log_read_seconds_sum{from=\"store\"} 0.3\n"
                    "weir_emulated{what=\"wal\",profile=\"fsx\"} 1\n");
  const BrokerTimes times = broker_times(before, after);
  ASSERT_EQ(times.produce.size(), 1U);
  EXPECT_EQ(times.produce[0].name, "device");
  EXPECT_EQ(times.produce[0].count, 20000U);
  EXPECT_DOUBLE_EQ(times.produce[0].mean_us, 1500);
  EXPECT_DOUBLE_EQ(*times.produce[0].p50_us, 1000);
  EXPECT_DOUBLE_EQ(*times.produce[0].p99_us, 500000) << "300 of 20000 were slow";
  EXPECT_FALSE(times.produce[0].p999_us) << "20 samples beyond it tell nothing";
  ASSERT_EQ(times.fetch.size(), 1U);
  EXPECT_EQ(times.fetch[0].name, "store");
  EXPECT_NEAR(times.fetch[0].mean_us, 1e5, 1e-6);
  EXPECT_FALSE(times.fetch[0].p50_us);
  EXPECT_EQ(times.emulated, std::vector<std::string>{"wal=fsx"});
  EXPECT_TRUE(broker_times(after, after).produce.empty());
}

}  // namespace
}  // namespace weir::perf
