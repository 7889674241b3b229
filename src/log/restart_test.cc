// Restarts: what the WAL held, own/P, footers, producers and transactions; quarantine; a store that is down at the start.
#include <set>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "log/testing/log_fixture.h"

namespace weir::log::testing {
namespace {

TEST(Restart, ConfirmedRecordsComeBackAtTheirOffsetsInANewEpoch) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.value = "a"})).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.value = "b"})).error, Errc::none);
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=b"}));
  EXPECT_EQ(broker.state().epoch, model::LeaderEpoch(1)) << "the epoch moves with the first append";
  EXPECT_EQ(broker.produce(batch({.value = "c"})).base_offset, model::Offset(2));
  EXPECT_EQ(broker.state().epoch, model::LeaderEpoch(2));
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=b", "2=c"}));
  const EpochEnd one = cluster.run(broker.log->epoch_end(partition(), model::LeaderEpoch(1)));
  EXPECT_EQ(one.epoch, model::LeaderEpoch(1));
  EXPECT_EQ(one.end_offset, model::Offset(2));
  const EpochEnd two = cluster.run(broker.log->epoch_end(partition(), model::LeaderEpoch(2)));
  EXPECT_EQ(two.end_offset, model::Offset(3));
  EXPECT_EQ(cluster.run(broker.log->epoch_end(partition(), model::LeaderEpoch(3))).end_offset, model::Offset(-1));
}

// An unacknowledged record that landed is found once and kept; the retry is recognised by its sequence.
TEST(Restart, ALandedRecordIsKeptAndItsRetryRecognised) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.producer = 3, .sequence = 0})).error, Errc::none);
    broker.wal->automatic = false;
    auto flying = broker.begin_produce(batch({.producer = 3, .sequence = 1, .value = "landed"}));
    broker.wal->land(0);
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.state().high_watermark, model::Offset(2));
  EXPECT_EQ(broker.produce(batch({.producer = 3, .sequence = 1, .value = "landed"})).base_offset, model::Offset(1));
  EXPECT_EQ(broker.produce(batch({.producer = 3, .sequence = 2})).base_offset, model::Offset(2));
}

TEST(Restart, WhatLiesBehindAHoleIsDeadAndFreed) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.value = "a"})).error, Errc::none);
    broker.wal->automatic = false;
    auto lost = broker.begin_produce(batch({.value = "lost"}));
    auto behind = broker.begin_produce(batch({.value = "behind"}));
    broker.wal->land(1);
  }
  {
    Broker broker(cluster);
    broker.start();
    EXPECT_EQ(broker.state().high_watermark, model::Offset(1));
    EXPECT_EQ(broker.wal->live_count(), 1U);
    EXPECT_EQ(broker.produce(batch({.value = "b"})).base_offset, model::Offset(1));
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=b"}));
}

TEST(Restart, AMissingAcknowledgedRecordQuarantinesOnlyItsPartition) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic(1, 2);
    for (int i = 0; i < 3; ++i) {
      ASSERT_EQ(broker.produce(batch(), partition(1, 0)).error, Errc::none);
      ASSERT_EQ(broker.produce(batch(), partition(1, 1)).error, Errc::none);
    }
    broker.wal->rot(partition(1, 0), model::Offset(1));  // the third record's group states that it was confirmed
  }
  Broker broker(cluster);
  const std::size_t live = broker.wal->live_count();
  broker.start();
  EXPECT_TRUE(broker.state(partition(1, 0)).quarantined);
  EXPECT_EQ(broker.produce(batch(), partition(1, 0)).error, Errc::quarantined);
  EXPECT_EQ(broker.read(0, 1000, Isolation::read_uncommitted, partition(1, 0)).error, Errc::quarantined);
  EXPECT_EQ(broker.wal->live_count(), live) << "something of it was freed";
  EXPECT_EQ(broker.produce(batch(), partition(1, 1)).base_offset, model::Offset(3));
  EXPECT_EQ(cluster.manual.metrics.gauge(quarantined_partitions, "").value(), 1);
  broker.delete_topic(1);
  EXPECT_EQ(broker.wal->live_count(), 0U) << "deleted: nothing of it is kept any more";
  EXPECT_EQ(cluster.manual.metrics.gauge(quarantined_partitions, "").value(), 0);
}

