#include "upload/uploader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cache/block_cache.h"
#include "meta/testing/meta_fixture.h"
#include "object/object_key.h"
#include "store/testing/scripted_store.h"
#include "upload/metrics_decl.h"
#include "upload/testing/fake_shard.h"

namespace weir::upload {
namespace {

using base::ErrorKind;
using keyspace::testing::TxnFault;
using meta::testing::partition;
using runtime::Task;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using store::testing::Fault;
using testing::FakeShard;

Task<bool> done(Task<void> task) {
  co_await task;
  co_return true;
}

// One broker's uploader between a scripted store, a faulty keyspace and shards that the test fills.
class UploaderTest : public ::testing::Test {
 public:
  ~UploaderTest() override { stop(); }

 protected:
  UploaderTest() : broker_(world_), store_(*world_.manual.doors.shards[0]) {
    EXPECT_TRUE(broker_.begin(1));
    shards_.push_back(std::make_unique<FakeShard>(*world_.manual.doors.shards[0]));
  }

  void start(Options options = {}, std::vector<model::SessionId> former = {}) {
    uploader_ = make_uploader(
        {.runtime = world_.manual.doors, .wal = wal_, .meta = broker_.meta, .store = store_, .hold = [this] { return held_; }},
        {shards_[0].get()}, {.cluster = meta::testing::id<model::ClusterId>(1), .incarnation = 1}, options,
        [this](const base::Error&) { ++fenced_; });
    world_.run(begin(uploader_.get(), std::move(former)));
  }
  static Task<bool> begin(Uploader* uploader, std::vector<model::SessionId> former) {
    uploader->start(std::move(former));
    co_return true;
  }
  void stop() {
    if (!uploader_) return;
    broker_.meta.stop();
    world_.run(done(uploader_->stop()));
    EXPECT_FALSE(shards_[0]->outstanding) << "a collection was left outstanding";
    uploader_.reset();
  }
  void pass(base::Duration duration) { world_.manual.advance(duration); }
  FakeShard& shard() { return *shards_[0]; }
  /// What the objects that the keyspace references hold of the partition, concatenated, verified block by block.
  std::string stored(const model::TopicPartition& wanted) {
    std::string all;
    model::Offset next(0);
    for (const meta::ObjectRecord& record : broker_.load().objects) {
      const object::Identity identity{.cluster = meta::testing::id<model::ClusterId>(1), .object = record.id};
      const auto footer_bytes = world_.run(store_.memory.get(record.key, record.footer_position, record.footer_bytes, {}));
      EXPECT_TRUE(footer_bytes.has_value()) << record.key;
      if (!footer_bytes) continue;
      const auto footer = object::parse_footer(footer_bytes->view(), record.footer_position, identity);
      EXPECT_TRUE(footer.has_value());
      if (!footer) continue;
      for (const object::PartitionEntry& entry : footer->entries) {
        if (entry.partition != wanted) continue;
        EXPECT_EQ(entry.base_offset, next);
        next = entry.end_offset;
        for (const object::BlockRef& ref : entry.blocks) {
          const auto block =
              world_.run(store_.memory.get(record.key, ref.position, object::block_header_bytes + ref.payload_bytes, {}));
          const auto payload = object::verify_block(block->view(), identity, wanted, ref);
          EXPECT_TRUE(payload.has_value());
          if (payload) all += bytes::as_text(*payload);
        }
      }
    }
    return all;
  }
  std::string appended(const model::TopicPartition& wanted) {
    std::string all;
    for (const std::string& content : shard().contents(wanted)) all += content;
    return all;
  }
  [[nodiscard]] std::uint64_t count(const runtime::MetricDecl& decl, std::string_view labels = {}) {
    return world_.manual.metrics.counter(decl, labels).value();
  }

