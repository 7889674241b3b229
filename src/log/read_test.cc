// Reading across group memory, WAL and objects; the tail's memory budget; long polls; log start; location.
#include <gtest/gtest.h>

#include "log/testing/log_fixture.h"

namespace weir::log::testing {
namespace {

Values numbered(std::int64_t from, std::int64_t to) {
  Values out;
  for (std::int64_t i = from; i < to; ++i) out.push_back(fmt::format("{}={}", i, i));
  return out;
}

void produce_numbered(Broker& broker, std::int64_t from, std::int64_t to) {
  for (std::int64_t i = from; i < to; ++i) ASSERT_EQ(broker.produce(batch({.value = std::to_string(i)})).error, Errc::none);
}

/// All values from `offset` on, by as many reads as it takes.
Values read_all(Broker& broker, std::int64_t offset, std::uint32_t max_bytes = 1U << 20U) {
  Values all;
  for (int reads = 0; reads < 10000; ++reads) {
    const ReadOutcome outcome = broker.read(offset, max_bytes);
    EXPECT_EQ(outcome.error, Errc::none) << outcome.message;
    const Values some = values(outcome);
    if (some.empty()) return all;
    for (const std::string& value : some) {
      if (std::stoll(value) < offset) continue;
      all.push_back(value);
    }
    offset = std::stoll(some.back()) + 1;
  }
  ADD_FAILURE() << "the reads do not end";
  return all;
}

runtime::Task<void> read_into(Log* log, std::optional<ReadOutcome>* into) {
  *into = co_await log->read(
      {.partition = partition(), .offset = model::Offset(0), .max_bytes = 1U << 20U, .deadline = base::MonoTime::max()});
}

TEST(Read, TakesWholeBatchesUpToItsLimitAndAtLeastOne) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 5);
  const std::uint64_t one = broker.read(0, 1).size_bytes;
  EXPECT_EQ(values(broker.read(0, 1)), numbered(0, 1));
  EXPECT_EQ(values(broker.read(1, static_cast<std::uint32_t>(2 * one))), numbered(1, 3));
  EXPECT_EQ(values(broker.read(1, static_cast<std::uint32_t>(3 * one - 1))), numbered(1, 3));
  const auto none = cluster.run(broker.log->read({.partition = partition(),
                                                  .offset = model::Offset(0),
                                                  .max_bytes = 1,
                                                  .at_least_one = false,
                                                  .deadline = base::MonoTime::max()}));
  EXPECT_EQ(none.error, Errc::none);
  EXPECT_TRUE(none.batches.empty());
}

TEST(Read, ABatchEnteredInItsMiddleIsGivenWhole) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  ASSERT_EQ(broker.produce(batch({.timestamps = times(4)})).error, Errc::none);
  EXPECT_EQ(values(broker.read(2)).front(), "0=v");
  broker.upload();
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  EXPECT_EQ(values(broker.read(2)).front(), "0=v");
}

// Every offset is read from every place its batch can be: the same bytes each time.
TEST(Read, TheSameBytesFromMemoryWalAndObject) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 20);
  const Values all = numbered(0, 20);
  EXPECT_EQ(read_all(broker, 0, 200), all);
  EXPECT_EQ(broker.wal->read_count(), 0U);

  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  EXPECT_EQ(read_all(broker, 0, 200), all) << "from the WAL";
  EXPECT_GE(broker.wal->read_count(), 20U);

  produce_numbered(broker, 20, 30);
  EXPECT_EQ(read_all(broker, 0), numbered(0, 30)) << "WAL and memory";
  broker.upload();
  const std::size_t reads = broker.wal->read_count();
  EXPECT_EQ(read_all(broker, 0, 300), numbered(0, 30)) << "objects, then memory that was kept";
  EXPECT_EQ(broker.wal->read_count(), reads);
  EXPECT_EQ(broker.wal->live_count(), 0U);

  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  produce_numbered(broker, 30, 40);
  broker.upload();
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  produce_numbered(broker, 40, 45);
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  produce_numbered(broker, 45, 50);
  for (std::int64_t from = 0; from <= 50; ++from) EXPECT_EQ(read_all(broker, from, 500), numbered(from, 50)) << from;
  EXPECT_EQ(cluster.run(broker.log->locate(partition(), model::Offset(5)))->value().kind, Location::Kind::object);
  EXPECT_EQ(cluster.run(broker.log->locate(partition(), model::Offset(42)))->value().kind, Location::Kind::wal);
  EXPECT_EQ(cluster.run(broker.log->locate(partition(), model::Offset(47)))->value().kind, Location::Kind::memory);
  EXPECT_FALSE(cluster.run(broker.log->locate(partition(), model::Offset(50)))->has_value());
}

