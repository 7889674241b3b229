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
  Task<std::vector<log::UploadRun>> collect(std::uint64_t) override { co_return std::vector<log::UploadRun>{}; }
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
  [[nodiscard]] bool lacks_records() const override { return lacks; }
  [[nodiscard]] std::vector<Need> needs(std::span<const Part> parts) const override {
    std::vector<Need> out;
    for (const Part& part : parts) {
      const auto found = extents_of.find(part.partition);
      const bool here = found != extents_of.end() && std::ranges::any_of(found->second, [&](const Extent& extent) {
                          return extent.object.id == part.object;
                        });
      const bool states = part.partition == p0_of && statements.contains(part.object);
      out.push_back(here ? Need::readable : states ? Need::statement : Need::none);
    }
    return out;
  }
  void merged(const meta::ObjectRecord& object, std::span<const object::PartitionEntry> entries,
              const std::set<model::ObjectId>& inputs) override {
    for (const object::PartitionEntry& entry : entries) {
      std::vector<Extent>& extents = extents_of[entry.partition];
      const auto is_input = [&](const Extent& extent) { return inputs.contains(extent.object.id); };
      const auto first = std::ranges::find_if(extents, is_input);
      ASSERT_NE(first, extents.end());
      *first = {.object = object,
                .base_offset = entry.base_offset,
                .end_offset = entry.end_offset,
                .payload_bytes = entry.payload_bytes,
                .max_timestamp = entry.max_timestamp};
      std::erase_if(extents, is_input);
      entries_of[entry.partition] = entry;
    }
  }
  bool lacks = false;
  model::TopicPartition p0_of = partition(1, 0);
  std::set<model::ObjectId> statements;                                ///< which p0 needs for its producers
  std::map<model::TopicPartition, object::PartitionEntry> entries_of;  ///< as the newest merge told them
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
    config_.segment_bytes = 1;  // each extent is a segment
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

// Ten objects of 100 bytes, a minute apart, in segments of 300 bytes; then settings change while it runs.
TEST_F(UpkeepTest, SegmentsGoWholeAndSettingsActAtTheNextRound) {
  make_topic("t", 1);
  config_.segment_bytes = 300;
  for (int i = 0; i < 10; ++i) {
    put_object(broker_, {p0});
    pass(minutes(1));
  }
  config_.retention_bytes = 750;
  start(broker_);
  pass(minutes(6));
  EXPECT_TRUE(broker_.load().log_start.empty()) << "without the first segment 700 bytes would stay";
  config_.retention_bytes = 700;
  pass(minutes(5));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(30));
  config_.segment_bytes = 100;
  config_.retention_bytes = 650;
  pass(minutes(5));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(30));
  config_.retention_bytes = 550;
  pass(minutes(5));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(40)) << "segments are smaller now";
  config_.retention_bytes = -1;
  config_.segment_bytes = 1 << 30;
  config_.segment_ms = 150'000;
  config_.retention_ms = 28 * 60'000;
  pass(minutes(5));
  EXPECT_EQ(broker_.load().log_start.at(p0), model::Offset(70)) << "three minutes are a segment, and its newest is old";
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

// Parts that nobody completes are billed and stand in no list: the sweep ends those under our names, and touches nobody else's.
TEST_F(UpkeepTest, UploadsThatWereLeftBehindAreAborted) {
  make_topic("t", 1);
  const meta::ObjectRecord committed = put_object(broker_, {p0});
  const meta::ObjectRecord orphan = put_object(broker_, {p0}, false);
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  const meta::ObjectRecord on_its_way = put_object(successor, {p0}, false);
  naming_.incarnation = 2;
  const meta::ObjectRecord other_incarnation = put_object(successor, {p0}, false);
  naming_.incarnation = 1;
  naming_.cluster = id<model::ClusterId>(9);
  const meta::ObjectRecord foreign = put_object(successor, {p0}, false);
  naming_.cluster = id<model::ClusterId>(1);
  store_.uploads.page_size = 2;
  store_.uploads.under_way = {
      {.key = committed.key, .id = "1"},   {.key = orphan.key, .id = "2"},    {.key = "weir-check/00/parts", .id = "3"},
      {.key = on_its_way.key, .id = "4"},  {.key = foreign.key, .id = "5"},   {.key = other_incarnation.key, .id = "6"},
      {.key = "somebody/else", .id = "7"}, {.key = committed.key, .id = "8"},
  };
  start(successor);
  pass(minutes(34));
  EXPECT_EQ(store_.uploads.under_way.size(), 8U) << "seen only for 29 minutes: it may be a restore";
  pass(minutes(7));
  std::vector<std::string> left;
  for (const store::MultipartUpload& upload : store_.uploads.under_way) left.push_back(upload.id);
  EXPECT_THAT(left, ElementsAre("4", "5", "6", "7"));
  EXPECT_EQ(count(metric_uploads_aborted), 4U);
  // One that was begun later goes within the hour and the wait.
  store_.uploads.under_way.push_back({.key = committed.key, .id = "9"});
  pass(minutes(60 + 31));
  EXPECT_EQ(store_.uploads.under_way.size(), 4U);
}

