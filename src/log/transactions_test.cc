// Transactions in a partition, as their coordinator and read_committed consumers meet them: markers, fencing, verification, log
// start, restarts; and random histories in which a consumer's view must be exactly what was committed.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "bytes/endian.h"
#include "log/testing/histories.h"

namespace weir::log::testing {
namespace {

TEST(EndTransaction, WritesKafkasMarker) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(txn(7, 0, 3)).error, Errc::none);
  ASSERT_EQ(broker.end_transaction(7, true, 3, 42).base_offset, model::Offset(1));
  const std::string all = joined(broker.read(1));
  const bytes::Bytes marker = bytes::as_bytes(all);
  const auto header = model::check_batch(marker);
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->is_control());
  EXPECT_TRUE(header->is_transactional());
  EXPECT_EQ(header->producer_id, model::ProducerId(7));
  EXPECT_EQ(header->producer_epoch, model::ProducerEpoch(3));
  EXPECT_EQ(header->base_sequence, model::no_sequence);
  EXPECT_EQ(header->record_count, 1);
  const auto record = model::RecordReader::open(marker)->next();
  ASSERT_TRUE(record && *record);
  ASSERT_EQ((*record)->key->size(), 4U);
  EXPECT_EQ(bytes::load_be<std::int16_t>((*record)->key->data()), 0) << "version";
  EXPECT_EQ(bytes::load_be<std::int16_t>((*record)->key->data() + 2), 1) << "commit";
  ASSERT_EQ((*record)->value->size(), 6U);
  EXPECT_EQ(bytes::load_be<std::int16_t>((*record)->value->data()), 0) << "version";
  EXPECT_EQ(bytes::load_be<std::int32_t>((*record)->value->data() + 2), 42) << "coordinator epoch";
}

TEST(EndTransaction, OfATransactionWithoutBatchesLeavesNoSpan) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  ASSERT_EQ(broker.end_transaction(7, false).base_offset, model::Offset(1));
  const ReadOutcome read = broker.read(0, 1U << 20U, Isolation::read_committed);
  EXPECT_EQ(read.last_stable_offset, model::Offset(2));
  EXPECT_TRUE(read.aborted.empty());
}

// Each check is made on the first broker, after a restart from the WAL, and after one from objects.
TEST(EndTransaction, ZombiesAreFencedForGood) {
  Cluster cluster;
  const auto check = [](Broker& broker, const std::string& where) {
    EXPECT_EQ(broker.produce(txn(1, 1, 4)).error, Errc::invalid_producer_epoch) << where;
    EXPECT_EQ(broker.produce(txn(1, 1, 5)).error, Errc::out_of_order_sequence) << where << ": the marker began the epoch";
    EXPECT_EQ(broker.end_transaction(1, true, 4, 9).error, Errc::invalid_producer_epoch) << where;
    EXPECT_EQ(broker.end_transaction(1, true, 5, 7).error, Errc::coordinator_fenced) << where;
    EXPECT_EQ(broker.end_transaction(2, true, 0, 2).error, Errc::coordinator_fenced) << where;
    EXPECT_EQ(broker.end_transaction(3, true, 0, 0, true).error, Errc::invalid_producer_epoch) << where << ": not bumped";
    EXPECT_EQ(broker.state().last_stable_offset, model::Offset(4)) << where << ": transaction 3 is open";
  };
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(txn(1, 0, 4)).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(1, false, 5, 8).error, Errc::none);  // fences epoch 4 by raising it
    ASSERT_EQ(broker.produce(txn(2, 0)).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(2, true, 0, 3).error, Errc::none);
    ASSERT_EQ(broker.produce(txn(3, 0)).error, Errc::none);
    check(broker, "first run");
  }
  {
    Broker broker(cluster);
    broker.start();
    check(broker, "from the WAL");
    broker.upload();
    check(broker, "after the upload");
  }
  Broker broker(cluster);
  broker.start();
  check(broker, "from objects");
  ASSERT_EQ(broker.produce(txn(1, 0, 5)).error, Errc::none);
  ASSERT_EQ(broker.end_transaction(1, true, 6, 8, true).error, Errc::none);
  ASSERT_EQ(broker.end_transaction(3, true, 1, 0, true).error, Errc::none);
  EXPECT_EQ(broker.state().last_stable_offset, broker.state().high_watermark);
}

TEST(Verification, ABatchThatItsMarkerOvertookIsRefused) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  const auto produce = [&](const bytes::Buffer& records, std::uint64_t guard) {
    return cluster
        .run(broker.log->produce({.partition = partition(),
                                  .records = records.view(),
                                  .deadline = cluster.manual.now() + std::chrono::seconds(5),
                                  .guard = guard}))
        .error;
  };
  const auto begin = [&](std::int16_t epoch, std::int32_t sequence) {
    return cluster.run(broker.log->begin_verification({.partition = partition(),
                                                       .producer_id = model::ProducerId(1),
                                                       .epoch = model::ProducerEpoch(epoch),
                                                       .base_sequence = model::Sequence(sequence)}));
  };
  EXPECT_EQ(produce(txn(1, 0), 0), Errc::invalid_txn_state) << "not verified";
  const Verification first = begin(0, 0);
  ASSERT_TRUE(first.needed);
  ASSERT_EQ(broker.end_transaction(1, false).error, Errc::none);
  EXPECT_EQ(produce(txn(1, 0), first.guard), Errc::invalid_txn_state) << "its transaction has ended meanwhile";
  const Verification second = begin(0, 0);
  ASSERT_TRUE(second.needed);
  EXPECT_NE(second.guard, first.guard);
  EXPECT_EQ(produce(txn(1, 0), second.guard), Errc::none);
  EXPECT_FALSE(begin(0, 1).needed) << "ongoing";
  EXPECT_EQ(produce(txn(1, 1), 0), Errc::none);
  ASSERT_EQ(broker.end_transaction(1, true, 1).error, Errc::none);
  EXPECT_EQ(begin(0, 2).error, Errc::invalid_producer_epoch);
  EXPECT_EQ(broker.produce(batch({.producer = 5, .sequence = 0}), partition(), true).error, Errc::none);
}

