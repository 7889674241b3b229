// Reading, asking and restarting through a partition's manifest: every answer is the one that the recent objects gave.
#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "log/testing/split.h"

namespace weir::log::testing {
namespace {

class ManifestRead : public ::testing::Test {
 protected:
  ManifestRead() : broker_(std::make_unique<Broker>(cluster_)) {
    broker_->start();
    broker_->create_topic();
  }
  /// One object per value.
  void produce(const std::vector<std::string>& all, base::WallMs at = test_time) {
    for (const std::string& value : all) {
      ASSERT_EQ(broker_->produce(batch({.timestamps = {at++}, .value = value})).error, Errc::none);
      broker_->upload();
    }
  }
  std::size_t split(std::int64_t up_to = 1'000'000, SplitStop stop = SplitStop::never) {
    const auto done = cluster_.run(split_off(&cluster_, broker_.get(), partition(), model::Offset(up_to), stop));
    EXPECT_TRUE(done.has_value()) << (done ? "" : done.error().text);
    return done.value_or(0);
  }
  /// Deletes all recent objects from the store: what still is readable is found through manifests.
  void forget_recent_objects() {
    const auto snapshot = cluster_.run(broker_->meta.load());
    std::vector<std::string> keys;
    for (const meta::ObjectRecord& object : snapshot->objects) keys.push_back(object.key);
    ASSERT_TRUE(cluster_.run(cluster_.objects.remove(keys, {})));
    ASSERT_TRUE(cluster_.run(broker_->meta.unlink_objects(snapshot->objects, 1)));
  }
  void restart(Options options = {}) {
    broker_.reset();
    broker_ = std::make_unique<Broker>(cluster_, options);
    broker_->start();
  }
  Values all(Isolation isolation = Isolation::read_uncommitted) {
    Values out;
    std::int64_t next = broker_->state().log_start.value();
    for (int i = 0; i < 1000 && next < broker_->state().high_watermark.value(); ++i) {
      const ReadOutcome got = broker_->read(next, 1U << 20U, isolation);
      EXPECT_EQ(got.error, Errc::none) << got.message;
      if (got.size_bytes == 0) break;
      for (std::string& value : values(got)) out.push_back(std::move(value));
      next = got.end.value();
    }
    return out;
  }
  std::size_t gets(std::int64_t offset) {
    const std::size_t before = cluster_.store.get_count;
    EXPECT_EQ(broker_->read(offset, 1).error, Errc::none);
    return cluster_.store.get_count - before;
  }

