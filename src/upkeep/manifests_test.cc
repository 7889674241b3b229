// Retention, DeleteRecords, topic deletion and the sweep over manifests, with the real log.
#include <gtest/gtest.h>

#include "log/testing/split.h"
#include "upkeep/metrics_decl.h"
#include "upkeep/upkeep.h"

namespace weir::upkeep {
namespace {

using log::Errc;
using log::testing::batch;
using log::testing::partition;
using log::testing::SplitStop;
using log::testing::test_time;
using std::chrono::hours;
using std::chrono::minutes;

class ManifestUpkeep : public ::testing::Test {
 protected:
  ManifestUpkeep() { restart_broker(); }
  ~ManifestUpkeep() override { stop(); }

  void restart_broker() {
    stop();
    broker_.reset();
    broker_ = std::make_unique<log::testing::Broker>(cluster_);
    broker_->start(config_);
  }
  void start() {
    upkeep_ = make_upkeep({.runtime = cluster_.manual.doors, .meta = broker_->meta, .store = cluster_.store},
                          LogDoor::of(*broker_->log, cluster_.manual.doors.shards.size()),
                          {.cluster = cluster_.cluster_id, .incarnation = 1},
                          [this](model::TopicId) -> std::optional<model::TopicConfig> { return config_; }, {});
    cluster_.run(begin(upkeep_.get()));
  }
  static runtime::Task<bool> begin(Upkeep* upkeep) {
    upkeep->start();
    co_return true;
  }
  static runtime::Task<bool> end(Upkeep* upkeep) {
    co_await upkeep->stop();
    co_return true;
  }
  void stop() {
    if (upkeep_) cluster_.run(end(upkeep_.get()));
    upkeep_.reset();
  }
  void pass(base::Duration duration) { cluster_.manual.advance(duration); }
  /// One object per value, then all of them under the manifest.
  void produce(std::size_t count, base::WallMs at = -1) {
    if (at < 0) at = cluster_.manual.doors.shards[0]->wall_now_ms();
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(broker_->produce(batch({.timestamps = {at}})).error, Errc::none);
      broker_->upload();
    }
  }
  std::size_t split(SplitStop stop = SplitStop::never) {
    const auto done = cluster_.run(split_off(&cluster_, broker_.get(), partition(), model::Offset(1'000'000), stop));
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().text);
    return done.value_or(0);
  }
  log::ManifestPtr manifest() {
    const auto basis = broker_->log->shard(runtime::ShardId(0)).manifest_basis(partition());
    return basis ? basis->manifest : nullptr;
  }
  std::vector<std::string> stored() {
    std::vector<std::string> keys;
    for (std::size_t hash = 0; hash < object::object_key_hash_count; ++hash) {
      const auto page = cluster_.run(cluster_.objects.list(object::object_key_prefix(hash, cluster_.cluster_id), "", {}));
      for (const store::ObjectInfo& info : page->objects) keys.push_back(info.key);
    }
    return keys;
  }
  std::size_t readable() {
    std::size_t count = 0;
    for (std::int64_t at = broker_->state().log_start.value(); at < broker_->state().high_watermark.value(); ++at) {
      const auto got = broker_->read(at);
      EXPECT_EQ(got.error, Errc::none) << got.message;
      if (got.size_bytes > 0) ++count;
    }
    return count;
  }
  [[nodiscard]] std::uint64_t count(const runtime::MetricDecl& decl) {
    return cluster_.manual.metrics.counter(decl, {}).value();
  }

  log::testing::Cluster cluster_;
  model::TopicConfig config_ = [] {
    model::TopicConfig config;
    config.retention_ms = -1;
    config.segment_bytes = 1;  // each object is a segment, or several
    return config;
  }();
  std::unique_ptr<log::testing::Broker> broker_;
  std::unique_ptr<Upkeep> upkeep_;
};

TEST_F(ManifestUpkeep, RetentionByTimeDropsHistoryWithoutNewData) {
  broker_->create_topic();
  config_.retention_ms = 3'600'000;
  produce(3);
  pass(minutes(30));
  produce(2);
  ASSERT_EQ(split(), 5U);
  start();
  pass(minutes(40));
  EXPECT_EQ(broker_->state().log_start, model::Offset(3));
  ASSERT_TRUE(manifest());
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(3)) << "the next manifest does not name them";
  EXPECT_EQ(manifest()->root.covers_to, model::Offset(5));
  EXPECT_EQ(readable(), 2U);
  pass(minutes(20));
  EXPECT_EQ(stored().size(), 3U) << "two objects and the newest page object";
  EXPECT_TRUE(broker_->state().uploaded_bytes > 0);
  restart_broker();
  EXPECT_EQ(readable(), 2U);
  pass(hours(3));
}

TEST_F(ManifestUpkeep, RetentionBySizeCountsHistoryRecentObjectsAndTheTail) {
  broker_->create_topic();
  produce(4);
  ASSERT_EQ(split(), 4U);
  const std::uint64_t each = manifest()->root.payload_bytes() / 4;
  produce(1);
  ASSERT_EQ(broker_->produce(batch()).error, Errc::none);
  config_.retention_bytes = static_cast<std::int64_t>(4 * each);
  start();
  pass(minutes(6));
  EXPECT_EQ(broker_->state().log_start, model::Offset(2)) << "six batches, four are to stay";
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(2));
  pass(minutes(30));
  EXPECT_EQ(broker_->state().log_start, model::Offset(2));
  EXPECT_EQ(readable(), 4U);
}

