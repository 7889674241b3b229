// Sequencing and confirmation: order, idempotence in flight, failures and voids, admission, epochs.
#include <gtest/gtest.h>

#include "log/partition.h"
#include "log/testing/log_fixture.h"

namespace weir::log::testing {
namespace {

TEST(Produce, GivesOffsetsInOrderAndReadsThemBack) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  const ProduceOutcome first = broker.produce(batch({.timestamps = times(3), .value = "a"}));
  ASSERT_EQ(first.error, Errc::none) << first.message;
  EXPECT_EQ(first.base_offset, model::Offset(0));
  EXPECT_EQ(broker.produce(batch({.value = "b"})).base_offset, model::Offset(3));
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=a", "2=a", "3=b"}));
  EXPECT_EQ(values(broker.read(3)), (Values{"3=b"}));
  EXPECT_EQ(values(broker.read(4)), Values{});
  EXPECT_EQ(broker.read(5).error, Errc::offset_out_of_range);
  const ReadOutcome read = broker.read(0);
  EXPECT_EQ(read.high_watermark, model::Offset(4));
  EXPECT_EQ(read.epoch, model::LeaderEpoch(1));
  const auto header = model::peek_batch_header(read.batches.front().view());
  EXPECT_EQ(header->leader_epoch, model::LeaderEpoch(1));
}

TEST(Produce, LargeBatchesKeepTheirBytes) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  const std::string value(100000, 'x');
  ASSERT_EQ(broker.produce(batch({.value = value})).error, Errc::none);  // the fake checks the combined CRC
  EXPECT_EQ(values(broker.read(0)), (Values{"0=" + value}));
}

TEST(Produce, IsAnsweredOnlyOnceDurableAndInPartitionOrder) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  broker.wal->automatic = false;
  auto a = broker.begin_produce(batch({.value = "a"}));
  auto b = broker.begin_produce(batch({.value = "b"}));
  auto c = broker.begin_produce(batch({.value = "c"}));
  ASSERT_EQ(broker.wal->groups_in_flight(), 3U);
  EXPECT_EQ(values(broker.read(0)), Values{}) << "nothing is shown before it is confirmed";
  broker.wal->complete(2);
  cluster.manual.drain();
  EXPECT_FALSE(c->outcome);
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(a->offset(), 0);
  EXPECT_FALSE(b->outcome);
  EXPECT_FALSE(c->outcome);
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a"}));
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(b->offset(), 1);
  EXPECT_EQ(c->offset(), 2);
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=b", "2=c"}));
}

TEST(Produce, TellsWhenItsBatchWentThroughWhichStep) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  const base::MonoTime begin = cluster.manual.now();
  const auto after = [&](int ms) { return begin + std::chrono::milliseconds(ms); };
  auto a = broker.begin_produce(batch({.producer = 1, .value = "a"}));
  cluster.manual.advance(std::chrono::milliseconds(1));
  auto b = broker.begin_produce(batch({.value = "b"}));
  auto again = broker.begin_produce(batch({.producer = 1, .value = "a"}));
  cluster.manual.advance(std::chrono::milliseconds(2));
  broker.wal->complete(1);
  cluster.manual.advance(std::chrono::milliseconds(4));
  broker.wal->complete(0);
  cluster.manual.drain();
  ASSERT_EQ(a->offset(), 1);
  ASSERT_EQ(b->offset(), 2);
  EXPECT_EQ(a->outcome->times.appended, after(0));
  EXPECT_EQ(a->outcome->times.group.submitted, after(0));
  EXPECT_EQ(a->outcome->times.group.durable, after(7));
  EXPECT_EQ(a->outcome->times.confirmed, after(7));
  EXPECT_EQ(b->outcome->times.appended, after(1));
  EXPECT_EQ(b->outcome->times.group.durable, after(3)) << "its own group was early";
  EXPECT_EQ(b->outcome->times.confirmed, after(7)) << "it waited for the one before it";
  ASSERT_EQ(again->offset(), 1);
  EXPECT_EQ(again->outcome->times.confirmed, base::MonoTime{}) << "a duplicate went through none of the steps";
}