  Cluster cluster_;
  std::unique_ptr<Broker> broker_;
};

TEST_F(ManifestRead, ReadsGoThroughTheManifestAndOnIntoRecentObjectsAndTheTail) {
  produce({"a", "b", "c", "d"});
  EXPECT_EQ(split(3), 3U);
  produce({"e"});
  ASSERT_EQ(broker_->produce(batch({.value = "tail"})).error, Errc::none);
  const Values expected{"0=a", "1=b", "2=c", "3=d", "4=e", "5=tail"};
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(broker_->log->shard(runtime::ShardId(0)).extents(partition()).size(), 2U) << "memory holds recent objects only";
  EXPECT_EQ(split(), 2U);
  EXPECT_EQ(all(), expected);
  forget_recent_objects();
  EXPECT_EQ(all(), expected);
  restart();
  EXPECT_EQ(all(), expected);
  EXPECT_EQ(broker_->state().high_watermark, model::Offset(6));
}

TEST_F(ManifestRead, AColdReadIsTwoGetsBesideTheDataAndAWarmOneNone) {
  produce({"a", "b", "c"});
  EXPECT_EQ(split(), 3U);
  restart();
  EXPECT_EQ(gets(0), 3U) << "leaf, footer, block";
  EXPECT_EQ(gets(0), 0U);
  EXPECT_EQ(gets(1), 2U) << "the leaf is cached";
  // Too little memory to keep anything: every lookup is cold, and still two.
  restart({.block_cache_bytes = 0, .cold_index_bytes = 0});
  EXPECT_EQ(gets(1), 3U);
  EXPECT_EQ(gets(1), 3U);
}

TEST_F(ManifestRead, OpenTakesOneGetForAManifestHoweverManyObjectsItNames) {
  produce(std::vector<std::string>(20, "x"));
  EXPECT_EQ(split(), 20U);
  forget_recent_objects();
  const std::size_t before = cluster_.store.get_count;
  restart();
  EXPECT_EQ(cluster_.store.get_count - before, 1U);
  EXPECT_EQ(broker_->state().high_watermark, model::Offset(20));
  EXPECT_EQ(all().size(), 20U);
}

TEST_F(ManifestRead, QuestionsByTimeAndEpochAnswerAsBefore) {
  produce({"a", "b"}, test_time);
  restart();
  produce({"c", "d"}, test_time + 100);
  produce({"late"}, test_time + 50);
  struct Answers {
    std::vector<std::int64_t> offsets;
    bool operator==(const Answers&) const = default;
  };
  const auto ask = [&] {
    Answers answers;
    for (const base::WallMs at : {-1, 0, 1, 2, 50, 51, 100, 101, 102})
      answers.offsets.push_back(broker_->query(OffsetQuery::by_time, test_time + at).offset.value());
    answers.offsets.push_back(broker_->query(OffsetQuery::max_timestamp).offset.value());
    answers.offsets.push_back(broker_->query(OffsetQuery::earliest).offset.value());
    for (const std::int32_t epoch : {0, 1, 2, 3}) {
      const EpochEnd end = cluster_.run(broker_->log->epoch_end(partition(), model::LeaderEpoch(epoch)));
      answers.offsets.push_back(end.epoch.value());
      answers.offsets.push_back(end.end_offset.value());
    }
    return answers;
  };
  const Answers before = ask();
  EXPECT_EQ(split(3), 3U);
  EXPECT_EQ(ask().offsets, before.offsets);
  EXPECT_EQ(split(), 2U);
  EXPECT_EQ(ask().offsets, before.offsets);
  restart();
  EXPECT_EQ(ask().offsets, before.offsets);
}

TEST_F(ManifestRead, AbortedTransactionsStayHidden) {
  const auto transactional = [&](std::int64_t producer, std::int32_t sequence, const std::string& value) {
    ASSERT_EQ(
        broker_->produce(batch({.producer = producer, .sequence = sequence, .transactional = true, .value = value})).error,
        Errc::none);
    broker_->upload();
  };
  transactional(1, 0, "x");                                         // 0, aborted
  transactional(2, 0, "kept");                                      // 1
  transactional(1, 1, "y");                                         // 2
  ASSERT_EQ(broker_->end_transaction(2, true).error, Errc::none);   // 3
  ASSERT_EQ(broker_->end_transaction(1, false).error, Errc::none);  // 4
  broker_->upload();
  transactional(3, 0, "open");  // 5
  const auto aborted = [&](std::int64_t offset) {
    const ReadOutcome got = broker_->read(offset, 1, Isolation::read_committed);
    EXPECT_EQ(got.error, Errc::none);
    return got.aborted;
  };
  const std::vector<object::AbortedSpan> expected{
      {.producer_id = model::ProducerId(1), .first = model::Offset(0), .last = model::Offset(4)}};
  for (const std::int64_t offset : {0, 1, 2}) EXPECT_EQ(aborted(offset), expected) << offset;
  // Objects 0, 1, 2, [3, 4]: split in two steps, so that the span reaches from one manifest into what is recent.
  EXPECT_EQ(split(2), 2U);
  for (const std::int64_t offset : {0, 1, 2}) EXPECT_EQ(aborted(offset), expected) << offset;
  restart();
  for (const std::int64_t offset : {0, 1, 2}) EXPECT_EQ(aborted(offset), expected) << offset;
  EXPECT_EQ(split(), 2U) << "not what the open transaction holds";
  restart();
  for (const std::int64_t offset : {0, 1, 2}) EXPECT_EQ(aborted(offset), expected) << offset;
  EXPECT_EQ(broker_->state().last_stable_offset, model::Offset(5));
  ASSERT_EQ(broker_->end_transaction(3, true).error, Errc::none);
  EXPECT_EQ(broker_->state().last_stable_offset, model::Offset(7));
}

// Idempotence does not depend on the objects that stated it: the root holds every producer.
TEST_F(ManifestRead, ProducersComeOutOfTheRoot) {
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(broker_->produce(batch({.producer = 7, .sequence = i})).error, Errc::none);
    broker_->upload();
  }
  EXPECT_EQ(split(), 3U);
  forget_recent_objects();
  restart();
  EXPECT_EQ(broker_->produce(batch({.producer = 7, .sequence = 1})).base_offset, model::Offset(1)) << "a duplicate";
  EXPECT_EQ(broker_->produce(batch({.producer = 7, .sequence = 5})).error, Errc::out_of_order_sequence);
  EXPECT_EQ(broker_->produce(batch({.producer = 7, .sequence = 3})).base_offset, model::Offset(3));
}

TEST_F(ManifestRead, ACrashAtAnyStepLosesNothing) {
  produce({"a", "b", "c"});
  split(2, SplitStop::before_commit);
  EXPECT_EQ(all(), (Values{"0=a", "1=b", "2=c"}));
  restart();
  EXPECT_EQ(all(), (Values{"0=a", "1=b", "2=c"}));
  split(2, SplitStop::before_apply);
  EXPECT_EQ(all(), (Values{"0=a", "1=b", "2=c"})) << "the recent objects serve until the manifest is applied";
  restart();
  EXPECT_EQ(broker_->log->shard(runtime::ShardId(0)).extents(partition()).size(), 1U);
  EXPECT_EQ(all(), (Values{"0=a", "1=b", "2=c"}));
  EXPECT_EQ(split(), 1U);
  restart();
  EXPECT_EQ(all(), (Values{"0=a", "1=b", "2=c"}));
}

// A reader that slept while what it had planned moved under the manifest, and the recent objects were deleted.
TEST_F(ManifestRead, ASleepingReaderLooksAgain) {
  produce({"a", "b"});
  restart({.block_cache_bytes = 0});
  cluster_.store.hold_gets = true;
  std::optional<ReadOutcome> outcome;
  const auto read_into = [](Broker* broker, std::optional<ReadOutcome>* into, base::MonoTime deadline) -> runtime::Task<void> {
    *into = co_await broker->log->read(
        {.partition = partition(), .offset = model::Offset(0), .max_bytes = 100, .deadline = deadline});
  };
  cluster_.manual.doors.shards[0]->post([&] {
    broker_->scope.spawn("read", read_into(broker_.get(), &outcome, cluster_.manual.now() + std::chrono::seconds(30)));
  });
  cluster_.manual.drain();
  EXPECT_FALSE(outcome.has_value());
  FlakyStore* store = &cluster_.store;
  store->pass_gets = true;  // the split's own
  EXPECT_EQ(split(), 2U);
  forget_recent_objects();
  store->let_gets_go();
  cluster_.manual.drain();
  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->error, Errc::none) << outcome->message;
  EXPECT_EQ(values(*outcome), (Values{"0=a"}));
}