TEST(Restart, UploadedAndUnuploadedPartsConnect) {
  Cluster cluster;
  for (std::int64_t round = 0; round < 6; ++round) {
    Broker broker(cluster);
    broker.start();
    if (round == 0) broker.create_topic();
    Values expected;
    for (std::int64_t i = 0; i < round * 3; ++i) expected.push_back(fmt::format("{}=r{}", i, i / 3));
    Values got;
    while (static_cast<std::int64_t>(got.size()) < round * 3) {
      const Values some = values(broker.read(static_cast<std::int64_t>(got.size())));
      ASSERT_FALSE(some.empty()) << "round " << round << " at " << got.size();
      got.insert(got.end(), some.begin(), some.end());
    }
    EXPECT_EQ(got, expected);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(broker.produce(batch({.value = fmt::format("r{}", round)})).error, Errc::none);
    if (round % 2 == 1) broker.upload();
    if (round == 3) EXPECT_EQ(broker.wal->live_count(), 0U);
  }
}

TEST(Restart, ProducersSurviveInObjectsAndInTheTail) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    for (int i = 0; i < 7; ++i) ASSERT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = i})).error, Errc::none);
    broker.upload();
    for (int i = 7; i < 9; ++i) ASSERT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = i})).error, Errc::none);
  }
  {
    Broker broker(cluster);
    broker.start();
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 4})).base_offset, model::Offset(4))
        << "from the object";
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 8})).base_offset, model::Offset(8))
        << "from the tail";
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 3})).error, Errc::out_of_order_sequence)
        << "older than five";
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 10})).error, Errc::out_of_order_sequence);
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 1, .sequence = 9})).error, Errc::invalid_producer_epoch);
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 9})).base_offset, model::Offset(9));
    broker.upload();
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 9})).base_offset, model::Offset(9));
  EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 3, .sequence = 0})).base_offset, model::Offset(10));
}

// The upload's delta tells the state at its end, not what was in flight behind it.
TEST(Restart, AnUploadTellsNothingOfWhatLiesBehindIt) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    for (int i = 0; i < 5; ++i) ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = i})).error, Errc::none);
    broker.wal->automatic = false;
    std::vector<std::shared_ptr<Broker::Produced>> lost;
    for (int i = 5; i < 10; ++i) lost.push_back(broker.begin_produce(batch({.producer = 1, .sequence = i})));
    broker.upload();
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.state().high_watermark, model::Offset(5));
  EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 4})).base_offset, model::Offset(4));
  EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 6})).error, Errc::out_of_order_sequence);
  EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 5})).base_offset, model::Offset(5));
}

TEST(Restart, WithTheStoreDownPartitionsWaitAndNothingIsQuarantined) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.value = "a"})).error, Errc::none);
    broker.upload();
    ASSERT_EQ(broker.produce(batch({.value = "b"})).error, Errc::none);
  }
  cluster.store.down = true;
  Broker broker(cluster);
  broker.start();
  EXPECT_FALSE(broker.state().quarantined);
  EXPECT_EQ(broker.read(0).error, Errc::store_unavailable);
  auto early = broker.begin_produce(batch({.value = "x"}), partition(), std::chrono::seconds(1));
  cluster.manual.advance(std::chrono::seconds(2));
  EXPECT_EQ(early->error(), Errc::not_appended);
  auto first = broker.begin_produce(batch({.producer = 9, .sequence = 0}), partition(), std::chrono::seconds(1));
  cluster.manual.advance(std::chrono::seconds(2));
  EXPECT_EQ(first->error(), Errc::not_appended);
  auto waits = broker.begin_produce(batch({.value = "c"}), partition(), std::chrono::minutes(10));
  auto overtakes = broker.begin_produce(batch({.producer = 9, .sequence = 1}), partition(), std::chrono::minutes(10));
  broker.create_topic(2);
  EXPECT_EQ(broker.produce(batch(), partition(2)).base_offset, model::Offset(0)) << "a new topic needs no footer";
  cluster.manual.advance(std::chrono::minutes(1));
  EXPECT_FALSE(waits->outcome);
  cluster.store.down = false;
  cluster.manual.advance(std::chrono::seconds(10));
  EXPECT_EQ(waits->offset(), 2);
  EXPECT_EQ(overtakes->error(), Errc::out_of_order_sequence);
  EXPECT_EQ(values(broker.read(0)).front(), "0=a");
  EXPECT_EQ(values(broker.read(1)), (Values{"1=b", "2=c"}));
}