TEST(Produce, PastItsDeadlineTheOutcomeIsUnknownAndTheRecordStays) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto slow = broker.begin_produce(batch({.value = "slow"}), partition(), std::chrono::seconds(1));
  cluster.manual.advance(std::chrono::seconds(2));
  EXPECT_EQ(slow->error(), Errc::outcome_unknown);
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(values(broker.read(1)), (Values{"1=slow"}));
}

TEST(Produce, ADuplicateInFlightIsAnsweredWhenItsOriginalIs) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  broker.wal->automatic = false;
  auto original = broker.begin_produce(batch({.producer = 7, .sequence = 0, .timestamps = times(2)}));
  auto next = broker.begin_produce(batch({.producer = 7, .sequence = 2}));
  auto duplicate = broker.begin_produce(batch({.producer = 7, .sequence = 0, .timestamps = times(2)}));
  ASSERT_EQ(broker.wal->groups_in_flight(), 2U) << "a duplicate is not written";
  EXPECT_FALSE(duplicate->outcome) << "answered before its original is durable";
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(original->offset(), 0);
  EXPECT_EQ(duplicate->offset(), 0);
  EXPECT_FALSE(next->outcome);
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(next->offset(), 2);
  EXPECT_EQ(broker.begin_produce(batch({.producer = 7, .sequence = 2}))->offset(), 2) << "confirmed: answered at once";
}

TEST(Produce, FiveInFlightOfOneProducerKeepTheirOrderAndGapsAreRefused) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  broker.wal->automatic = false;
  std::vector<std::shared_ptr<Broker::Produced>> sent;
  for (int i = 0; i < 5; ++i) sent.push_back(broker.begin_produce(batch({.producer = 1, .sequence = i})));
  auto gap = broker.begin_produce(batch({.producer = 1, .sequence = 6}));
  EXPECT_EQ(gap->error(), Errc::out_of_order_sequence);
  broker.wal->complete_all();
  cluster.manual.drain();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(sent[static_cast<std::size_t>(i)]->offset(), i);
}

TEST(Produce, AFailedWriteVoidsFromTheHighWatermarkAndReusesItsOffsets) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch({.producer = 5, .sequence = 0, .value = "kept"})).error, Errc::none);
  broker.wal->automatic = false;
  auto lost = broker.begin_produce(batch({.producer = 5, .sequence = 1, .value = "lost"}));
  auto behind = broker.begin_produce(batch({.producer = 5, .sequence = 2, .value = "behind"}));
  broker.wal->complete(1);  // the later one is durable
  cluster.manual.drain();
  const std::size_t live_before = broker.wal->live_count();
  broker.wal->fail(0, base::ErrorKind::io);
  cluster.manual.drain();
  cluster.manual.advance(std::chrono::seconds(1));
  EXPECT_EQ(lost->error(), Errc::not_appended);
  EXPECT_EQ(behind->error(), Errc::not_appended);
  EXPECT_EQ(broker.wal->live_count(), live_before - 2) << "void records occupy nothing";
  EXPECT_EQ(broker.state().epoch, model::LeaderEpoch(2));
  EXPECT_EQ(broker.state().end, model::Offset(1));
  // The producer retries what failed: its sequence is expected anew, the offset is given anew.
  broker.wal->automatic = true;
  const ProduceOutcome again = broker.produce(batch({.producer = 5, .sequence = 1, .value = "again"}));
  ASSERT_EQ(again.error, Errc::none) << again.message;
  EXPECT_EQ(again.base_offset, model::Offset(1));
  EXPECT_EQ(values(broker.read(0)), (Values{"0=kept", "1=again"}));
}

