#include "upkeep/upkeep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "meta/testing/meta_fixture.h"
#include "object/object_key.h"
#include "store/testing/scripted_store.h"
#include "upkeep/metrics_decl.h"

namespace weir::upkeep {
namespace {

using keyspace::testing::TxnFault;
using meta::testing::id;
using meta::testing::partition;
using runtime::Task;
using std::chrono::minutes;
using std::chrono::seconds;
using store::testing::Fault;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Task<bool> done(Task<void> task) {
  co_await task;
  co_return true;
}

// A shard that knows extents only.
class ExtentShard final : public log::Shard {
 public:
  [[nodiscard]] Backlog backlog() const override { return {}; }
  std::vector<log::UploadRun> collect(std::uint64_t) override { return {}; }
  void committed(const meta::ObjectRecord&, const std::vector<object::PartitionEntry>&) override {}
  void abandoned() override {}
  wal::Appender& appender() override { std::abort(); }
  [[nodiscard]] std::vector<model::TopicPartition> partitions() const override {
    std::vector<model::TopicPartition> all;
    for (const auto& [p, list] : extents_of) all.push_back(p);
    return all;
  }
  [[nodiscard]] std::vector<Extent> extents(const model::TopicPartition& p) const override {
    const auto found = extents_of.find(p);
    return found == extents_of.end() ? std::vector<Extent>{} : found->second;
  }
  [[nodiscard]] std::optional<std::vector<model::ObjectId>> kept_objects() const override { return kept; }
  [[nodiscard]] bool lacks_records() const override { return false; }
  std::map<model::TopicPartition, std::vector<Extent>> extents_of;
  std::optional<std::vector<model::ObjectId>> kept = std::vector<model::ObjectId>();
};

class UpkeepTest : public ::testing::Test {
 public:
  ~UpkeepTest() override { stop(); }