TEST_F(UpkeepTest, AStoreThatDoesNotListUploadsIsSweptAllTheSame) {
  make_topic("t", 1);
  const meta::ObjectRecord orphan = put_object(broker_, {p0}, false);
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  store_.uploads.under_way = {{.key = orphan.key, .id = "1"}};
  store_.uploads.refuse = base::ErrorKind::invalid;
  start(successor);
  pass(std::chrono::hours(3));
  EXPECT_FALSE(stored(orphan));
  EXPECT_EQ(count(metric_failures), 0U);
  const auto told = std::ranges::count_if(world_.manual.log.lines, [](const std::string& line) {
    return line.find("ListBucketMultipartUploads") != std::string::npos;
  });
  EXPECT_EQ(told, 1) << "once, not with every sweep";
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

// --- merging ---

class MergeTest : public UpkeepTest {
 protected:
  MergeTest() {
    options_.merge.limits = {.fan_in_max = 4, .memory_bytes = 16U << 20U, .splits = false};
    options_.retention_interval = std::chrono::hours(100);
    make_topic("t", 1);
    make_topic("u", 2);
  }
  // The newest one waits for the next; so four of five are merged.
  std::vector<meta::ObjectRecord> put_five() {
    std::vector<meta::ObjectRecord> records;
    for (int i = 0; i < 5; ++i) records.push_back(put_object(broker_, i % 2 == 0 ? std::vector{p0, p1} : std::vector{p0, q0}));
    return records;
  }
  [[nodiscard]] object::Footer footer_of(const meta::ObjectRecord& record) {
    const auto data = world_.run(store_.memory.get(record.key, record.footer_position, record.footer_bytes, {}));
    const auto footer =
        object::parse_footer(data->view(), record.footer_position, {.cluster = naming_.cluster, .object = record.id});
    EXPECT_TRUE(footer.has_value());
    return footer.value_or(object::Footer{});
  }
  // Payload of a partition in an object, every block checked.
  [[nodiscard]] std::string payload_of(const meta::ObjectRecord& record, const model::TopicPartition& p) {
    std::string out;
    for (const object::PartitionEntry& entry : footer_of(record).entries) {
      if (entry.partition != p) continue;
      for (const object::BlockRef& ref : entry.blocks) {
        const auto block =
            world_.run(store_.memory.get(record.key, ref.position, object::block_header_bytes + ref.payload_bytes, {}));
        const auto payload = object::verify_block(block->view(), {.cluster = naming_.cluster, .object = record.id}, p, ref);
        EXPECT_TRUE(payload.has_value());
        if (payload) out.append(reinterpret_cast<const char*>(payload->data()), payload->size());
      }
    }
    return out;
  }
  Options options_;
};

TEST_F(MergeTest, FourNeighboursBecomeOneInTheirPlace) {
  const std::vector<meta::ObjectRecord> records = put_five();
  std::string before;
  for (std::size_t i = 0; i < 4; ++i) before += payload_of(records[i], p0);
  start(broker_, options_);
  pass(seconds(30));
  const std::vector<meta::ObjectRecord> left = broker_.load().objects;
  ASSERT_EQ(left.size(), 2U);
  EXPECT_EQ(left[0].place(), records[3].revision) << "before the newest upload";
  EXPECT_GT(left[0].revision, records[4].revision);
  EXPECT_TRUE(meta::is_merge(left[0].commit));
  EXPECT_EQ(left[1].id, records[4].id);
  EXPECT_EQ(payload_of(left[0], p0), before);
  const object::Footer footer = footer_of(left[0]);
  ASSERT_EQ(footer.entries.size(), 3U);
  for (const object::PartitionEntry& entry : footer.entries) {
    EXPECT_EQ(entry.base_offset, model::Offset(0));
    EXPECT_EQ(entry.end_offset, model::Offset(entry.partition == p0 ? 40 : 20));
  }
  EXPECT_EQ(shard_.extents_of[p0].size(), 2U);
  EXPECT_EQ(count(metric_merges), 1U);
  EXPECT_EQ(garbage(), 4U);
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(stored(records[i])) << "a reader in flight may still need it";
  pass(minutes(7));
  for (std::size_t i = 0; i < 4; ++i) EXPECT_FALSE(stored(records[i]));
  pass(std::chrono::hours(3));
  EXPECT_TRUE(stored(left[0])) << "no orphan";
}

TEST_F(MergeTest, WhatIsGoneIsLeftOut) {
  put_five();
  delete_topic("u");
  shard_.extents_of[p1].erase(shard_.extents_of[p1].begin());
  start(broker_, options_);
  pass(seconds(30));
  const object::Footer footer = footer_of(broker_.load().objects.at(0));
  ASSERT_EQ(footer.entries.size(), 2U);
  EXPECT_EQ(footer.entries[1].partition, p1);
  EXPECT_EQ(footer.entries[1].base_offset, model::Offset(10));
}

TEST_F(MergeTest, NothingIsMergedWhileAPartitionIsNotOpen) {
  put_five();
  shard_.kept.reset();
  start(broker_, options_);
  pass(minutes(5));
  EXPECT_EQ(objects(), 5U);
  shard_.kept = std::vector<model::ObjectId>();
  pass(seconds(30));
  EXPECT_EQ(objects(), 2U);
}

// A quarantined partition may be opened from what the start found, once a lost object is there again.
TEST_F(MergeTest, WhatAQuarantinedPartitionMayBeOpenedFromStays) {
  const std::vector<meta::ObjectRecord> old = put_five();
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  for (int i = 0; i < 5; ++i) put_object(successor, {p0});
  shard_.lacks = true;
  start(successor, options_);
  pass(minutes(2));
  const std::vector<meta::ObjectRecord> left = successor.load().objects;
  ASSERT_EQ(left.size(), 7U) << "this session's own are merged";
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(left[i].id, old[i].id);
  EXPECT_TRUE(meta::is_merge(left[5].commit));
  shard_.lacks = false;
  pass(minutes(2));
  EXPECT_LT(successor.load().objects.size(), 5U);
}

// What nothing is read from stands between others all the same: it may state a producer.
TEST_F(MergeTest, NothingIsMergedAcrossAnObject) {
  const std::vector<meta::ObjectRecord> records = put_five();
  shard_.extents_of.clear();
  for (const std::size_t i : {0U, 1U, 3U, 4U}) {
    shard_.extents_of[p0].push_back({.object = records[i],
                                     .base_offset = model::Offset(static_cast<std::int64_t>(i) * 10),
                                     .end_offset = model::Offset(static_cast<std::int64_t>(i) * 10 + 10),
                                     .payload_bytes = 100});
  }
  shard_.kept = std::vector<model::ObjectId>{records[2].id};
  shard_.statements = {records[2].id};
  start(broker_, options_);
  pass(seconds(30));
  const std::vector<meta::ObjectRecord> left = broker_.load().objects;
  ASSERT_EQ(left.size(), 2U) << "it takes part";
  EXPECT_EQ(payload_of(left[0], p0).size(), 400U);
}

TEST_F(MergeTest, NothingThatIsNeededIsNoMerge) {
  put_five();
  shard_.extents_of.clear();
  start(broker_, options_);
  pass(minutes(2));
  EXPECT_EQ(objects(), 5U) << "unlinking them is for those who prove them dead";
  EXPECT_EQ(count(metric_merges), 0U);
  EXPECT_LE(count(metric_merge_gets), 200U) << "it looks now and then";
}

TEST_F(MergeTest, UploadsWaitWhileThereAreTooManyObjectsAndMergingThemGoesOn) {
  options_.merge.limits.objects_max = 5;
  options_.merge.limits.fan_in_max = 2;
  put_five();
  bool down = true;
  store_.on_get = [&](const std::string&) { return down ? Fault::refuse : Fault::none; };
  start(broker_, options_);
  EXPECT_FALSE(upkeep_->uploads_wait()) << "nobody has looked yet";
  pass(seconds(30));
  EXPECT_TRUE(upkeep_->uploads_wait());
  down = false;
  pass(seconds(30));
  EXPECT_FALSE(upkeep_->uploads_wait());
  EXPECT_LT(objects(), 5U);
  // What cannot be merged must not stop uploads for ever.
  shard_.kept.reset();
  for (int i = 0; i < 5; ++i) put_object(broker_, {p0});
  pass(seconds(30));
  EXPECT_GE(objects(), 5U);
  EXPECT_FALSE(upkeep_->uploads_wait());
}

TEST_F(MergeTest, AFailedPutChangesNothingAndIsSweptLater) {
  const std::vector<meta::ObjectRecord> records = put_five();
  int puts = 0;
  store_.on_put = [&](const std::string&) { return ++puts == 1 ? Fault::lose_reply : Fault::none; };
  start(broker_, options_);
  pass(seconds(12));
  EXPECT_EQ(objects(), 5U);
  EXPECT_EQ(count(metric_merges_interrupted), 1U);
  pass(seconds(30));
  EXPECT_EQ(objects(), 2U) << "under another number and name";
  const std::size_t names = store_.memory.object_count();
  EXPECT_EQ(names, 7U) << "five uploads, the merged one, the lost one";
  pass(std::chrono::hours(3));
  EXPECT_EQ(store_.memory.object_count(), 2U);
  EXPECT_EQ(count(metric_orphans), 1U);
}

TEST_F(MergeTest, ALostReplyOfTheCommitIsDecidedBySendingItAgain) {
  put_five();
  int txns = 0;
  broker_.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    return ++txns == 1 ? TxnFault::lose_reply : TxnFault::none;
  };
  start(broker_, options_);
  pass(seconds(40));
  EXPECT_EQ(objects(), 2U);
  EXPECT_EQ(count(metric_merges), 1U);
  EXPECT_EQ(shard_.extents_of[p0].size(), 2U);
  EXPECT_EQ(garbage(), 4U);
}