// Three groups at different places of one partition, over many objects: together they read what one reads.
TEST(Read, GroupsBehindOneAnotherCostTheStoreWhatOneCosts) {
  Cluster cluster;
  constexpr std::int64_t count = 40;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    for (std::int64_t i = 0; i < count; ++i) {
      ASSERT_EQ(broker.produce(batch({.value = std::string(700'000, static_cast<char>('a' + i % 26))})).error, Errc::none);
      if (i % 4 == 3) broker.upload();
    }
  }
  // A broker each time: nothing of an earlier round is in its cache.
  const auto bytes_of = [&](std::vector<std::int64_t> starts) {
    Broker reader(cluster, {.block_cache_bytes = 32U << 20U});
    reader.start();
    const std::uint64_t before = cluster.store.get_bytes;
    for (std::int64_t step = 0; step < count + 6; ++step) {
      for (const std::int64_t start : starts) {
        if (step < start || step - start >= count) continue;
        const ReadOutcome got = reader.read(step - start, 700'000);
        EXPECT_EQ(got.error, Errc::none) << got.message;
        EXPECT_EQ(got.end.value(), step - start + 1);
      }
    }
    cluster.manual.drain();
    return cluster.store.get_bytes - before;
  };
  const std::uint64_t one = bytes_of({0});
  EXPECT_GE(one, std::uint64_t{count} * 700'000);
  EXPECT_LE(one, std::uint64_t{count} * 720'000) << "nothing twice";
  EXPECT_LE(bytes_of({0, 2, 6}) * 10, one * 13);
  EXPECT_LE(bytes_of({0, 0, 0}) * 10, one * 13);
}

// The next object is on its way before a reader comes to it.
TEST(Read, ReadAheadGoesOnIntoTheNextObject) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  for (int i = 0; i < 12; ++i) {
    ASSERT_EQ(broker.produce(batch({.value = std::string(700'000, 'x')})).error, Errc::none);
    broker.upload();
  }
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  const auto& from_store = cluster.manual.metrics.counter(read_bytes_total, "from=\"store\"");
  for (std::int64_t at = 0; at < 12; ++at) {
    const std::uint64_t before = from_store.value();
    ASSERT_EQ(broker.read(at, 700'000).error, Errc::none);
    cluster.manual.drain();
    EXPECT_EQ(from_store.value() > before, at < 2) << "offset " << at;
  }
}

TEST(Read, BytesAndTimeAreCountedWhereTheyCameFrom) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 3);
  std::optional<ReadOutcome> outcome;
  const auto read_for = [&](base::Duration time, auto let_go) {
    outcome.reset();
    cluster.manual.doors.shards[0]->post([&] { broker.scope.spawn("read", read_into(broker.log.get(), &outcome)); });
    cluster.manual.drain();
    EXPECT_EQ(outcome.has_value(), time == base::Duration::zero());
    cluster.manual.advance(time);
    let_go();
    cluster.manual.drain();
    EXPECT_TRUE(outcome && values(*outcome) == numbered(0, 3));
  };
  using Seen = std::vector<std::string>;
  const auto seen = [&] {
    Seen seen;
    for (const char* from : {"group", "wal", "memory", "store"}) {
      const std::string labels = fmt::format("from=\"{}\"", from);
      const auto& time = cluster.manual.metrics.histogram(read_seconds, labels);
      const bool bytes = cluster.manual.metrics.counter(read_bytes_total, labels).value() > 0;
      seen.push_back(
          fmt::format("{} {} in {:.0f} ms{}", from, time.count(), time.sum_seconds() * 1e3, bytes ? "" : " no bytes"));
    }
    return seen;
  };
  const auto nothing = [] {};
  read_for({}, nothing);
  EXPECT_EQ(seen(),
            (Seen{"group 1 in 0 ms", "wal 0 in 0 ms no bytes", "memory 0 in 0 ms no bytes", "store 0 in 0 ms no bytes"}));
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  broker.wal->reads_hang = true;
  read_for(std::chrono::milliseconds(5), [&] {
    broker.wal->reads_hang = false;
    broker.wal->let_reads_go();
  });
  EXPECT_EQ(seen(), (Seen{"group 1 in 0 ms", "wal 1 in 5 ms", "memory 0 in 0 ms no bytes", "store 0 in 0 ms no bytes"}));
  broker.upload();
  cluster.store.hold_gets = true;
  read_for(std::chrono::milliseconds(9), [&] { cluster.store.let_gets_go(); });
  EXPECT_EQ(seen(), (Seen{"group 1 in 0 ms", "wal 1 in 5 ms", "memory 0 in 0 ms no bytes", "store 1 in 9 ms"}));
  read_for({}, nothing);
  EXPECT_EQ(seen(), (Seen{"group 1 in 0 ms", "wal 1 in 5 ms", "memory 1 in 0 ms", "store 1 in 9 ms"}));
}

TEST(Read, ManySmallObjectsAreReadSideBySide) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  for (std::int64_t i = 0; i < 12; ++i) {
    produce_numbered(broker, i * 3, i * 3 + 3);
    broker.upload();
  }
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  EXPECT_EQ(values(broker.read(0)).size(), 24U) << "eight objects in one read";
  EXPECT_EQ(read_all(broker, 0), numbered(0, 36));
}

TEST(Read, TailMemoryStaysWithinItsBudgetAndEverythingStaysReadable) {
  Cluster cluster;
  Options options;
  options.tail_memory_bytes_max = 10000;
  Broker broker(cluster, options);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 200);
  EXPECT_LE(cluster.manual.metrics.gauge(tail_memory_bytes, "").value(), 10000);
  EXPECT_GT(cluster.manual.metrics.gauge(tail_memory_bytes, "").value(), 5000);
  EXPECT_EQ(read_all(broker, 0), numbered(0, 200));
  EXPECT_GT(broker.wal->read_count(), 100U);
  broker.upload();
  EXPECT_EQ(read_all(broker, 0), numbered(0, 200));
}

TEST(Read, UnconfirmedMemoryIsNeverLetGo) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 1);
  broker.wal->automatic = false;
  auto flying = broker.begin_produce(batch({.value = "1"}));
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  broker.wal->complete_all();
  cluster.manual.drain();
  const std::size_t reads = broker.wal->read_count();
  EXPECT_EQ(values(broker.read(1)), numbered(1, 2));
  EXPECT_EQ(broker.wal->read_count(), reads);
}

// While a WAL read hangs, the record is uploaded and its place freed for other bytes: the read looks again.
TEST(Read, ARecordThatMovesWhileItIsReadIsFoundAgain) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 3);
  std::optional<ReadOutcome> outcome;
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  broker.wal->reads_hang = true;
  cluster.manual.doors.shards[0]->post([&] { broker.scope.spawn("read", read_into(broker.log.get(), &outcome)); });
  cluster.manual.drain();
  ASSERT_FALSE(outcome);
  // The upload's own reads pass; what hangs goes on only after the commit has freed the places.
  broker.wal->reads_hang = false;
  broker.upload();
  ASSERT_FALSE(outcome);
  ASSERT_EQ(broker.wal->live_count(), 0U);
  broker.wal->let_reads_go();
  cluster.manual.drain();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->error, Errc::none) << outcome->message;
  EXPECT_EQ(values(*outcome), numbered(0, 3));
}

TEST(Read, LostWalRecordsAreSaidToBeLost) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 2);
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  broker.wal->rot(partition(), model::Offset(1));
  EXPECT_EQ(values(broker.read(0, 1)), numbered(0, 1));
  EXPECT_EQ(broker.read(1).error, Errc::quarantined);
}

TEST(Read, AStoreThatIsDownFailsOnlyReadsOfObjects) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 3);
  broker.upload();
  broker.wal->press_memory(SIZE_MAX);
  cluster.manual.drain();
  produce_numbered(broker, 3, 5);
  cluster.store.down = true;
  EXPECT_EQ(broker.read(0).error, Errc::store_unavailable);
  EXPECT_EQ(values(broker.read(3)), numbered(3, 5));
  cluster.store.down = false;
  EXPECT_EQ(read_all(broker, 0), numbered(0, 5));
}