TEST(Produce, NothingIsConfirmedOrAdmittedWhileAVoidIsUndecided) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto first = broker.begin_produce(batch({.value = "1"}));
  auto second = broker.begin_produce(batch({.value = "2"}));
  cluster.keyspace.choose = [](std::uint64_t, const keyspace::Txn&) { return keyspace::testing::TxnFault::refuse; };
  broker.wal->fail(1, base::ErrorKind::io);
  cluster.manual.drain();
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_FALSE(first->outcome) << "confirmed above the point from which the void was decided";
  auto third = broker.begin_produce(batch({.value = "3"}));
  EXPECT_EQ(broker.wal->groups_in_flight(), 0U) << "admitted while own/P is undecided";
  EXPECT_EQ(broker.state().high_watermark, model::Offset(1));
  cluster.keyspace.choose = {};
  cluster.manual.advance(std::chrono::seconds(10));
  EXPECT_EQ(first->error(), Errc::not_appended);
  EXPECT_EQ(second->error(), Errc::not_appended);
  ASSERT_EQ(broker.wal->groups_in_flight(), 1U);
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(third->offset(), 1);
  EXPECT_EQ(values(broker.read(1)), (Values{"1=3"}));
}

TEST(Produce, ACompletionOfAGivenUpRecordIsIgnoredAndFreed) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto a = broker.begin_produce(batch({.value = "a"}));
  auto b = broker.begin_produce(batch({.value = "b"}));
  broker.wal->fail(0, base::ErrorKind::io);
  cluster.manual.advance(std::chrono::seconds(1));
  EXPECT_EQ(b->error(), Errc::not_appended);
  auto c = broker.begin_produce(batch({.value = "c"}));
  ASSERT_EQ(broker.wal->groups_in_flight(), 2U);
  broker.wal->complete(0);  // b's write lands after its void
  cluster.manual.drain();
  EXPECT_FALSE(c->outcome);
  EXPECT_EQ(broker.state().high_watermark, model::Offset(1));
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(c->offset(), 1);
  EXPECT_EQ(values(broker.read(0)), (Values{"0=v", "1=c"}));
  EXPECT_EQ(broker.wal->live_count(), 2U);
}

TEST(Produce, AFencedSessionAnswersNotOwnerForEverything) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1, 2);
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto a = broker.begin_produce(batch());
  auto b = broker.begin_produce(batch());
  broker.wal->fail(1, base::ErrorKind::fenced);
  cluster.manual.drain();
  EXPECT_EQ(a->error(), Errc::not_owner);
  EXPECT_EQ(b->error(), Errc::not_owner);
  EXPECT_NE(broker.wal->sealed_why, "") << "whoever learns it closes the gate for all";
  broker.wal->complete(0);
  cluster.manual.drain();
  EXPECT_EQ(broker.state().high_watermark, model::Offset(1)) << "confirmed by a fenced session";
  EXPECT_EQ(broker.produce(batch(), partition(1, 1)).error, Errc::not_owner);
  EXPECT_EQ(broker.read(0).error, Errc::not_owner);
}

TEST(Produce, TheFirstAppendWaitsForOwnershipAndOthersQueueBehindIt) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  cluster.keyspace.choose = [](std::uint64_t, const keyspace::Txn&) { return keyspace::testing::TxnFault::refuse; };
  auto a = broker.begin_produce(batch({.producer = 1, .sequence = 0, .value = "a"}));
  auto b = broker.begin_produce(batch({.producer = 1, .sequence = 1, .value = "b"}));
  auto late = broker.begin_produce(batch({.value = "late"}), partition(), std::chrono::milliseconds(50));
  EXPECT_EQ(broker.wal->live_count(), 0U) << "written before own/P states the epoch";
  cluster.manual.advance(std::chrono::milliseconds(60));
  EXPECT_EQ(late->error(), Errc::not_appended);
  cluster.keyspace.choose = {};
  cluster.manual.advance(std::chrono::seconds(10));
  EXPECT_EQ(a->offset(), 0);
  EXPECT_EQ(b->offset(), 1);
  EXPECT_EQ(broker.state().epoch, model::LeaderEpoch(1));
}

TEST(Produce, AFullWalHoldsProducesInOrderAndThenRefusesThem) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch({.value = "first"})).error, Errc::none);
  broker.wal->admit_bytes_max = 100;
  auto a = broker.begin_produce(batch({.producer = 1, .sequence = 0, .value = "a"}), partition(), std::chrono::seconds(5));
  auto b = broker.begin_produce(batch({.producer = 1, .sequence = 1, .value = "b"}), partition(), std::chrono::seconds(50));
  EXPECT_FALSE(a->outcome);
  cluster.manual.advance(std::chrono::seconds(6));
  EXPECT_EQ(a->error(), Errc::not_appended);
  EXPECT_FALSE(b->outcome);
  broker.wal->admit_bytes_max = 100000;
  broker.upload();  // frees space and wakes who waits
  cluster.manual.drain();
  EXPECT_EQ(b->error(), Errc::out_of_order_sequence) << "it must not overtake the one that was refused";
  EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .value = "a"})).base_offset, model::Offset(1));
  EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 1, .value = "b"})).base_offset, model::Offset(2));
}

