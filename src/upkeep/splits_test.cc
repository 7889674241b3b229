// Splits with the real log: a partition's history moves out of recent objects into objects of its own, and nobody sees it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing/log_fixture.h"
#include "meta/keys.h"
#include "store/testing/scripted_store.h"
#include "upkeep/metrics_decl.h"
#include "upkeep/upkeep.h"

namespace weir::upkeep {
namespace {

using keyspace::testing::TxnFault;
using log::Errc;
using log::Isolation;
using log::testing::batch;
using log::testing::partition;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

const model::TopicPartition first = partition(1, 0);
const model::TopicPartition second = partition(1, 1);

class SplitTest : public ::testing::Test {
 protected:
  SplitTest() {
    // Any upload is large enough that tiers leave it alone; a few batches of a partition are enough for an object.
    options_.merge.limits = {.fan_in_max = 4,
                             .memory_bytes = 10'000,
                             .split_bytes = 2000,
                             .split_min_bytes = 200,
                             .split_object_max = 4000,
                             .splits = true};
    options_.merge.interval = seconds(1);
    restart_broker();
    broker_->create_topic(1, 2);
  }
  ~SplitTest() override { stop(); }

  void restart_broker() {
    stop();
    broker_.reset();
    broker_ = std::make_unique<log::testing::Broker>(cluster_);
    broker_->start(config_);
  }
  void start() {
    upkeep_ = make_upkeep(
        {.runtime = cluster_.manual.doors,
         .meta = broker_->meta,
         .store = cluster_.store,
         .on_fenced = [this](const base::Error&) { ++fenced_count_; }},
        LogDoor::of(*broker_->log, cluster_.manual.doors.shards.size()), {.cluster = cluster_.cluster_id, .incarnation = 1},
        [this](model::TopicId) -> std::optional<model::TopicConfig> { return config_; }, options_);
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
  /// Batches of about 600 bytes in both partitions, five to an upload.
  void produce(std::size_t uploads) {
    for (std::size_t i = 0; i < uploads; ++i) {
      for (int n = 0; n < 5; ++n) {
        for (const model::TopicPartition& p : {first, second}) put_one(p);
      }
      broker_->upload();
    }
  }
  void put_one(const model::TopicPartition& p) {
    const std::string value = fmt::format("{}:", ++written_) + std::string(500, 'v');
    ASSERT_EQ(broker_->produce(batch({.timestamps = {log::testing::test_time + written_}, .value = value}), p).error,
              Errc::none);
  }
  log::ManifestPtr manifest(const model::TopicPartition& p = first) {
    const auto basis = broker_->log->shard(runtime::ShardId(0)).manifest_basis(p);
    return basis ? basis->manifest : nullptr;
  }
  [[nodiscard]] model::Offset covers_to(const model::TopicPartition& p = first) {
    const log::ManifestPtr of = manifest(p);
    return of ? of->root.covers_to : model::Offset(0);
  }
  /// Everything that a consumer sees of a partition.
  std::vector<std::string> all(const model::TopicPartition& p, Isolation isolation = Isolation::read_uncommitted) {
    std::vector<std::string> out;
    const log::PartitionState state = broker_->state(p);
    const model::Offset to = isolation == Isolation::read_committed ? state.last_stable_offset : state.high_watermark;
    for (model::Offset at = state.log_start; at < to;) {
      const log::ReadOutcome got = broker_->read(at.value(), 1U << 20U, isolation, p);
      EXPECT_EQ(got.error, Errc::none) << got.message;
      if (got.error != Errc::none || got.end <= at) break;
      for (std::string& value : log::testing::values(got)) out.push_back(std::move(value));
      at = got.end;
    }
    return out;
  }
  std::vector<std::string> stored() {
    std::vector<std::string> keys;
    for (std::size_t hash = 0; hash < object::object_key_hash_count; ++hash) {
      const auto page = cluster_.run(cluster_.objects.list(object::object_key_prefix(hash, cluster_.cluster_id), "", {}));
      for (const store::ObjectInfo& info : page->objects) keys.push_back(info.key);
    }
    return keys;
  }
  meta::Snapshot snapshot() { return *cluster_.run(broker_->meta.load()); }
  [[nodiscard]] std::uint64_t count(const runtime::MetricDecl& decl) {
    return cluster_.manual.metrics.counter(decl, {}).value();
  }

  log::testing::Cluster cluster_;
  model::TopicConfig config_ = [] {
    model::TopicConfig config;
    config.retention_ms = -1;
    return config;
  }();
  Options options_;
  std::unique_ptr<log::testing::Broker> broker_;
  std::unique_ptr<Upkeep> upkeep_;
  int written_ = 0;
  int fenced_count_ = 0;
};

TEST_F(SplitTest, PartitionsGetObjectsOfTheirOwnAndRecentOnesGo) {
  produce(6);
  const std::vector<std::string> before[] = {all(first), all(second)};
  ASSERT_EQ(before[0].size(), 30U);
  ASSERT_EQ(snapshot().objects.size(), 6U);
  start();
  pass(minutes(1));
  // The newest upload waits: not every shard may know of it.
  EXPECT_EQ(covers_to(first), model::Offset(25));
  EXPECT_EQ(covers_to(second), model::Offset(25));
  EXPECT_EQ(all(first), before[0]);
  EXPECT_EQ(all(second), before[1]);
  EXPECT_EQ(snapshot().objects.size(), 1U) << "everything else is covered, or below";
  EXPECT_EQ(snapshot().manifests.size(), 2U);
  EXPECT_GE(count(metric_split_partitions), 2U);
  EXPECT_GT(count(metric_split_bytes_out), 20U * 500U);
  const std::uint64_t manifest_objects = count(metric_split_objects);
  pass(minutes(20));
  EXPECT_EQ(stored().size(), 1U + manifest_objects + 2U) << "the newest upload, what manifests name, a page each";
  EXPECT_EQ(all(first), before[0]);
  restart_broker();
  EXPECT_EQ(covers_to(first), model::Offset(25));
  EXPECT_EQ(all(first), before[0]);
  EXPECT_EQ(all(second), before[1]);
  store::testing::ScriptedUploads uploads;
  for (const std::string& key : stored())
    uploads.under_way.push_back({.key = key, .id = fmt::format("{:03}", uploads.under_way.size())});
  cluster_.store.uploads = &uploads;
  start();
  pass(minutes(1));
  EXPECT_EQ(all(second), before[1]);
  pass(hours(2));
  EXPECT_EQ(all(first), before[0]) << "the sweep takes nothing that is needed";
  EXPECT_TRUE(uploads.under_way.empty()) << "what is committed, by the keyspace or a manifest, needs no upload";
  cluster_.store.uploads = nullptr;
}

TEST_F(SplitTest, TimestampsAndEpochsAreFoundInHistory) {
  produce(4);
  start();
  pass(minutes(1));
  ASSERT_EQ(covers_to(first), model::Offset(15));
  for (std::int64_t offset = 0; offset < 20; ++offset) {
    const log::OffsetAndTimestamp found = broker_->query(log::OffsetQuery::by_time, log::testing::test_time + 2 * offset + 1);
    EXPECT_EQ(found.offset, model::Offset(offset));
    EXPECT_EQ(found.timestamp, log::testing::test_time + 2 * offset + 1);
  }
  const auto epoch = cluster_.run(broker_->log->state(first))->epoch;
  EXPECT_EQ(cluster_.run(broker_->log->epoch_end(first, epoch)).end_offset, model::Offset(20));
}

TEST_F(SplitTest, MuchOfAPartitionBecomesSeveralObjects) {
  options_.merge.limits.split_object_max = 1500;
  produce(6);
  const std::vector<std::string> before = all(first);
  start();
  pass(minutes(1));
  ASSERT_EQ(covers_to(first), model::Offset(25));
  EXPECT_GE(count(metric_split_objects), 2 * count(metric_split_partitions));
  const log::ManifestPtr of = manifest();
  ASSERT_FALSE(of->root.leaves.empty());
  const auto leaf =
      cluster_.run(broker_->log->shard(runtime::ShardId(0)).read_leaf(first, of->root.leaves[0], base::MonoTime::max()));
  ASSERT_TRUE(leaf.has_value());
  EXPECT_EQ((*leaf)->entries.size(), 5U) << "no smaller than their blocks";
  EXPECT_EQ(all(first), before);
  restart_broker();
  EXPECT_EQ(all(first), before);
}

// covers_to never passes a transaction that is not decided; once it is, what it aborted stays hidden.
TEST_F(SplitTest, AnOpenTransactionHoldsItUp) {
  produce(2);
  const auto write = [&](std::int32_t sequence) {
    const bytes::Buffer records =
        batch({.producer = 7, .sequence = sequence, .transactional = true, .value = std::string(300, 't')});
    ASSERT_EQ(broker_->produce(records).error, Errc::none);
  };
  write(0);  // offset 10
  produce(4);
  start();
  pass(minutes(1));
  EXPECT_EQ(broker_->state().last_stable_offset, model::Offset(10));
  EXPECT_EQ(covers_to(first), model::Offset(10)) << "the upload that holds offset 10 stays whole";
  EXPECT_EQ(covers_to(second), model::Offset(25)) << "other partitions go on";
  ASSERT_EQ(broker_->end_transaction(7, false).error, Errc::none);
  produce(2);
  const std::vector<std::string> committed = all(first, Isolation::read_committed);
  pass(minutes(1));
  EXPECT_GT(covers_to(first), model::Offset(30));
  EXPECT_EQ(all(first, Isolation::read_committed), committed);
  const log::ReadOutcome got = broker_->read(10, 1U << 20U, Isolation::read_committed);
  ASSERT_EQ(got.aborted.size(), 1U);
  EXPECT_EQ(got.aborted[0].first, model::Offset(10));
  restart_broker();
  EXPECT_EQ(broker_->read(10, 1U << 20U, Isolation::read_committed).aborted.size(), 1U);
  EXPECT_EQ(all(first, Isolation::read_committed), committed);
}

// Also one of whom only an object below the log start tells: its coordinator must stay fenced.
TEST_F(SplitTest, ProducersAreRemembered) {
  const auto produce_as = [&](std::int64_t producer, std::int32_t sequence, bool transactional) {
    return broker_->produce(
        batch({.producer = producer, .sequence = sequence, .transactional = transactional, .value = std::string(300, 'p')}));
  };
  ASSERT_EQ(produce_as(1, 0, true).base_offset, model::Offset(0));
  ASSERT_EQ(broker_->end_transaction(1, true, 0, 5).error, Errc::none);
  broker_->upload();
  ASSERT_EQ(produce_as(2, 0, false).base_offset, model::Offset(2));
  broker_->upload();
  produce(5);
  ASSERT_EQ(broker_->raise_log_start(2), Errc::none);
  start();
  pass(minutes(1));
  ASSERT_EQ(covers_to(first), model::Offset(23));
  EXPECT_EQ(manifest()->root.producers.size(), 2U);
  EXPECT_EQ(manifest()->root.base_offset(), model::Offset(2));
  pass(minutes(20));
  EXPECT_EQ(snapshot().objects.size(), 1U) << "nothing but the newest upload is needed";
  restart_broker();
  EXPECT_EQ(broker_->end_transaction(1, true, 0, 4).error, Errc::coordinator_fenced);
  EXPECT_EQ(produce_as(2, 0, false).base_offset, model::Offset(2)) << "a retry is answered with its offset";
  EXPECT_EQ(produce_as(2, 5, false).error, Errc::out_of_order_sequence);
  EXPECT_EQ(produce_as(2, 1, false).error, Errc::none);
}

// The log start has passed what lies between the manifest and what is readable: entries tile all the same.
TEST_F(SplitTest, AfterAGapBelowTheLogStart) {
  produce(4);
  start();
  pass(minutes(1));
  ASSERT_EQ(covers_to(first), model::Offset(15));
  stop();
  produce(2);
  ASSERT_EQ(broker_->raise_log_start(24), Errc::none);
  produce(4);
  const std::vector<std::string> before = all(first);
  start();
  pass(minutes(3));
  EXPECT_EQ(covers_to(first), model::Offset(45));
  EXPECT_EQ(all(first), before);
  pass(hours(1));
  restart_broker();
  EXPECT_EQ(all(first), before);
}

// A process that ends after each number of PUTs in turn, and the next one, which does the work.
TEST_F(SplitTest, ACrashAfterAnyStepLosesNothing) {
  produce(6);
  const std::vector<std::string> before[] = {all(first), all(second)};
  for (std::size_t puts = 0; puts < 5; ++puts) {
    cluster_.store.puts_left = puts;
    start();
    pass(seconds(3));
    EXPECT_EQ(all(first), before[0]) << puts;
    restart_broker();
    cluster_.store.puts_left = SIZE_MAX;
    EXPECT_EQ(all(first), before[0]) << puts;
    EXPECT_EQ(all(second), before[1]) << puts;
  }
  EXPECT_GE(count(metric_splits_interrupted), 2U);
  start();
  pass(minutes(2));
  EXPECT_EQ(all(first), before[0]);
  EXPECT_EQ(all(second), before[1]);
  EXPECT_GE(covers_to(second), model::Offset(25));
  pass(hours(2));
  EXPECT_EQ(all(first), before[0]);
  // Each partition's objects and its page; no upload is young enough to wait.
  std::size_t named = 2 + snapshot().objects.size();
  for (const model::TopicPartition& p : {first, second}) {
    for (const object::LeafRef& leaf : manifest(p)->root.leaves) named += leaf.entry_count;
  }
  EXPECT_EQ(stored().size(), named) << "what failed attempts left is swept";
}

TEST_F(SplitTest, ALostReplyOfTheCommitIsDecidedBySendingItAgain) {
  produce(4);
  const std::vector<std::string> before = all(first);
  int commits = 0;
  cluster_.keyspace.choose = [&](std::uint64_t, const keyspace::Txn& txn) {
    const bool commit = std::ranges::any_of(
        txn.operations, [](const auto& operation) { return operation.key.starts_with(meta::keys::manifest_prefix); });
    if (!commit) return TxnFault::none;
    ++commits;
    return commits % 3 == 1 ? TxnFault::lose_reply : commits % 3 == 2 ? TxnFault::drop : TxnFault::none;
  };
  start();
  pass(minutes(2));
  EXPECT_EQ(covers_to(first), model::Offset(15));
  EXPECT_EQ(covers_to(second), model::Offset(15));
  EXPECT_GT(commits, 2);
  EXPECT_EQ(count(metric_splits_interrupted), 0U);
  EXPECT_EQ(all(first), before);
  EXPECT_EQ(snapshot().manifests.at(first).covers_to, model::Offset(15));
}

TEST_F(SplitTest, ASealedSessionMovesNoManifest) {
  produce(4);
  meta::SessionRecord other{.id = log::testing::id<model::SessionId>(9000), .node = model::NodeId(1)};
  meta::Meta taker(cluster_.manual.doors, cluster_.keyspace);
  cluster_.store.hold_gets = true;
  start();
  pass(seconds(2));
  ASSERT_TRUE(cluster_.run(taker.begin_session(other, snapshot().sessions)).has_value());
  cluster_.store.let_gets_go();
  pass(minutes(1));
  EXPECT_EQ(fenced_count_, 1);
  EXPECT_TRUE(cluster_.run(taker.load())->manifests.empty());
  EXPECT_EQ(covers_to(first), model::Offset(0));
  taker.stop();
}

TEST_F(SplitTest, ADamagedInputIsNotSplitAndNamed) {
  produce(4);
  const meta::ObjectRecord damaged = snapshot().objects.at(1);
  ASSERT_TRUE(cluster_.objects.flip_bit(damaged.key, object::object_header_bytes + object::block_header_bytes + 50, 3));
  start();
  pass(minutes(1));
  EXPECT_LE(covers_to(first), model::Offset(5)) << "nothing goes past it";
  EXPECT_THAT(cluster_.manual.log.lines, ::testing::Contains(::testing::HasSubstr("it is not merged")));
  EXPECT_EQ(count(metric_splits_interrupted), 1U) << "once: what is known to be damaged is left alone";
  EXPECT_GE(snapshot().objects.size(), 3U);
}

// DeleteRecords and the deletion of a topic while a split is under way.
TEST_F(SplitTest, WhatIsDeletedMeanwhileStaysDeleted) {
  broker_->create_topic(2, 1);
  const model::TopicPartition third = partition(2, 0);
  for (int i = 0; i < 4; ++i) {
    for (int n = 0; n < 5; ++n) put_one(third);
    produce(1);
  }
  cluster_.store.hold_gets = true;
  start();
  pass(seconds(2));
  ASSERT_EQ(broker_->raise_log_start(17), Errc::none);
  broker_->delete_topic(2);
  cluster_.store.let_gets_go();
  pass(minutes(2));
  EXPECT_EQ(broker_->state().log_start, model::Offset(17));
  EXPECT_EQ(all(first).size(), 3U);
  EXPECT_EQ(covers_to(second), model::Offset(15));
  pass(hours(3));
  EXPECT_EQ(all(first).size(), 3U);
  restart_broker();
  EXPECT_EQ(all(first).size(), 3U);
  EXPECT_EQ(all(second).size(), 20U);
  EXPECT_TRUE(snapshot().leftovers.empty()) << "no key of the deleted topic";
  start();
  pass(hours(3));
  for (const std::string& key : stored()) {
    const auto name = object::parse_object_key(key);
    EXPECT_FALSE(name && name->manifest_of && name->manifest_of->topic == third.topic) << key;
  }
}

}  // namespace
}  // namespace weir::upkeep