// Objects of several blocks: a segment may end within one, also in history, where only a footer tells; it is read once.
TEST_F(ManifestUpkeep, SegmentsEndWithinObjects) {
  broker_->create_topic();
  const base::WallMs begin = cluster_.manual.doors.shards[0]->wall_now_ms() - 7'200'000;
  // Each a block of its own, ten minutes apart.
  const auto produce_blocks = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      const base::WallMs at = begin + static_cast<base::WallMs>(i) * 600'000;
      ASSERT_EQ(broker_->produce(batch({.timestamps = {at}, .value = std::string(700'000, 'v')})).error, Errc::none);
    }
    broker_->upload();
  };
  produce_blocks(0, 6);
  ASSERT_EQ(split(), 1U);
  produce_blocks(6, 12);
  config_.retention_ms = 10'800'000;
  config_.segment_bytes = 1 << 30;
  config_.segment_ms = 1'200'000;  // three blocks
  start();
  pass(minutes(75));
  EXPECT_EQ(broker_->state().log_start, model::Offset(0)) << "two blocks are old enough, the third is not";
  pass(minutes(10));
  EXPECT_EQ(broker_->state().log_start, model::Offset(3));
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(0)) << "the object stays whole";
  const std::size_t gets = cluster_.store.get_count;
  pass(minutes(15));
  EXPECT_EQ(cluster_.store.get_count, gets) << "nothing is read while no segment is old";
  EXPECT_EQ(broker_->state().log_start, model::Offset(3));
  EXPECT_EQ(readable(), 9U);
  pass(minutes(20));
  EXPECT_EQ(broker_->state().log_start, model::Offset(6));
  EXPECT_TRUE(manifest()->root.leaves.empty());
  pass(minutes(30));
  EXPECT_EQ(broker_->state().log_start, model::Offset(9)) << "half of the recent object";
  stop();
  restart_broker();
  EXPECT_EQ(broker_->state().log_start, model::Offset(9));
  EXPECT_EQ(readable(), 3U);
}

TEST_F(ManifestUpkeep, DeleteRecordsDropsAllOfHistory) {
  broker_->create_topic();
  produce(5);
  ASSERT_EQ(split(), 5U);
  produce(1);
  start();
  ASSERT_EQ(broker_->raise_log_start(5), Errc::none);
  upkeep_->kick();
  pass(minutes(1));
  EXPECT_TRUE(manifest()->root.leaves.empty());
  EXPECT_EQ(manifest()->root.covers_to, model::Offset(5));
  EXPECT_EQ(readable(), 1U);
  pass(hours(2));
  EXPECT_EQ(stored().size(), 2U) << "the recent object and the page";
  EXPECT_EQ(split(), 1U) << "and it grows again";
  EXPECT_EQ(readable(), 1U);
  restart_broker();
  EXPECT_EQ(readable(), 1U);
}

// A log start in the middle of an object: nothing goes, and no edit is made round after round.
TEST_F(ManifestUpkeep, WhatIsPartlyReadableStays) {
  broker_->create_topic();
  ASSERT_EQ(broker_->produce(batch({.timestamps = log::testing::times(10)})).error, Errc::none);
  broker_->upload();
  produce(1);
  ASSERT_EQ(split(), 2U);
  ASSERT_EQ(broker_->raise_log_start(4), Errc::none);
  start();
  pass(hours(1));
  EXPECT_EQ(count(metric_manifest_edits), 0U);
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(0));
  ASSERT_EQ(broker_->raise_log_start(10), Errc::none);
  pass(hours(1));
  EXPECT_EQ(count(metric_manifest_edits), 1U);
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(10));
}

TEST_F(ManifestUpkeep, ATopicsHistoryIsSweptAfterItsDeletion) {
  broker_->create_topic();
  broker_->create_topic(2);
  produce(4);
  ASSERT_EQ(split(), 4U);
  ASSERT_EQ(broker_->produce(batch(), partition(2)).error, Errc::none);
  broker_->upload();
  broker_->delete_topic();
  start();
  pass(hours(2));
  EXPECT_EQ(stored().size(), 1U) << "the living topic's object";
}

TEST_F(ManifestUpkeep, WhatACrashLeftUncommittedIsSweptByTheNextSession) {
  broker_->create_topic();
  produce(3);
  ASSERT_EQ(split(SplitStop::before_commit), 3U);
  EXPECT_EQ(stored().size(), 7U);
  restart_broker();
  ASSERT_EQ(split(), 3U);
  start();
  pass(hours(2));
  EXPECT_EQ(stored().size(), 4U) << "three objects, one page; recent ones are gone";
  EXPECT_EQ(readable(), 3U);
}

// The page cannot be put: the number is given up, what was put for it is swept, and the next edit does the work.
TEST_F(ManifestUpkeep, AnEditThatFailsLeavesItsNumberBehind) {
  broker_->create_topic();
  produce(3);
  ASSERT_EQ(split(), 3U);
  start();
  ASSERT_EQ(broker_->raise_log_start(2), Errc::none);
  cluster_.store.puts_left = 0;
  pass(minutes(6));
  EXPECT_EQ(count(metric_manifest_edits), 0U);
  EXPECT_EQ(manifest()->root.sequence, 1U);
  cluster_.store.puts_left = SIZE_MAX;
  pass(minutes(6));
  EXPECT_EQ(count(metric_manifest_edits), 1U);
  EXPECT_GT(manifest()->root.sequence, 2U);
  ASSERT_EQ(manifest()->root.writers.size(), 3U);
  EXPECT_TRUE(manifest()->root.writers[1].session == model::SessionId());
  EXPECT_EQ(readable(), 1U);
  pass(hours(2));
  EXPECT_EQ(stored().size(), 2U);
}

}  // namespace
}  // namespace weir::upkeep