TEST(LogStart, IsDurableDropsObjectsAndFreesTheWal) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    produce_numbered(broker, 0, 4);
    broker.upload();
    produce_numbered(broker, 4, 8);
    broker.upload();
    produce_numbered(broker, 8, 12);
    EXPECT_EQ(broker.raise_log_start(13), Errc::offset_out_of_range);
    EXPECT_EQ(broker.raise_log_start(5), Errc::none);
    EXPECT_EQ(broker.read(4).error, Errc::offset_out_of_range);
    EXPECT_EQ(read_all(broker, 5), numbered(5, 12));
    EXPECT_EQ(broker.log->shard(runtime::ShardId(0)).extents(partition()).size(), 1U);
    EXPECT_EQ(broker.state().log_start, model::Offset(5));
    EXPECT_EQ(broker.raise_log_start(10), Errc::none);
    EXPECT_EQ(broker.log->shard(runtime::ShardId(0)).extents(partition()).size(), 0U);
    EXPECT_EQ(broker.wal->live_count(), 2U) << "the records below the log start are free";
    EXPECT_EQ(read_all(broker, 10), numbered(10, 12));
    broker.upload();
    EXPECT_EQ(broker.wal->live_count(), 0U);
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.state().log_start, model::Offset(10));
  EXPECT_EQ(read_all(broker, 10), numbered(10, 12));
}