 protected:
  UpkeepTest() : broker_(world_), store_(*world_.manual.doors.shards[0]) {
    EXPECT_TRUE(broker_.begin(1));
    config_.retention_ms = -1;
  }
  void start(meta::testing::Broker& broker, Options options = {}) {
    LogDoor door{.shards = {&shard_}};
    door.raise_log_start = [this, &broker](model::TopicPartition p, model::Offset to) {
      return raise(&broker.meta, &shard_, p, to);
    };
    door.state = [this](model::TopicPartition p) { return state_of(p, tail_bytes_); };
    upkeep_ = make_upkeep(
        {.runtime = world_.manual.doors,
         .meta = broker.meta,
         .store = store_,
         .on_fenced = [this](const base::Error&) { ++fenced_count_; }},
        door, naming_, [this](model::TopicId) -> std::optional<model::TopicConfig> { return config_; }, options);
    world_.run(begin(upkeep_.get()));
  }
  static Task<bool> begin(Upkeep* upkeep) {
    upkeep->start();
    co_return true;
  }
  void stop() {
    if (upkeep_) world_.run(done(upkeep_->stop()));
    upkeep_.reset();
  }
  // As the log does it: durable first, then the extents go.
  static Task<log::Errc> raise(meta::Meta* meta, ExtentShard* shard, model::TopicPartition p, model::Offset to) {
    const auto raised = co_await meta->set_log_starts({{p, to}});
    if (!raised) co_return log::Errc::not_appended;
    std::erase_if(shard->extents_of[p], [to](const log::Shard::Extent& extent) { return extent.end_offset <= to; });
    co_return log::Errc::none;
  }
  static Task<base::Result<log::PartitionState>> state_of(model::TopicPartition, std::uint64_t tail_bytes) {
    log::PartitionState state;
    state.tail_bytes = tail_bytes;
    co_return state;
  }
  void pass(base::Duration duration) { world_.manual.advance(duration); }
  void make_topic(const std::string& name, std::uint64_t n) {
    ASSERT_TRUE(world_.run(broker_.meta.create_topic(meta::testing::topic_record(name, n))).has_value());
  }
  // An object with ten offsets of each partition from its next offset on; `tell`: the shard gets its extents.
  meta::ObjectRecord put_object(meta::testing::Broker& broker, std::vector<model::TopicPartition> partitions,
                                bool commit = true, bool tell = true) {
    const model::CommitNumber k = broker.meta.last_commit() + 1;
    const model::ObjectId object_id = id<model::ObjectId>(next_id_++);
    object::Builder builder({.cluster = naming_.cluster, .object = object_id}, broker.meta.session(), k);
    std::ranges::sort(partitions);
    for (const model::TopicPartition& p : partitions) {
      object::PartitionEntry entry;
      entry.partition = p;
      entry.base_offset = next_offset_[p];
      entry.end_offset = entry.base_offset + 10;
      const bytes::Buffer payload = bytes::Buffer::copy_of(std::string(100, 'x'));
      builder.add_partition(entry, {{.payload = payload,
                                     .payload_crc = bytes::crc32c(payload.view()),
                                     .base_offset = entry.base_offset,
                                     .end_offset = entry.end_offset,
                                     .max_timestamp = world_.manual.doors.shards[0]->wall_now_ms()}});
    }
    object::Builder::Finished built = std::move(builder).finish();
    meta::ObjectRecord record{.session = broker.meta.session(),
                              .commit = k,
                              .id = object_id,
                              .size_bytes = built.size_bytes,
                              .footer_position = built.footer_position,
                              .footer_bytes = built.footer_bytes,
                              .footer_crc = built.footer_crc,
                              .created_ms = world_.manual.doors.shards[0]->wall_now_ms()};
    record.key = object::format_object_key({.cluster = naming_.cluster,
                                            .incarnation = naming_.incarnation,
                                            .session = record.session,
                                            .commit = k,
                                            .id = object_id});
    EXPECT_TRUE(world_.run(store_.memory.put(record.key, built.body, {.crc32c = built.crc32c})).has_value());
    if (!commit) return record;
    const auto committed = world_.run(broker.meta.commit_upload(record));
    EXPECT_TRUE(committed.has_value());
    record = *committed;
    for (const object::PartitionEntry& entry : built.footer.entries) {
      next_offset_[entry.partition] = entry.end_offset;
      if (!tell) continue;
      shard_.extents_of[entry.partition].push_back({.object = record,
                                                    .base_offset = entry.base_offset,
                                                    .end_offset = entry.end_offset,
                                                    .payload_bytes = entry.payload_bytes,
                                                    .max_timestamp = entry.max_timestamp});
    }
    return record;
  }
  void delete_topic(const std::string& name) {
    const meta::TopicRecord topic = broker_.load().topics.at(name);
    ASSERT_TRUE(world_.run(broker_.meta.delete_topic(topic)).has_value());
    std::erase_if(shard_.extents_of, [&](const auto& item) { return item.first.topic == topic.id; });
  }
  [[nodiscard]] bool stored(const meta::ObjectRecord& record) {
    return world_.run(store_.memory.head(record.key, {})).has_value();
  }
  [[nodiscard]] std::size_t objects() { return broker_.load().objects.size(); }
  [[nodiscard]] std::size_t garbage() { return broker_.load().garbage.size(); }
  [[nodiscard]] std::uint64_t count(const runtime::MetricDecl& decl) { return world_.manual.metrics.counter(decl, {}).value(); }

