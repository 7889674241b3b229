// Merging over a real log: whatever uploads, restarts, a rising log start and merges do in whatever order, readers and producers see
// what they would without merges.
#include <gtest/gtest.h>

#include "log/testing/histories.h"
#include "upkeep/metrics_decl.h"
#include "upkeep/upkeep.h"

namespace weir::upkeep {
namespace {

using runtime::Task;

class Merging {
 public:
  explicit Merging(std::size_t fan_in_max) {
    options_.merge.limits = {.fan_in_max = fan_in_max, .memory_bytes = 1U << 20U, .splits = false};
    options_.merge.interval = std::chrono::milliseconds(10);
    options_.retention_interval = options_.sweep_interval = std::chrono::hours(1000);
  }
  /// As much as there is to merge.
  void run(log::testing::Cluster& cluster, log::testing::Broker& broker) const {
    const auto upkeep = make_upkeep(
        {.runtime = cluster.manual.doors, .meta = broker.meta, .store = cluster.store}, LogDoor::of(*broker.log, 1),
        {.cluster = cluster.cluster_id, .incarnation = 1},
        [](model::TopicId) -> std::optional<model::TopicConfig> { return std::nullopt; }, options_);
    ASSERT_TRUE(cluster.run(start(upkeep.get())));
    cluster.manual.advance(std::chrono::milliseconds(100));
    ASSERT_TRUE(cluster.run(stop(upkeep.get())));
  }

 private:
  static Task<bool> start(Upkeep* upkeep) {
    upkeep->start();
    co_return true;
  }
  static Task<bool> stop(Upkeep* upkeep) {
    co_await upkeep->stop();
    co_return true;
  }
  Options options_;
};

TEST(MergeHistories, NobodySeesThatObjectsAreMerged) {
  std::uint64_t merges = 0;
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Merging merging(2 + seed % 3);
    log::testing::Histories histories(
        seed, [&](log::testing::Cluster& cluster, log::testing::Broker& broker, log::testing::Random& random) {
          if (random.below(2) == 0) {
            broker.upload(random.below(2) == 0 ? 300 : UINT64_MAX);
          } else {
            merging.run(cluster, broker);
          }
          merges = std::max(merges, cluster.manual.metrics.counter(metric_merges, {}).value());
        });
    histories.run(150);
  }
  EXPECT_GE(merges, 5U) << "in one of them";
}

}  // namespace
}  // namespace weir::upkeep