TEST(LogStart, InsideABatchOfTheTailSurvivesARestart) {
  Cluster cluster;
  {
    Broker broker(cluster);
    broker.start();
    broker.create_topic();
    ASSERT_EQ(broker.produce(batch({.timestamps = times(4), .value = "a"})).error, Errc::none);
    ASSERT_EQ(broker.produce(batch({.timestamps = times(4), .value = "b"})).error, Errc::none);
    EXPECT_EQ(broker.raise_log_start(6), Errc::none);
    EXPECT_EQ(broker.wal->live_count(), 1U);
  }
  {
    Broker broker(cluster);
    broker.start();
    EXPECT_FALSE(broker.state().quarantined) << broker.state().quarantine_reason;
    EXPECT_EQ(broker.state().high_watermark, model::Offset(8));
    EXPECT_EQ(values(broker.read(6)).front(), "4=b");
    broker.upload();
  }
  Broker broker(cluster);
  broker.start();
  EXPECT_EQ(broker.state().log_start, model::Offset(6));
  EXPECT_EQ(values(broker.read(6)).back(), "7=b");
}

TEST(LogStart, PlacesThatAnUploadReadsAreFreedWhenItEnds) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 4);
  Shard& shard = broker.log->shard(runtime::ShardId(0));
  ASSERT_EQ(cluster.run(shard.collect(UINT64_MAX)).size(), 1U);
  EXPECT_EQ(broker.raise_log_start(4), Errc::none);
  EXPECT_EQ(broker.wal->live_count(), 4U) << "the upload may be reading them";
  shard.abandoned();
  EXPECT_EQ(broker.wal->live_count(), 0U);
}

TEST(LogStart, ThatRisesWhileAnUploadTakesItsBatchesEndsTheRunWithWhatWasTaken) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  constexpr int count = 6000;
  produce_numbered(broker, 0, count);
  broker.begin_upload();
  EXPECT_EQ(broker.raise_log_start(count - 100), Errc::none);
  cluster.manual.drain();
  EXPECT_EQ(broker.wal->live_count(), 100U) << "the object holds what was taken before, nothing behind the hole";
  EXPECT_EQ(read_all(broker, count - 100), numbered(count - 100, count));
  broker.upload();
  EXPECT_EQ(broker.wal->live_count(), 0U);
  EXPECT_EQ(read_all(broker, count - 100), numbered(count - 100, count));
}