TEST(Produce, PastTheTailsRecordLimitProducesWaitForTheUpload) {
  Cluster cluster;
  Options options;
  options.tail_records_max = 3;
  Broker broker(cluster, options);
  broker.start();
  broker.create_topic();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  auto late = broker.begin_produce(batch(), partition(), std::chrono::seconds(1));
  auto waits = broker.begin_produce(batch(), partition(), std::chrono::seconds(100));
  cluster.manual.advance(std::chrono::seconds(2));
  EXPECT_EQ(late->error(), Errc::not_appended);
  EXPECT_FALSE(waits->outcome);
  broker.upload();
  cluster.manual.drain();
  EXPECT_EQ(waits->offset(), 3);
}

TEST(Produce, AnIdlePartitionIsSmall) { EXPECT_LE(sizeof(Partition), 1024U); }

TEST(Produce, DeletedTopicsFailWhatWaitsAndFreeEverything) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto flying = broker.begin_produce(batch());
  broker.delete_topic();
  cluster.manual.drain();
  EXPECT_EQ(flying->error(), Errc::unknown_partition);
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(broker.wal->live_count(), 0U);
  EXPECT_EQ(broker.read(0).error, Errc::unknown_partition);
  EXPECT_EQ(broker.wal->uploaded_mark(partition()), model::Offset(INT64_MAX));
  // The slot is free again and its next partition is another one.
  broker.create_topic(2);
  broker.wal->automatic = true;
  EXPECT_EQ(broker.produce(batch(), partition(2)).base_offset, model::Offset(0));
}

TEST(Produce, RefusesWhatABatchMayNotBe) {
  Cluster cluster;
  Broker broker(cluster);
  model::TopicConfig config;
  config.max_message_bytes = 500;
  broker.start();
  broker.create_topic(1, 1, config);
  const bytes::Buffer good = batch();
  const auto twice = bytes::Buffer::copy_of(std::string(good.text()) + std::string(good.text()));
  std::string bad_crc(good.text());
  bad_crc.back() = static_cast<char>(bad_crc.back() ^ 1);
  EXPECT_EQ(broker.produce(twice).error, Errc::invalid_record);
  EXPECT_EQ(broker.produce({}).error, Errc::invalid_record);
  EXPECT_EQ(broker.produce(bytes::Buffer::copy_of(std::string_view(bad_crc))).error, Errc::corrupt_batch);
  EXPECT_EQ(broker.produce(good.slice(0, good.size() - 1)).error, Errc::invalid_record) << "there is no whole batch";
  const auto with_byte = [&good](std::size_t at, char value) {
    std::string changed(good.text());
    changed[at] = value;
    return bytes::Buffer::copy_of(std::string_view(changed));
  };
  EXPECT_EQ(broker.produce(with_byte(16, 1)).error, Errc::unsupported_magic) << "an old client's format";
  EXPECT_EQ(broker.produce(with_byte(16, 3)).error, Errc::corrupt_batch) << "no format at all";
  EXPECT_EQ(broker.produce(with_byte(7, 5)).error, Errc::invalid_record) << "offsets are the broker's to give";
  EXPECT_EQ(broker.produce(batch({.value = std::string(600, 'x')})).error, Errc::message_too_large);
  const base::WallMs now = cluster.manual.doors.shards[0]->wall_now_ms();
  EXPECT_EQ(broker.produce(batch({.timestamps = {now + 3600001}})).error, Errc::invalid_timestamp);
  EXPECT_EQ(broker.produce(batch({.timestamps = {now + 3599000}})).error, Errc::none);
  const auto marker = *model::build_end_marker(model::ProducerId(1), model::ProducerEpoch(0), {}, now);
  EXPECT_EQ(broker.produce(marker).error, Errc::invalid_record) << "clients do not write control batches";
  EXPECT_EQ(broker.produce(good, partition(9)).error, Errc::unknown_partition);
  EXPECT_EQ(broker.state().end, model::Offset(1));
}