TEST_F(ManifestRead, DeleteRecordsReachesIntoHistory) {
  produce({"a", "b", "c", "d"});
  EXPECT_EQ(split(3), 3U);
  ASSERT_EQ(broker_->raise_log_start(2), Errc::none);
  EXPECT_EQ(all(), (Values{"2=c", "3=d"}));
  EXPECT_EQ(broker_->read(1).error, Errc::offset_out_of_range);
  EXPECT_EQ(broker_->query(OffsetQuery::by_time, 0).offset, model::Offset(2));
  restart();
  EXPECT_EQ(all(), (Values{"2=c", "3=d"}));
  // The next edit drops what lies below the log start: two objects, and the pages that it replaced.
  EXPECT_EQ(split(), 1U);
  EXPECT_EQ(cluster_.run(broker_->meta.list_garbage())->size(), 3U);
  EXPECT_EQ(all(), (Values{"2=c", "3=d"}));
  ASSERT_EQ(broker_->raise_log_start(4), Errc::none);
  EXPECT_EQ(all(), Values{});
  produce({"e"});
  EXPECT_EQ(split(), 1U);
  restart();
  EXPECT_EQ(all(), (Values{"4=e"}));
}

TEST_F(ManifestRead, ALostOrDamagedRootQuarantinesItsPartitionOnly) {
  broker_->create_topic(2);
  produce({"a"});
  ASSERT_EQ(broker_->produce(batch({.value = "other"}), partition(2)).error, Errc::none);
  broker_->upload();
  EXPECT_EQ(split(), 1U);
  const auto snapshot = cluster_.run(broker_->meta.load());
  const std::string key = snapshot->manifests.at(partition()).key;
  broker_.reset();
  ASSERT_TRUE(cluster_.run(cluster_.objects.remove({key}, {})));
  broker_ = std::make_unique<Broker>(cluster_);
  broker_->start();
  cluster_.manual.advance(std::chrono::seconds(60));
  EXPECT_TRUE(broker_->state().quarantined);
  EXPECT_NE(broker_->state().quarantine_reason.find(key), std::string::npos);
  EXPECT_EQ(values(broker_->read(0, 100, Isolation::read_uncommitted, partition(2))), (Values{"0=other"}));
}

TEST_F(ManifestRead, WhereAnOffsetOfHistoryLies) {
  produce({"a", "b"});
  EXPECT_EQ(split(), 2U);
  const auto place = cluster_.run(broker_->log->locate(partition(), model::Offset(1)));
  ASSERT_TRUE(place.has_value() && place->has_value());
  EXPECT_EQ((*place)->kind, Location::Kind::object);
  const auto key = object::parse_object_key((*place)->object_key);
  ASSERT_TRUE(key.has_value());
  EXPECT_EQ(key->manifest_of, partition());
}

}  // namespace
}  // namespace weir::log::testing
