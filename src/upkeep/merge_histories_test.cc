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
    begin();
  }
  /// Tiers make objects of up to `memory_bytes`; what gathers in those of half as much is split off from 400 bytes on.
  static Merging with_splits(std::size_t fan_in_max, std::uint64_t memory_bytes) {
    Merging made(fan_in_max);
    made.options_.merge.limits = {.fan_in_max = fan_in_max,
                                  .memory_bytes = memory_bytes,
                                  .split_bytes = 400,
                                  .split_min_bytes = 100,
                                  .split_object_max = 800};
    return made;
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
  void begin() {
    options_.merge.interval = std::chrono::milliseconds(10);
    options_.retention_interval = options_.sweep_interval = std::chrono::hours(1000);
  }
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

TEST(MergeHistories, NobodySeesThatHistoryHasObjectsOfItsOwn) {
  std::uint64_t splits = 0;
  for (std::uint64_t seed = 1; seed <= 60 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Merging merging = Merging::with_splits(2 + seed % 3, seed % 2 == 0 ? 1200 : 4000);
    log::testing::Histories histories(
        seed, [&](log::testing::Cluster& cluster, log::testing::Broker& broker, log::testing::Random& random) {
          if (random.below(2) == 0) {
            broker.upload(random.below(2) == 0 ? 300 : UINT64_MAX);
          } else {
            merging.run(cluster, broker);
          }
          splits = std::max(splits, cluster.manual.metrics.counter(metric_split_partitions, {}).value());
        });
    histories.run(150);
  }
  EXPECT_GE(splits, 5U) << "in one of them";
}

}  // namespace
}  // namespace weir::upkeep
