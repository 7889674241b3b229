#include "perf/options.h"

#include <gtest/gtest.h>

namespace weir::perf {
namespace {

TEST(PerfOptions, Sizes) {
  EXPECT_EQ(*record_sizes("1024", 10), (std::vector<std::uint32_t>{1024}));
  EXPECT_EQ(*record_sizes("1,20,300", 10), (std::vector<std::uint32_t>{1, 20, 300}));
  EXPECT_EQ(*record_sizes("100-200", 3), (std::vector<std::uint32_t>{100, 150, 200}));
  for (const char* text : {"", "0", "x", "5-", "9-5", "1,,2", "1k", "999999999999"})
    EXPECT_FALSE(record_sizes(text, 3)) << text;
}

TEST(PerfOptions, Rates) {
  EXPECT_DOUBLE_EQ(*records_per_second("1500", 100), 1500);
  EXPECT_DOUBLE_EQ(*records_per_second("40MB", 1000), 40000);
  EXPECT_DOUBLE_EQ(*records_per_second("0.5MB/s", 1000), 500);
  EXPECT_DOUBLE_EQ(*records_per_second("max", 1000), 0);
  for (const char* text : {"", "-1", "MB", "5GB", "fast", "1x"}) EXPECT_FALSE(records_per_second(text, 100)) << text;
}

TEST(PerfOptions, Durations) {
  EXPECT_DOUBLE_EQ(*duration_seconds("5", 60), 300);
  EXPECT_DOUBLE_EQ(*duration_seconds("5", 1), 5);
  EXPECT_DOUBLE_EQ(*duration_seconds("90s", 60), 90);
  EXPECT_DOUBLE_EQ(*duration_seconds("1.5m", 1), 90);
  EXPECT_DOUBLE_EQ(*duration_seconds("250ms", 1), 0.25);
  for (const char* text : {"", "s", "-1", "5d"}) EXPECT_FALSE(duration_seconds(text, 1)) << text;
}

TEST(PerfOptions, Presets) {
  Options options;
  EXPECT_TRUE(apply_preset("fsx-4to1", options));
  EXPECT_EQ(options.groups_per_topic, 4);
  EXPECT_FALSE(apply_preset("nothing", options));
}

}  // namespace
}  // namespace weir::perf
