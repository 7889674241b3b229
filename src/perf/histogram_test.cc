#include "perf/histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace weir::perf {
namespace {

TEST(Histogram, QuantilesLieWithinOneStepOfTheSortedValues) {
  std::mt19937_64 random(1);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 200000; ++i) {
    values.push_back(static_cast<std::int64_t>(std::exp2(static_cast<double>(random() % 24000) / 1000.0)));
    histogram.record(values.back());
  }
  std::ranges::sort(values);
  for (const double q : {0.0, 0.5, 0.9, 0.99, 0.999}) {
    const auto exact = static_cast<double>(values[static_cast<std::size_t>(std::max(0.0, std::ceil(q * 200000.0) - 1))]);
    ASSERT_TRUE(histogram.quantile(q).has_value()) << q;
    EXPECT_GE(static_cast<double>(*histogram.quantile(q)), exact) << q;
    EXPECT_LE(static_cast<double>(*histogram.quantile(q)), exact * 1.02 + 1) << q;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(Histogram, GivesNoQuantileThatAHandfulOfSamplesDecides) {
  Histogram histogram;
  for (int i = 0; i < 9999; ++i) histogram.record(i);
  EXPECT_FALSE(histogram.quantile(0.99).has_value());
  histogram.record(1);
  EXPECT_TRUE(histogram.quantile(0.99).has_value());
  EXPECT_FALSE(histogram.quantile(0.999).has_value());
}

TEST(Histogram, MergesAsIfRecordedTogether) {
  Histogram a;
  Histogram b;
  Histogram both;
  for (int i = 0; i < 1000; ++i) {
    (i % 2 == 0 ? a : b).record(i * 7);
    both.record(i * 7);
  }
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.quantile(0.5), both.quantile(0.5));
  EXPECT_DOUBLE_EQ(a.mean(), both.mean());
}

}  // namespace
}  // namespace weir::perf