TEST(Transactions, OneThatBeganBelowTheLogStartHoldsReadersThere) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(txn(1, 0)).error, Errc::none);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(0));
  ASSERT_EQ(broker.raise_log_start(2), Errc::none);
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(2));
  ASSERT_EQ(broker.end_transaction(1, false).error, Errc::none);
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(5));
  const ReadOutcome read = broker.read(2, 1U << 20U, Isolation::read_committed);
  EXPECT_EQ(read.aborted.size(), 1U) << "it reaches into what is left";
}

// A read that has its blocks when retention goes past them must not be answered without the spans that were dropped with them.
TEST(Transactions, AReadThatRetentionOvertakesShowsNothingAborted) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(txn(1, 0)).error, Errc::none);
    ASSERT_EQ(broker.end_transaction(1, false).error, Errc::none);
    broker.upload();
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    broker.upload();
  }
  Broker broker(cluster);
  broker.start();
  cluster.store.hold_gets = true;
  std::optional<ReadOutcome> outcome;
  const auto read = [](Log* log, base::MonoTime deadline, std::optional<ReadOutcome>* into) -> runtime::Task<void> {
    *into = co_await log->read({.partition = partition(),
                                .offset = model::Offset(0),
                                .max_bytes = 10,
                                .isolation = Isolation::read_committed,
                                .deadline = deadline});
  };
  cluster.manual.doors.shards[0]->post(
      [&] { broker.scope.spawn("read", read(broker.log.get(), cluster.manual.now() + std::chrono::seconds(60), &outcome)); });
  cluster.manual.drain();
  ASSERT_FALSE(outcome);
  ASSERT_EQ(broker.raise_log_start(2), Errc::none);
  cluster.store.let_gets_go();
  cluster.manual.drain();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error, Errc::offset_out_of_range);
  EXPECT_TRUE(outcome->batches.empty());
}

TEST(Transactions, ProducersWithAnOpenOneAreNotForgotten) {
  Cluster cluster;
  Broker broker(cluster, {.producer_id_expiration_ms = 1000});
  broker.start();
  broker.create_topic();
  const base::WallMs old = cluster.manual.doors.shards[0]->wall_now_ms() - 5000;
  ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .transactional = true, .timestamps = {old}})).error,
            Errc::none);
  ASSERT_EQ(broker.produce(batch({.producer = 2, .sequence = 0, .timestamps = {old}})).error, Errc::none);
  const auto known = [&] {
    std::vector<std::int64_t> ids;
    const ProducersOutcome all = cluster.run(broker.log->producers(partition(), cluster.manual.now()));
    for (const ProducerInfo& producer : all.producers) ids.push_back(producer.producer_id.value());
    return ids;
  };
  EXPECT_EQ(known(), (std::vector<std::int64_t>{1, 2}));
  cluster.manual.advance(std::chrono::minutes(21));
  EXPECT_EQ(known(), (std::vector<std::int64_t>{1}));
  const ProducersOutcome all = cluster.run(broker.log->producers(partition(), cluster.manual.now()));
  EXPECT_EQ(all.producers.at(0).transaction_start, model::Offset(0));
  EXPECT_EQ(all.producers.at(0).last_sequence, model::Sequence(0));
  EXPECT_EQ(broker.state().last_stable_offset, model::Offset(0));
}

TEST(Transactions, OneThatBeganBehindAnUploadThatIsUnderWayStaysOpenWhenTheLogStartPassesIt) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch()).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 0, .transactional = true})).error, Errc::none);
    cluster.store.hold_puts = true;
    broker.begin_upload(1);  // the first batch only
    cluster.manual.drain();
    ASSERT_EQ(broker.raise_log_start(2), Errc::none);
    cluster.store.let_puts_go();
    cluster.manual.drain();
    ASSERT_EQ(broker.produce(batch({.producer = 1, .sequence = 1, .transactional = true})).error, Errc::none);
    broker.upload();
  }
  Broker broker(cluster);
  broker.start();
  const ProducersOutcome all = cluster.run(broker.log->producers(partition(), cluster.manual.now()));
  ASSERT_EQ(all.producers.size(), 1U);
  EXPECT_EQ(all.producers.at(0).transaction_start, model::Offset(1)) << "as it began, not at what the last object holds of it";
}

TEST(DeleteRecords, MovesTheLogStartAsClientsAsk) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(broker.produce(batch()).error, Errc::none);
  const auto to = [&](std::int64_t offset) {
    return cluster.run(broker.log->delete_records(partition(), model::Offset(offset), cluster.manual.now()));
  };
  EXPECT_EQ(to(5).error, Errc::offset_out_of_range);
  EXPECT_EQ(to(-2).error, Errc::offset_out_of_range);
  EXPECT_EQ(to(2).log_start, model::Offset(2));
  EXPECT_EQ(to(1).log_start, model::Offset(2)) << "it never goes back";
  EXPECT_EQ(to(-1).log_start, model::Offset(4)) << "the high watermark";
  EXPECT_EQ(cluster.run(broker.log->delete_records(partition(9), model::Offset(0), cluster.manual.now())).error,
            Errc::unknown_partition);
}

TEST(Transactions, RandomHistoriesShowWhatWasCommittedAndNothingElse) {
  for (std::uint64_t seed = 1; seed <= 40 && !::testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Histories(seed).run(120);
  }
}

}  // namespace
}  // namespace weir::log::testing