TEST(Restart, ALostObjectQuarantinesWhatItMayHoldAndNothingElse) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic(1);
    broker.create_topic(2);
    broker.create_topic(3);  // never written
    ASSERT_EQ(broker.produce(batch(), partition(1)).error, Errc::none);
    ASSERT_EQ(broker.produce(batch(), partition(2)).error, Errc::none);
    broker.upload();
    ASSERT_EQ(broker.produce(batch(), partition(1)).error, Errc::none);
    broker.upload();  // the one that is lost
    const auto lost = cluster.run(cluster.objects.list("", "", {}))->objects;
    ASSERT_EQ(lost.size(), 2U);
    ASSERT_EQ(broker.produce(batch(), partition(2)).error, Errc::none);
    broker.upload();
    for (const auto& object : cluster.run(cluster.objects.list("", "", {}))->objects) {
      const auto extents = broker.log->shard(runtime::ShardId(0)).extents(partition(1));
      if (object.key == extents.at(1).object.key) ASSERT_TRUE(cluster.run(cluster.objects.remove({object.key}, {})));
    }
  }
  Broker broker(cluster);
  broker.start();
  cluster.manual.advance(std::chrono::minutes(1));
  EXPECT_TRUE(broker.state(partition(1)).quarantined);
  EXPECT_FALSE(broker.state(partition(2)).quarantined) << "a later object continues it";
  EXPECT_FALSE(broker.state(partition(3)).quarantined) << "it was never written";
  EXPECT_EQ(broker.produce(batch(), partition(2)).base_offset, model::Offset(2));
}

TEST(Restart, WhatALostObjectQuarantinedOpensWhenItIsFound) {
  Cluster cluster;
  std::string key;
  bytes::Buffer body;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic(1);
    broker.create_topic(2);
    broker.create_topic(3);
    for (std::uint64_t topic = 1; topic <= 3; ++topic) {
      ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .value = "a"}), partition(topic)).error, Errc::none);
    }
    broker.upload();
    const auto info = cluster.run(cluster.objects.list("", "", {}))->objects.at(0);
    key = info.key;
    body = *cluster.run(cluster.objects.get(key, 0, info.size_bytes, {}));
    for (std::uint64_t topic = 1; topic <= 3; ++topic) {
      ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 1, .value = "b"}), partition(topic)).error, Errc::none);
    }
  }
  ASSERT_TRUE(cluster.run(cluster.objects.remove({key}, {})));
  Broker broker(cluster);
  broker.start();
  cluster.manual.advance(std::chrono::minutes(2));
  EXPECT_TRUE(broker.state(partition(1)).quarantined);
  EXPECT_EQ(cluster.manual.metrics.gauge(quarantined_partitions, "").value(), 3);
  broker.delete_topic(3);
  const std::size_t live = broker.wal->live_count();
  ASSERT_TRUE(
      cluster.run(cluster.objects.put(key, {body}, {.crc32c = bytes::crc32c(body.view()), .deadline = base::MonoTime::max()})));
  cluster.manual.advance(std::chrono::minutes(1));
  EXPECT_EQ(cluster.manual.metrics.gauge(quarantined_partitions, "").value(), 0);
  for (std::uint64_t topic = 1; topic <= 2; ++topic) {
    EXPECT_FALSE(broker.state(partition(topic)).quarantined);
    EXPECT_EQ(values(broker.read(0, 1000, Isolation::read_uncommitted, partition(topic))), (Values{"0=a"}));
    EXPECT_EQ(values(broker.read(1, 1000, Isolation::read_uncommitted, partition(topic))), (Values{"1=b"}));
    EXPECT_EQ(broker.produce(batch({.producer = 1, .sequence = 2}), partition(topic)).base_offset, model::Offset(2));
  }
  EXPECT_EQ(broker.wal->live_count(), live + 2) << "nothing was freed twice, nothing is held for ever";
  broker.upload();
  EXPECT_EQ(broker.wal->live_count(), 0U);
}