  meta::testing::World world_;
  meta::testing::Broker broker_;
  store::testing::ScriptedStore store_;
  testing::FakeWal wal_;
  std::vector<std::unique_ptr<FakeShard>> shards_;
  std::unique_ptr<Uploader> uploader_;
  int fenced_ = 0;
  bool held_ = false;
};

const model::TopicPartition p0 = partition(1, 0);
const model::TopicPartition p1 = partition(1, 1);
const model::TopicPartition p2 = partition(2, 0);

TEST_F(UploaderTest, AgeBringsEverythingIntoOneObject) {
  start();
  shard().append(p2, "zz");
  shard().append(p0, "first");
  shard().append(p0, "second");
  shard().append(p1, "other");
  pass(seconds(59));
  EXPECT_TRUE(store_.puts.empty()) << "too early";
  pass(seconds(2));
  EXPECT_EQ(store_.puts.size(), 1U);
  EXPECT_EQ(stored(p0), "firstsecond");
  EXPECT_EQ(stored(p1), "other");
  EXPECT_EQ(stored(p2), "zz");
  EXPECT_EQ(shard().wal.live_count(), 0U) << "the WAL is freed by the commit";
  EXPECT_EQ(count(metric_objects, "cause=\"age\""), 1U);
  const auto key = object::parse_object_key(store_.puts[0]);
  ASSERT_TRUE(key.has_value()) << store_.puts[0];
  EXPECT_EQ(key->commit, model::CommitNumber(1));
  EXPECT_EQ(key->session, broker_.meta.session());
}

TEST_F(UploaderTest, SizeStartsAnUploadAndABacklogDrainsWithoutPauses) {
  start({.limits = {.size_bytes = 10'000}});
  for (int i = 0; i < 95; ++i) shard().append(p0, std::string(1000, static_cast<char>('a' + i % 26)));
  pass(seconds(1));
  EXPECT_GE(store_.puts.size(), 9U);
  EXPECT_LT(shard().backlog().bytes, 10'000U);
  EXPECT_EQ(stored(p0), appended(p0).substr(0, stored(p0).size()));
  EXPECT_GE(stored(p0).size(), 85'000U);
}

// There are too many objects: only what a clean stop needs goes out, and everything else once there is room for it.
TEST_F(UploaderTest, AnUploadWaitsWhileItIsHeld) {
  held_ = true;
  start();
  shard().append(p0, "first");
  pass(minutes(10));
  EXPECT_TRUE(store_.puts.empty());
  EXPECT_GE(count(metric_held), 1U);
  held_ = false;
  pass(seconds(1));
  EXPECT_EQ(store_.puts.size(), 1U);
  held_ = true;
  shard().append(p0, "second");
  pass(minutes(10));
  EXPECT_EQ(store_.puts.size(), 1U);
  const FlushOutcome flushed = world_.run(uploader_->flush(world_.manual.doors.shards[0]->now() + seconds(5), {}));
  EXPECT_EQ(flushed.left_bytes, 0U);
  EXPECT_EQ(stored(p0), "firstsecond");
}

TEST_F(UploaderTest, PressureOfTheWalStartsAnUpload) {
  wal_.used = 900;
  start({.limits = {.wal_size_bytes = 1000}});
  shard().append(p0, "x");
  pass(milliseconds(900));
  EXPECT_TRUE(store_.puts.empty());
  pass(seconds(1));
  EXPECT_EQ(store_.puts.size(), 1U);
  EXPECT_EQ(count(metric_objects, "cause=\"pressure\""), 1U);
}

TEST_F(UploaderTest, WhatLeftMemoryIsReadBackBounded) {
  start({.wal_reads_inflight_max = 3});
  shard().wal.gap_bytes = 1U << 20U;
  for (int i = 0; i < 40; ++i) shard().append(i % 2 == 0 ? p0 : p1, "batch " + std::to_string(i), i % 3 == 0);
  pass(seconds(61));
  EXPECT_EQ(stored(p0), appended(p0));
  EXPECT_EQ(stored(p1), appended(p1));
  EXPECT_EQ(shard().wal.reads, 26);
  EXPECT_EQ(shard().wal.inflight_max, 3);
}

TEST_F(UploaderTest, NeighboursAreReadBackTogether) {
  start({.wal_reads_inflight_max = 3});
  for (int i = 0; i < 3000; ++i) shard().append(i % 2 == 0 ? p0 : p1, "batch " + std::to_string(i), false);
  pass(seconds(61));
  EXPECT_EQ(stored(p0), appended(p0));
  EXPECT_EQ(stored(p1), appended(p1));
  EXPECT_EQ(shard().wal.reads, 3000);
  EXPECT_EQ(shard().wal.runs, 3) << "at most 1,024 places in one";
}

TEST_F(UploaderTest, APutThatFailedGoesAgainUnderTheSameName) {
  int attempts = 0;
  store_.on_put = [&](const std::string&) { return ++attempts <= 5 ? Fault::refuse : Fault::none; };
  start();
  shard().append(p0, "data");
  pass(seconds(60));
  shard().append(p0, "more");  // joins the next object, not this one
  pass(seconds(30));
  ASSERT_EQ(store_.puts.size(), 6U);
  EXPECT_EQ(std::set<std::string>(store_.puts.begin(), store_.puts.end()).size(), 1U);
  EXPECT_EQ(stored(p0), "data");
  EXPECT_EQ(uploader_->status().failures_in_row, 0U);
  EXPECT_EQ(count(metric_put_failures), 5U);
}

TEST_F(UploaderTest, APutThatWasAppliedButTimedOutIsNotDoubled) {
  int attempts = 0;
  store_.on_put = [&](const std::string&) {
    return ++attempts == 1 ? Fault::lose_reply : attempts == 2 ? Fault::drop : Fault::none;
  };
  start();
  shard().append(p0, "data");
  pass(seconds(70));
  EXPECT_EQ(store_.memory.object_count(), 1U);
  EXPECT_EQ(broker_.load().objects.size(), 1U);
  EXPECT_EQ(stored(p0), "data");
  EXPECT_TRUE(store_.removed.empty()) << "the uploader never deletes";
}

TEST_F(UploaderTest, StoreDownForAnHourThenEverythingDrains) {
  bool down = true;
  store_.on_put = [&](const std::string&) { return down ? Fault::refuse : Fault::none; };
  start({.limits = {.size_bytes = 10'000}});
  for (int i = 0; i < 300; ++i) {
    shard().append(p0, std::string(1000, static_cast<char>('a' + i % 26)));
    pass(seconds(12));
  }
  EXPECT_TRUE(broker_.load().objects.empty());
  EXPECT_GT(uploader_->status().failures_in_row, 100U);
  EXPECT_LT(store_.puts.size(), 2000U) << "retries must back off";
  EXPECT_EQ(std::set<std::string>(store_.puts.begin(), store_.puts.end()).size(), 1U) << "one object in memory, one name";
  down = false;
  pass(seconds(6));
  EXPECT_LT(shard().backlog().bytes, 10'000U) << "it drains at full speed once the store is back";
  EXPECT_EQ(stored(p0), appended(p0).substr(0, stored(p0).size()));
  EXPECT_TRUE(uploader_->status().last_error.empty());
}

TEST_F(UploaderTest, ANameThatHoldsOtherBytesIsLeftAlone) {
  std::string foreign;
  bool planted = false;
  start();
  store_.put_delay = milliseconds(5);
  store_.on_put = [&](const std::string& key) {
    if (!std::exchange(planted, true)) foreign = key;
    return Fault::none;
  };
  shard().append(p0, "data");
  // While the first PUT is on its way, somebody else's bytes appear under its name.
  const base::MonoTime limit = world_.manual.now() + seconds(70);
  bool put_begun = false;
  while (world_.manual.now() < limit && !put_begun) {
    pass(milliseconds(1));
    put_begun = !store_.puts.empty();
  }
  ASSERT_TRUE(put_begun);
  const bytes::Buffer other = bytes::Buffer::copy_of(std::string_view("torn"));
  ASSERT_TRUE(world_.run(store_.memory.put(store_.puts[0], {other}, {.crc32c = bytes::crc32c(other.view())})).has_value());
  pass(seconds(5));
  EXPECT_EQ(stored(p0), "data");
  EXPECT_EQ(count(metric_rebuilds), 1U);
  EXPECT_EQ(store_.memory.object_count(), 2U);
  EXPECT_EQ(broker_.load().objects.at(0).commit, model::CommitNumber(1)) << "no commit number is skipped";
}

TEST_F(UploaderTest, ACommitWhoseReplyIsLostIsRecognisedAsOurs) {
  bool lost = false;
  broker_.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) {
    return std::exchange(lost, true) ? TxnFault::none : TxnFault::lose_reply;
  };
  start();
  shard().append(p0, "data");
  pass(seconds(62));
  EXPECT_EQ(broker_.load().objects.size(), 1U);
  EXPECT_EQ(shard().objects.size(), 1U);
  EXPECT_EQ(stored(p0), "data");
  shard().append(p0, "next");
  pass(seconds(62));
  EXPECT_EQ(stored(p0), "datanext");
  EXPECT_EQ(broker_.load().objects.size(), 2U);
}

TEST_F(UploaderTest, ShardsAreToldOnlyOnceTheCommitIsKnown) {
  bool down = true;
  broker_.faulty.choose = [&](std::uint64_t, const keyspace::Txn&) { return down ? TxnFault::drop : TxnFault::none; };
  start();
  shard().append(p0, "data");
  pass(seconds(200));
  EXPECT_EQ(store_.memory.object_count(), 1U);
  EXPECT_TRUE(shard().objects.empty());
  EXPECT_EQ(shard().wal.live_count(), 1U) << "the WAL is freed by commits only";
  EXPECT_EQ(store_.puts.size(), 1U) << "nothing else may take the commit's number";
  down = false;
  pass(seconds(20));
  EXPECT_EQ(shard().objects.size(), 1U);
  EXPECT_EQ(shard().wal.live_count(), 0U);
  EXPECT_EQ(stored(p0), "data");
}

TEST_F(UploaderTest, ASealedSessionCommitsNothingAndLeavesTheObject) {
  start();
  shard().append(p0, "data");
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  pass(seconds(70));
  EXPECT_EQ(fenced_, 1);
  EXPECT_TRUE(uploader_->status().fenced);
  EXPECT_TRUE(successor.load().objects.empty());
  EXPECT_TRUE(shard().objects.empty());
  EXPECT_EQ(shard().wal.live_count(), 1U);
  EXPECT_EQ(store_.memory.object_count(), 1U) << "left for the sweep";
  EXPECT_TRUE(store_.removed.empty());
  shard().append(p0, "more");
  pass(seconds(200));
  EXPECT_EQ(store_.puts.size(), 1U);
  EXPECT_EQ(fenced_, 1);
}

TEST_F(UploaderTest, APartitionThatCannotBeReadDoesNotHoldTheOthers) {
  start();
  shard().append(p0, "rotten", false);
  shard().wal.rotten.insert(0);
  shard().append(p1, "good", false);
  shard().append(p2, "fine");
  pass(seconds(62));
  EXPECT_EQ(stored(p1), "good");
  EXPECT_EQ(stored(p2), "fine");
  EXPECT_EQ(shard().uploaded_to(p0), model::Offset(0));
  EXPECT_EQ(uploader_->status().stuck_partitions, 1U);
  const std::size_t puts = store_.puts.size();
  const int reads = shard().wal.reads;
  pass(seconds(300));
  EXPECT_EQ(store_.puts.size(), puts) << "no object without data";
  EXPECT_LE(shard().wal.reads, reads + 12) << "retried now and then, not all the time";
  shard().append(p1, "later");
  pass(seconds(100));
  EXPECT_EQ(stored(p1), "goodlater");
  shard().wal.rotten.clear();
  pass(seconds(100));
  EXPECT_EQ(stored(p0), "rotten");
  EXPECT_EQ(uploader_->status().stuck_partitions, 0U);
}

TEST_F(UploaderTest, FlushUploadsEverythingAtOnce) {
  start({.limits = {.size_bytes = 1000}});
  for (int i = 0; i < 10; ++i) shard().append(p0, std::string(300, 'x'));
  std::vector<std::uint64_t> told;
  const FlushOutcome outcome = world_.run(
      uploader_->flush(world_.manual.now() + seconds(25), [&](std::uint64_t bytes, std::uint64_t) { told.push_back(bytes); }));
  EXPECT_EQ(outcome.left_bytes, 0U);
  EXPECT_EQ(outcome.uploaded_bytes, 3000U);
  EXPECT_EQ(stored(p0), appended(p0));
  ASSERT_GE(told.size(), 3U);
  EXPECT_EQ(told.back(), 3000U);
}

TEST_F(UploaderTest, FlushWithTheStoreDownEndsAtItsDeadlineAndSaysWhatIsLeft) {
  store_.on_put = [](const std::string&) { return Fault::refuse; };
  start();
  shard().append(p0, "data");
  const base::MonoTime before = world_.manual.now();
  const FlushOutcome outcome = world_.run(uploader_->flush(before + seconds(25), {}));
  EXPECT_EQ(outcome.left_bytes, 4U);
  EXPECT_EQ(world_.manual.now(), before + seconds(25));
  stop();
  EXPECT_LT(world_.manual.now(), before + seconds(31)) << "the stop does not wait for the store";
}

TEST_F(UploaderTest, FormerSessionsAreDroppedWhenTheirWalIsEmpty) {
  meta::testing::Broker successor(world_);
  ASSERT_TRUE(successor.begin(2));
  const model::SessionId former = broker_.meta.session();
  wal_.live[former] = 3;
  uploader_ =
      make_uploader({.runtime = world_.manual.doors, .wal = wal_, .meta = successor.meta, .store = store_}, {shards_[0].get()},
                    {.cluster = meta::testing::id<model::ClusterId>(1), .incarnation = 1}, {}, [](const base::Error&) {});
  world_.run(begin(uploader_.get(), {former}));
  pass(seconds(10));
  EXPECT_TRUE(wal_.removed.empty());
  EXPECT_EQ(successor.load().sessions.size(), 2U);
  wal_.live[former] = 0;
  wal_.damaged.insert(former);
  shards_[0]->lacking = true;
  pass(seconds(10));
  EXPECT_TRUE(wal_.removed.empty()) << "what a quarantined partition lacks may lie in the damaged segment";
  shards_[0]->lacking = false;
  pass(seconds(3));
  EXPECT_THAT(wal_.removed, ::testing::ElementsAre(former));
  EXPECT_EQ(successor.load().sessions.size(), 1U);
  EXPECT_EQ(uploader_->status().former_sessions, 0U);
  successor.meta.stop();
}

TEST_F(UploaderTest, MemoryThatDoesNotMatchItsChecksumIsReplacedByTheWal) {
  start();
  // Large enough for its CRC to be combined, not computed: the checksum that goes with the PUT is the true one.
  std::string content(64U << 10U, 'a');
  shard().append(p0, content);
  const auto runs = world_.run(shard().collect(1U << 20U));
  const_cast<std::byte*>(runs.at(0).batches.at(0).memory.data())[100] = std::byte{'b'};
  shard().abandoned();
  pass(seconds(62));
  EXPECT_EQ(stored(p0), content);
  EXPECT_EQ(count(metric_rebuilds), 1U);
  EXPECT_EQ(shard().wal.reads, 1);
}

}  // namespace
}  // namespace weir::upload