  meta::testing::World world_;
  meta::testing::Broker broker_;
  store::testing::ScriptedStore store_;
  ExtentShard shard_;
  model::TopicConfig config_;
  Naming naming_{.cluster = id<model::ClusterId>(1), .incarnation = 1};
  std::map<model::TopicPartition, model::Offset> next_offset_;
  std::uint64_t tail_bytes_ = 0;
  std::uint64_t next_id_ = 1000;
  std::unique_ptr<Upkeep> upkeep_;
  int fenced_count_ = 0;
};

const model::TopicPartition p0 = partition(1, 0);
const model::TopicPartition p1 = partition(1, 1);
const model::TopicPartition q0 = partition(2, 0);

TEST_F(UpkeepTest, RetentionDropsWholeObjectsAndDeletesThemLast) {
  make_topic("t", 1);
  config_.retention_ms = 3600'000;
  const meta::ObjectRecord old = put_object(broker_, {p0, p1});
  pass(minutes(50));
  const meta::ObjectRecord young = put_object(broker_, {p0, p1});
  start(broker_);
  pass(minutes(5));
  EXPECT_EQ(objects(), 2U);
  pass(minutes(10));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(10));
  EXPECT_EQ(objects(), 1U);
  EXPECT_EQ(garbage(), 1U);
  EXPECT_TRUE(stored(old)) << "a reader in flight may still need it";
  pass(minutes(7));
  EXPECT_FALSE(stored(old));
  EXPECT_EQ(garbage(), 0U);
  EXPECT_TRUE(stored(young));
  EXPECT_EQ(count(metric_retention_moves), 2U);
  EXPECT_EQ(count(metric_deleted), 1U);
}

TEST_F(UpkeepTest, WhatAloneStatesAProducerStays) {
  make_topic("t", 1);
  config_.retention_ms = 3600'000;
  const meta::ObjectRecord old = put_object(broker_, {p0, p1});
  shard_.kept.reset();  // partitions are still opening
  start(broker_);
  pass(minutes(65));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(10));
  EXPECT_EQ(objects(), 1U) << "nobody can say yet what producers need";
  shard_.kept = std::vector<model::ObjectId>{old.id};
  pass(minutes(10));
  EXPECT_EQ(objects(), 1U) << "it states a producer that nothing else does";
  shard_.kept->clear();
  pass(minutes(10));
  EXPECT_EQ(objects(), 0U);
}

TEST_F(UpkeepTest, SizeRetentionCountsTheTail) {
  make_topic("t", 1);
  config_.retention_bytes = 250;
  put_object(broker_, {p0});
  put_object(broker_, {p0});
  put_object(broker_, {p0});
  start(broker_);
  pass(minutes(6));
  EXPECT_TRUE(broker_.load().log_start.empty());
  tail_bytes_ = 50;
  pass(minutes(6));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(10));
}

TEST_F(UpkeepTest, AClockThatJumpsAheadDeletesNothing) {
  make_topic("t", 1);
  config_.retention_ms = 60'000;
  put_object(broker_, {p0});
  store_.clock_ms = world_.manual.doors.shards[0]->wall_now_ms();
  start(broker_);
  pass(minutes(60));
  EXPECT_EQ(objects(), 1U) << "the store says that no time has passed";
  store_.clock_ms = *store_.clock_ms + 61'000;
  pass(minutes(6));
  EXPECT_EQ(objects(), 0U);
}

TEST_F(UpkeepTest, AnObjectSharedWithALivingTopicStays) {
  make_topic("t", 1);
  make_topic("u", 2);
  const meta::ObjectRecord both = put_object(broker_, {p0, q0});
  const meta::ObjectRecord only = put_object(broker_, {q0});
  start(broker_);
  delete_topic("u");
  upkeep_->kick();
  pass(minutes(20));
  EXPECT_TRUE(stored(both));
  EXPECT_FALSE(stored(only)) << "a deleted topic's space is freed";
  delete_topic("t");
  upkeep_->kick();
  pass(minutes(20));
  EXPECT_FALSE(stored(both));
}

TEST_F(UpkeepTest, ACommittedObjectThatNoShardKnowsYetStays) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0}, true, false);
  start(broker_);
  pass(minutes(60));
  EXPECT_EQ(objects(), 1U);
  EXPECT_TRUE(stored(record));
}

TEST_F(UpkeepTest, AFooterThatCannotBeReadProvesNothing) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0});
  delete_topic("t");
  ASSERT_TRUE(store_.memory.flip_bit(record.key, record.footer_position + 20, 1));
  start(broker_);
  pass(minutes(60));
  EXPECT_EQ(objects(), 1U);
  EXPECT_TRUE(stored(record));
}

TEST_F(UpkeepTest, WaitsAnewAfterARestart) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0});
  delete_topic("t");
  start(broker_);
  upkeep_->kick();
  pass(minutes(4));
  EXPECT_EQ(garbage(), 1U);
  stop();
  start(broker_);  // a collector that saw gc/id only now
  pass(minutes(4));
  EXPECT_TRUE(stored(record));
  pass(minutes(4));
  EXPECT_FALSE(stored(record));
}