/// Unlinks what upkeep would: objects that neither extents nor producers need.
std::size_t unlink_dead(Cluster& cluster, Broker& broker) {
  Shard& shard = broker.log->shard(runtime::ShardId(0));
  std::set<model::ObjectId> needed;
  const auto kept = shard.kept_objects();
  EXPECT_TRUE(kept);
  needed.insert(kept->begin(), kept->end());
  for (const model::TopicPartition& p : shard.partitions()) {
    for (const Shard::Extent& extent : shard.extents(p)) needed.insert(extent.object.id);
  }
  std::vector<meta::ObjectRecord> objects = cluster.run(broker.meta.load())->objects;
  std::erase_if(objects, [&](const meta::ObjectRecord& object) { return needed.contains(object.id); });
  const std::size_t count = objects.size();
  if (count > 0) EXPECT_TRUE(cluster.run(broker.meta.unlink_objects(std::move(objects), test_time)));
  return count;
}

TEST(Restart, TransactionalProducersOutliveTheirRecords) {
  Cluster cluster;
  const auto check = [](Broker& broker, const std::string& where) {
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 2, .sequence = 5})).error, Errc::invalid_producer_epoch) << where;
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 3, .sequence = 9})).error, Errc::out_of_order_sequence) << where;
    EXPECT_EQ(broker.end_transaction(2, true, 0, 3).error, Errc::coordinator_fenced) << where;
  };
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.producer = 1, .epoch = 3, .sequence = 0, .transactional = true})).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(1, true, 3, 4).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.producer = 2, .sequence = 0, .transactional = true})).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(2, true, 0, 4).error, Errc::none);
    broker.upload();
    ASSERT_EQ(broker.produce(batch({.producer = 2, .sequence = 1})).error, Errc::none);
    broker.upload();
    ASSERT_EQ(broker.raise_log_start(5), Errc::none);
    EXPECT_EQ(unlink_dead(cluster, broker), 0U) << "nothing else states 1, or 2";
    check(broker, "the log is empty");
  }
  {
    Broker broker(cluster);
    broker.start();
    EXPECT_EQ(broker.state().log_start, broker.state().high_watermark);
    EXPECT_EQ(unlink_dead(cluster, broker), 0U);
    check(broker, "from what is below the log start");
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    broker.upload();
    EXPECT_EQ(unlink_dead(cluster, broker), 2U) << "restated";
    check(broker, "restated");
  }
  {
    Broker broker(cluster);
    broker.start();
    check(broker, "from the entry that restates them");
    EXPECT_EQ(broker.produce(batch({.producer = 1, .epoch = 3, .sequence = 0})).base_offset, model::Offset(0)) << "a duplicate";
    ASSERT_EQ(broker.produce(batch({.producer = 1, .epoch = 3, .sequence = 1})).error, Errc::none);
    ASSERT_EQ(broker.raise_log_start(6), Errc::none);
    broker.upload();
    EXPECT_EQ(unlink_dead(cluster, broker), 1U) << "1 has a record above, 2 is restated with it";
  }
  Broker broker(cluster, {.producer_id_expiration_ms = 1000});
  broker.start();
  check(broker, "restated once more");
  ASSERT_EQ(broker.raise_log_start(7), Errc::none);
  EXPECT_EQ(unlink_dead(cluster, broker), 0U);
  cluster.manual.advance(std::chrono::minutes(11));
  EXPECT_EQ(unlink_dead(cluster, broker), 1U) << "all have expired";
}