struct Poll {
  std::optional<runtime::Wake> wake;
};
std::shared_ptr<Poll> poll(Cluster& cluster, Broker& broker, std::vector<Log::WaitPosition> positions, std::uint64_t min_bytes,
                           base::Duration timeout, std::uint32_t shard = 0) {
  auto result = std::make_shared<Poll>();
  cluster.manual.doors.shards[shard]->post([&cluster, &broker, result, positions, min_bytes, timeout] {
    broker.scope.spawn("poll",
                       [](Log* log, std::vector<Log::WaitPosition> at, std::uint64_t bytes, base::MonoTime deadline,
                          std::shared_ptr<Poll> into) -> runtime::Task<void> {
                         into->wake = co_await log->wait_readable(std::move(at), bytes, deadline, nullptr);
                       }(broker.log.get(), positions, min_bytes, cluster.manual.now() + timeout, result));
  });
  cluster.manual.drain();
  return result;
}

TEST(Wait, WakesWhenDataIsConfirmedNotBefore) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic();
  produce_numbered(broker, 0, 1);
  EXPECT_EQ(poll(cluster, broker, {{.partition = partition(), .offset = model::Offset(0)}}, 1, std::chrono::seconds(1))->wake,
            runtime::Wake::ready)
      << "there is something already";
  broker.wal->automatic = false;
  auto waits = poll(cluster, broker, {{.partition = partition(), .offset = model::Offset(1)}}, 1, std::chrono::seconds(10));
  auto flying = broker.begin_produce(batch());
  EXPECT_FALSE(waits->wake);
  broker.wal->complete_all();
  cluster.manual.drain();
  EXPECT_EQ(waits->wake, runtime::Wake::ready);
  auto idle = poll(cluster, broker, {{.partition = partition(), .offset = model::Offset(2)}}, 1, std::chrono::seconds(1));
  cluster.manual.advance(std::chrono::seconds(2));
  EXPECT_EQ(idle->wake, runtime::Wake::timeout);
}

TEST(Wait, CountsBytesOverPartitionsAndShards) {
  Cluster cluster(2);
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1, 4);
  for (std::int32_t i = 0; i < 4; ++i) ASSERT_EQ(broker.produce(batch(), partition(1, i)).error, Errc::none);
  const std::uint64_t one = broker.read(0).size_bytes;
  std::vector<Log::WaitPosition> positions;
  for (std::int32_t i = 0; i < 4; ++i) positions.push_back({.partition = partition(1, i), .offset = model::Offset(1)});
  auto waits = poll(cluster, broker, positions, 3 * one, std::chrono::seconds(10));
  for (std::int32_t i = 0; i < 4; ++i) {
    EXPECT_EQ(waits->wake.has_value(), i >= 3) << i;
    ASSERT_EQ(broker.produce(batch(), partition(1, i)).error, Errc::none);
    cluster.manual.drain();
  }
  EXPECT_EQ(waits->wake, runtime::Wake::ready);
}

TEST(Wait, EndsWhenAPartitionGoesAwayAndAtTheStop) {
  Cluster cluster;
  Broker broker(cluster);
  broker.start();
  broker.create_topic(1);
  broker.create_topic(2);
  auto waits = poll(cluster, broker, {{.partition = partition(1), .offset = model::Offset(0)}}, 1, std::chrono::seconds(100));
  auto other = poll(cluster, broker, {{.partition = partition(2), .offset = model::Offset(0)}}, 1, std::chrono::seconds(100));
  EXPECT_FALSE(waits->wake);
  broker.delete_topic(1);
  cluster.manual.drain();
  EXPECT_EQ(waits->wake, runtime::Wake::ready);
  EXPECT_FALSE(other->wake);
  cluster.manual.doors.shards[0]->post(
      [&] { broker.scope.spawn("stop", [](Log* log) -> runtime::Task<void> { co_await log->stop(); }(broker.log.get())); });
  cluster.manual.drain();
  EXPECT_TRUE(other->wake);
}

}  // namespace
}  // namespace weir::log::testing