TEST_F(MergeTest, ADamagedInputIsNotMergedAndNamed) {
  const std::vector<meta::ObjectRecord> records = put_five();
  const auto body = world_.run(store_.memory.get(records[1].key, 0, records[1].size_bytes, {}));
  std::vector<std::byte> bytes(body->view().begin(), body->view().end());
  const object::BlockRef ref = footer_of(records[1]).entries[0].blocks[0];
  bytes[ref.position + object::block_header_bytes] ^= std::byte{1};
  ASSERT_TRUE(world_.run(store_.memory.remove({records[1].key}, {})).has_value());
  const bytes::Buffer damaged = bytes::Buffer::copy_of(bytes::Bytes(bytes));
  ASSERT_TRUE(world_.run(store_.memory.put(records[1].key, {damaged}, {.crc32c = bytes::crc32c(damaged.view())})).has_value());
  start(broker_, options_);
  pass(minutes(5));
  EXPECT_EQ(objects(), 5U);
  EXPECT_EQ(count(metric_merges_interrupted), 1U) << "once: what is known to be damaged is left alone";
  EXPECT_THAT(world_.manual.log.lines, ::testing::Contains(::testing::HasSubstr("the payload does not match its checksum")));
}

TEST_F(MergeTest, ASealedSessionCommitsNoMerge) {
  const std::vector<meta::ObjectRecord> records = put_five();
  start(broker_, options_);
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  pass(minutes(5));
  EXPECT_EQ(fenced_count_, 1);
  EXPECT_EQ(successor.load().objects.size(), 5U);
}

}  // namespace
}  // namespace weir::upkeep