// As Kafka's epoch cache answers: the epoch asked for, or the highest below it that holds records, and where the next one begins.
TEST(Restart, EpochsEndWhereTheNextOneBegan) {
  Cluster cluster;
  const auto end_of = [&](Broker& broker, int epoch) {
    const EpochEnd end = cluster.run(broker.log->epoch_end(partition(), model::LeaderEpoch(epoch)));
    EXPECT_EQ(end.error, Errc::none);
    return std::pair(end.epoch.value(), end.end_offset.value());
  };
  using Answer = std::pair<std::int32_t, std::int64_t>;
  std::vector<int> epochs;  // of three runs: two batches, none, three batches
  for (const int count : {2, 0, 3}) {
    Broker broker(cluster);
    broker.start();
    if (epochs.empty()) broker.create_topic();
    for (int i = 0; i < count; ++i) ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    if (count == 2) broker.upload();
    epochs.push_back(broker.state().epoch.value());
    EXPECT_EQ(end_of(broker, epochs.back()), Answer(epochs.back(), epochs.size() == 3 ? 5 : 2));
  }
  EXPECT_EQ(epochs[0], epochs[1]) << "a run without an append begins no epoch";
  ASSERT_LT(epochs[1], epochs[2]);
  Broker broker(cluster);
  broker.start();
  const auto check = [&](const std::string& where) {
    EXPECT_EQ(end_of(broker, epochs[0]), Answer(epochs[0], 2)) << where;
    EXPECT_EQ(end_of(broker, epochs[2]).first, epochs[2]) << where;
    EXPECT_EQ(end_of(broker, 1000), Answer(-1, -1)) << where << ": not known yet";
    EXPECT_EQ(end_of(broker, -1), Answer(-1, -1)) << where;
  };
  check("from an object and the WAL");
  broker.upload();
  check("from objects");
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  EXPECT_EQ(end_of(broker, epochs[2]), Answer(epochs[2], 5)) << "this run's epoch began there";
  ASSERT_EQ(broker.raise_log_start(4), Errc::none);
  EXPECT_EQ(end_of(broker, epochs[0]), Answer(epochs[0], 4)) << "all of it is gone: the next one begins at the log start";
}

TEST(Restart, RecordsOfDeletedTopicsAreFreed) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    for (int i = 0; i < 2; ++i) ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    // Deleted in the keyspace, then the process dies before the log hears of it.
    auto topics = cluster.run(broker.meta.load())->topics;
    ASSERT_TRUE(cluster.run(broker.meta.delete_topic(topics.at("topic-1"))));
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.wal->live_count(), 0U);
  EXPECT_EQ(broker.wal->uploaded_mark(partition()), model::Offset(INT64_MAX));
}

TEST(Restart, AVoidedRecordStaysVoid) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.value = "a"})).error, Errc::none);
    broker.wal->automatic = false;
    auto first = broker.begin_produce(batch({.value = "void1"}));
    auto second = broker.begin_produce(batch({.value = "void2"}));
    broker.wal->fail(0, base::ErrorKind::io);
    cluster.manual.advance(std::chrono::seconds(1));
    auto b = broker.begin_produce(batch({.value = "b"}));
    broker.wal->land(0);  // void2's bytes reach the device after all
    broker.wal->land(1);
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(values(broker.read(0)), (Values{"0=a", "1=b"}));
  EXPECT_EQ(broker.wal->live_count(), 2U);
}

// An upload may leave out what it could not read back; the others' runs are committed, and the next one begins with others.
TEST(Upload, MayLeaveRunsOut) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1, 2);
  for (std::int32_t i = 0; i < 2; ++i) ASSERT_EQ(broker.produce(batch(), partition(1, i)).error, Errc::none);
  Shard& shard = broker.log->shard(runtime::ShardId(0));
  const auto first = cluster.run(shard.collect(1));
  ASSERT_EQ(first.size(), 1U);
  shard.committed({}, {});
  EXPECT_EQ(broker.wal->live_count(), 2U);
  const auto second = cluster.run(shard.collect(1));
  ASSERT_EQ(second.size(), 1U);
  EXPECT_NE(second.front().entry.partition, first.front().entry.partition);
  shard.abandoned();
  broker.upload();
  EXPECT_EQ(broker.wal->live_count(), 0U);
}

TEST(Statements, AreMadeWhileNeededAndNoLonger) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1, 2);
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  const auto collect = [&] {
    std::vector<wal::Statement> statements;
    broker.log->sinks().front()->collect_statements(statements);
    return statements;
  };
  ASSERT_EQ(collect().size(), 1U) << "its high watermark is stated by no group yet";
  EXPECT_EQ(collect().front().high_watermark, model::Offset(1));
  broker.wal->automatic = false;
  ASSERT_TRUE(cluster.run(broker.wal->flush_statements()));
  ASSERT_EQ(collect().size(), 1U) << "it stays until a group that holds it has completed";
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_TRUE(collect().empty());
  auto next = broker.begin_produce(batch());
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(collect().size(), 1U);
  broker.upload();
  EXPECT_TRUE(collect().empty()) << "uploaded: no statement is needed";
  EXPECT_EQ(broker.wal->uploaded_mark(partition()), model::Offset(2));
}

}  // namespace
}  // namespace weir::log::testing
