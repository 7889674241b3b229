#include "runtime/metric_registry.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

using ::testing::HasSubstr;
using namespace std::chrono_literals;

constexpr MetricDecl requests{
    .name = "weir_test_requests_total", .kind = MetricKind::counter, .help = "Requests, with a \\ in it."};
constexpr MetricDecl depth{.name = "weir_test_depth", .kind = MetricKind::gauge, .help = "Depth."};
constexpr MetricDecl seconds{.name = "weir_test_seconds", .kind = MetricKind::histogram, .help = "Seconds."};
constexpr MetricDecl unlisted{.name = "weir_test_unlisted", .kind = MetricKind::gauge, .help = "Not in the table."};
const DeclaredMetrics declared({&requests, &depth, &seconds});

TEST(MetricRegistry, RendersEachKind) {
  MetricRegistry metrics;
  metrics.counter(requests, "api=\"produce\"").add(3);
  metrics.counter(requests, "api=\"fetch\"").add();
  metrics.gauge(depth, {}).set(-5);
  LatencyHistogram& histogram = metrics.histogram(seconds, "op=\"put\"");
  histogram.record(100us);
  histogram.record(3ms);
  histogram.record(3ms);
  histogram.record(100s);
  const std::string text = metrics.render();
  EXPECT_THAT(
      text, HasSubstr("# HELP weir_test_requests_total Requests, with a \\\\ in it.\n# TYPE weir_test_requests_total counter\n"
                      "weir_test_requests_total{api=\"fetch\"} 1\nweir_test_requests_total{api=\"produce\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE weir_test_depth gauge\nweir_test_depth -5\n"));
  EXPECT_THAT(text, HasSubstr("weir_test_seconds_bucket{op=\"put\",le=\"0.000128\"} 1\n"
                              "weir_test_seconds_bucket{op=\"put\",le=\"0.000512\"} 1\n"
                              "weir_test_seconds_bucket{op=\"put\",le=\"0.002048\"} 1\n"
                              "weir_test_seconds_bucket{op=\"put\",le=\"0.008192\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("weir_test_seconds_bucket{op=\"put\",le=\"8.388608\"} 3\n"
                              "weir_test_seconds_bucket{op=\"put\",le=\"+Inf\"} 4\n"
                              "weir_test_seconds_sum{op=\"put\"} 100.006100000\nweir_test_seconds_count{op=\"put\"} 4\n"));
  // What is counted against the limit is what is rendered.
  const auto lines = std::ranges::count(text, '\n') - 2 * 3;
  EXPECT_EQ(static_cast<std::size_t>(lines), metrics.series_count());
}

TEST(MetricRegistry, GivesTheSameCellAgain) {
  MetricRegistry metrics;
  EXPECT_EQ(&metrics.counter(requests, "a=\"1\""), &metrics.counter(requests, "a=\"1\""));
  EXPECT_NE(&metrics.counter(requests, "a=\"1\""), &metrics.counter(requests, "a=\"2\""));
}

TEST(MetricRegistry, ListsDeclarationsAndWhatIsMissingThere) {
  MetricRegistry metrics;
  metrics.counter(requests, {});
  EXPECT_TRUE(metrics.undeclared_names().empty());
  metrics.gauge(unlisted, {});
  EXPECT_EQ(metrics.undeclared_names(), std::vector<std::string>{"weir_test_unlisted"});
  std::vector<std::string> names;
  for (const MetricDecl& decl : DeclaredMetrics::all()) names.emplace_back(decl.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"weir_test_depth", "weir_test_requests_total", "weir_test_seconds"}));
  EXPECT_TRUE(std::ranges::is_sorted(names));
}

TEST(MetricRegistryDeathTest, RefusesAnUnboundedLabelAndAWrongKind) {
  EXPECT_DEATH(
      {
        MetricRegistry metrics;
        for (std::size_t i = 0; i <= metric_series_max; ++i) metrics.gauge(depth, "client=\"" + std::to_string(i) + "\"");
      },
      "metric series");
  EXPECT_DEATH(
      {
        MetricRegistry metrics;
        metrics.gauge(requests, {});
      },
      "is a counter");
}

TEST(LatencyHistogram, BucketsHoldWhatTheirBoundSays) {
  for (std::int64_t us = 0; us < 100'000'000; us = us < 100 ? us + 1 : us + us / 37) {
    LatencyHistogram histogram;
    histogram.record(std::chrono::microseconds(us));
    std::size_t index = 0;
    while (histogram.bucket(index) == 0) ++index;
    const double upper = LatencyHistogram::upper_bound_seconds(index);
    ASSERT_EQ(histogram.quantile_seconds(0.5), upper);
    ASSERT_LT(static_cast<double>(us) * 1e-6, upper) << us;
    if (us >= 8) { ASSERT_LE(upper / (static_cast<double>(us) * 1e-6), 1.126) << us; }
  }
}

TEST(LatencyHistogram, GivesQuantiles) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.quantile_seconds(0.99), 0);
  for (int i = 1; i <= 1000; ++i) histogram.record(std::chrono::milliseconds(i));
  histogram.record(-5ms);
  histogram.record(1000h);
  EXPECT_NEAR(histogram.quantile_seconds(0.5), 0.5, 0.07);
  EXPECT_NEAR(histogram.quantile_seconds(0.99), 0.99, 0.13);
  EXPECT_EQ(histogram.quantile_seconds(1), LatencyHistogram::upper_bound_seconds(LatencyHistogram::bucket_count - 1));
  EXPECT_EQ(histogram.count(), 1002U);
}

}  // namespace
}  // namespace weir::runtime