TEST(Produce, LogAppendTimeIsTheBrokersAndNeverGoesBack) {
  Cluster cluster;
  Broker broker(cluster);
  model::TopicConfig config;
  config.timestamp_type = model::TimestampType::log_append_time;
  broker.start();
  broker.create_topic(1, 1, config);
  base::WallMs last = 0;
  for (int i = 0; i < 3; ++i) {
    const ProduceOutcome outcome = broker.produce(batch({.timestamps = {5}}));
    ASSERT_EQ(outcome.error, Errc::none);
    EXPECT_GE(outcome.log_append_time, last);
    EXPECT_EQ(outcome.log_append_time, cluster.manual.doors.shards[0]->wall_now_ms());
    last = outcome.log_append_time;
    cluster.manual.advance(std::chrono::milliseconds(5));
  }
  const ReadOutcome read = broker.read(2);
  const auto header = model::check_batch(read.batches.front().view());
  ASSERT_TRUE(header) << "the CRC covers the new time";
  EXPECT_EQ(header->timestamp_type(), model::TimestampType::log_append_time);
  EXPECT_EQ(header->max_timestamp, last);
}

TEST(Produce, ATopicsOwnCompressionAppliesAndKeepsTheRecords) {
  Cluster cluster;
  Broker broker(cluster);
  model::TopicConfig config;
  config.compression = model::CompressionType::zstd;
  broker.start();
  broker.create_topic(1, 1, config);
  ASSERT_EQ(
      broker
          .produce(batch({.timestamps = times(2), .value = std::string(300, 'z'), .compression = model::CompressionType::gzip}))
          .error,
      Errc::none);
  const ReadOutcome read = broker.read(0);
  EXPECT_EQ(model::peek_batch_header(read.batches.front().view())->compression(), model::CompressionType::zstd);
  EXPECT_EQ(values(read), (Values{"0=" + std::string(300, 'z'), "1=" + std::string(300, 'z')}));
}

TEST(Produce, CompactedTopicsNeedKeys) {
  Cluster cluster;
  Broker broker(cluster);
  model::TopicConfig config;
  config.cleanup_compact = true;
  broker.start();
  broker.create_topic(1, 1, config);
  EXPECT_EQ(broker.produce(batch()).error, Errc::none);
  const auto keyless = *model::build_batch({}, {{.key = std::nullopt, .value = "v", .timestamp = test_time}});
  EXPECT_EQ(broker.produce(keyless).error, Errc::invalid_record);
}

TEST(Produce, WorksAcrossShards) {
  Cluster cluster(3);
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1, 6);
  for (std::int32_t i = 0; i < 6; ++i) {
    EXPECT_EQ(broker.produce(batch({.value = std::to_string(i)}), partition(1, i)).error, Errc::none);
    EXPECT_EQ(values(broker.read(0, 1000, Isolation::read_uncommitted, partition(1, i))), (Values{"0=" + std::to_string(i)}));
  }
  std::size_t used = 0;
  for (std::uint32_t i = 0; i < 3; ++i) used += broker.log->shard(runtime::ShardId(i)).partitions().empty() ? 0 : 1;
  EXPECT_EQ(used, 3U);
}

TEST(Produce, StopConfirmsWhatFliesAndRefusesWhatComes) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  broker.wal->automatic = false;
  auto flying = broker.begin_produce(batch());
  cluster.manual.doors.shards[0]->post(
      [&] { broker.scope.spawn("stop", [](Log* log) -> runtime::Task<void> { co_await log->stop(); }(broker.log.get())); });
  cluster.manual.drain();
  auto refused = broker.begin_produce(batch());
  EXPECT_EQ(refused->error(), Errc::not_appended);
  EXPECT_FALSE(flying->outcome);
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(flying->offset(), 1);
}

}  // namespace
}  // namespace weir::log::testing