TEST_F(UpkeepTest, EveryStepIsRepeatedUntilItIsDone) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0});
  delete_topic("t");
  bool down = true;
  store_.on_get = [&](const std::string&) { return down ? Fault::refuse : Fault::none; };
  store_.on_remove = [&](const std::vector<std::string>&) { return down ? Fault::drop : Fault::none; };
  start(broker_);
  pass(minutes(30));
  EXPECT_EQ(objects(), 1U) << "without its footer nothing is proven";
  EXPECT_GE(count(metric_failures), 3U);
  down = false;
  pass(minutes(6));
  EXPECT_EQ(garbage(), 1U);
  int removes = 0;
  store_.on_remove = [&](const std::vector<std::string>&) { return ++removes == 1 ? Fault::lose_reply : Fault::none; };
  pass(minutes(20));
  EXPECT_FALSE(stored(record));
  EXPECT_EQ(garbage(), 0U);
  EXPECT_GE(removes, 2);
}

TEST_F(UpkeepTest, OrphansOfSealedSessionsAreSweptAndNothingElse) {
  make_topic("t", 1);
  const meta::ObjectRecord committed = put_object(broker_, {p0});
  const meta::ObjectRecord orphan = put_object(broker_, {p0}, false);  // its PUT landed, its commit never will
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  const meta::ObjectRecord given_up = put_object(successor, {p0}, false);
  const meta::ObjectRecord own = put_object(successor, {p0});
  ASSERT_EQ(given_up.commit, own.commit) << "its number went to another object";
  const meta::ObjectRecord on_its_way = put_object(successor, {p0}, false);
  naming_.incarnation = 2;
  const meta::ObjectRecord other_incarnation = put_object(successor, {p0}, false);
  naming_.incarnation = 1;
  naming_.cluster = id<model::ClusterId>(9);
  const meta::ObjectRecord foreign = put_object(successor, {p0}, false);
  naming_.cluster = id<model::ClusterId>(1);

  start(successor);
  pass(minutes(9));
  EXPECT_TRUE(stored(orphan)) << "seen only for four minutes";
  pass(minutes(2));
  EXPECT_FALSE(stored(orphan));
  EXPECT_FALSE(stored(given_up));
  pass(std::chrono::hours(5));
  for (const meta::ObjectRecord& kept : {committed, own, on_its_way, other_incarnation, foreign})
    EXPECT_TRUE(stored(kept)) << kept.key;
  EXPECT_EQ(count(metric_orphans), 2U);
  // An object that lands hours late is found as well.
  const bytes::Buffer late = bytes::Buffer::copy_of(std::string_view("late"));
  ASSERT_TRUE(world_.run(store_.memory.put(orphan.key, {late}, {.crc32c = bytes::crc32c(late.view())})).has_value());
  pass(std::chrono::hours(2));
  EXPECT_FALSE(stored(orphan));
}

TEST_F(UpkeepTest, ASealedSessionStops) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0});
  delete_topic("t");
  start(broker_);
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  pass(std::chrono::hours(3));
  EXPECT_TRUE(stored(record));
  EXPECT_THAT(world_.manual.log.lines, ::testing::Contains(::testing::HasSubstr("this session is sealed; upkeep ends")));
  EXPECT_EQ(fenced_count_, 1);
}

TEST_F(UpkeepTest, ALostReplyOfAnUnlinkIsNotAProblem) {
  make_topic("t", 1);
  const meta::ObjectRecord record = put_object(broker_, {p0});
  delete_topic("t");
  int txns = 0;
  broker_.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    return ++txns % 2 == 1 ? TxnFault::lose_reply : TxnFault::none;
  };
  start(broker_);
  pass(minutes(30));
  EXPECT_FALSE(stored(record));
  EXPECT_EQ(objects(), 0U);
  EXPECT_EQ(garbage(), 0U);
}

}  // namespace
}  // namespace weir::upkeep
