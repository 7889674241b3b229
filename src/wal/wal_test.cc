#include <cstring>
#include <set>

#include <gtest/gtest.h>

#include "runtime/scope.h"
#include "wal/format.h"
#include "wal/metrics_decl.h"
#include "wal/testing/wal_fixture.h"

namespace weir::wal::testing {
namespace {

using base::ErrorKind;
constexpr std::uint32_t segment_bytes = 256U << 10U;

struct WalTest : ::testing::Test {
  explicit WalTest(std::uint32_t shard_count = 1) : runtime(shard_count) { runtime.doors.files = &files; }
  Options options(std::uint64_t segments = 8) const {
    return {.directory = "wal",
            .size_bytes = segments * segment_bytes,
            .segment_bytes = segment_bytes,
            .group_bytes_max = 64U << 10U};
  }
  std::unique_ptr<Broker> started(std::uint8_t session, std::vector<RegisteredWal> earlier = {}, std::uint64_t segments = 8) {
    auto broker = std::make_unique<Broker>(runtime, identity(session), options(segments));
    auto recovered = broker->recover(std::move(earlier));
    EXPECT_OK(recovered);
    if (recovered) last_recovered = *recovered;
    EXPECT_OK(broker->start());
    return broker;
  }
  RegisteredWal registration(Broker& broker, std::uint8_t session) const {
    return broker.registration(identity(session), segment_bytes);
  }

  MemoryFiles files;
  runtime::testing::ManualRuntime runtime;
  RecoveredWal last_recovered;
  model::TopicPartition p1 = partition(7);
  model::TopicPartition p2 = partition(8);
};

struct WalTwoShardsTest : WalTest {
  WalTwoShardsTest() : WalTest(2) {}
};

TEST_F(WalTest, AppendedBecomesDurableIsReadBackAndRecovered) {
  auto a = started(2);
  const bytes::Buffer kept = a->append(p1, 0, 100);
  a->append(p2, 0, 5000, 3);
  runtime.drain();
  ASSERT_EQ(a->sink().durable.size(), 2U);
  EXPECT_EQ(kept.text(), payload_text(p1, 0, 100));
  auto read = runtime.run(a->appender().read(a->sink().places.at(2)));
  ASSERT_OK(read);
  EXPECT_EQ(read->text(), payload_text(p2, 0, 5000));
  a->stop();

  auto b = started(3, {registration(*a, 2)});
  ASSERT_EQ(last_recovered.records.size(), 2U);
  EXPECT_EQ(last_recovered.records[0].header.partition, p1);
  EXPECT_EQ(last_recovered.records[1].header.offset_count, 3);
  EXPECT_EQ(last_recovered.groups_torn, 0U);
  auto again = runtime.run(b->appender().read(last_recovered.records[1].place));
  ASSERT_OK(again);
  EXPECT_EQ(again->text(), payload_text(p2, 0, 5000));
  EXPECT_EQ(std::memcmp(last_recovered.records[1].batch_header.data(), again->data(), 61), 0);
  EXPECT_EQ(b->wal->live_records(identity(2).session), 2U);
  b->stop();
}

TEST_F(WalTest, NeighboursAreReadInOneReadAndEachIsVerified) {
  auto a = started(2);
  for (int i = 0; i < 5; ++i) a->append(p1, i, 100 + i * 1000);
  runtime.drain();
  std::vector<Place> places;
  for (std::uint64_t number = 1; number <= 5; ++number) places.push_back(a->sink().places.at(number));
  const std::uint64_t before = files.reads;
  auto all = runtime.run(a->appender().read_run(places));
  EXPECT_EQ(files.reads - before, 1U);
  ASSERT_EQ(all.size(), 5U);
  for (int i = 0; i < 5; ++i) {
    ASSERT_OK(all[static_cast<std::size_t>(i)]);
    EXPECT_EQ(all[static_cast<std::size_t>(i)]->text(), payload_text(p1, i, 100 + i * 1000));
  }
  EXPECT_TRUE(all[3]->shares_slab(*all[4])) << "not copied";
  // Few bytes of much that was read are copied: kept, they must not keep the whole.
  const auto ends = runtime.run(a->appender().read_run({places[0], places[4]}));
  ASSERT_EQ(ends.size(), 2U);
  ASSERT_OK(ends[0]);
  ASSERT_OK(ends[1]);
  EXPECT_EQ(ends[0]->text(), payload_text(p1, 0, 100));
  EXPECT_EQ(ends[1]->text(), payload_text(p1, 4, 4100));
  EXPECT_FALSE(ends[0]->shares_slab(*ends[1]));
  // One that is damaged, or said to be, holds no other.
  places[2].crc ^= 1U;
  all = runtime.run(a->appender().read_run(places));
  ASSERT_EQ(all.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(all[i].has_value(), i != 2);
  EXPECT_EQ(all[2].kind(), base::ErrorKind::corrupt);
  a->stop();
}

// --- group commit ---

TEST_F(WalTest, ALoneRecordGoesOutAtOnceAndABusyDeviceGathers) {
  auto a = started(2);
  a->append(p2, 0);
  runtime.advance(std::chrono::seconds(1));  // the second segment is made ahead
  a->sink().durable.clear();
  a->next_number = 1;
  files.hold = true;
  const std::uint64_t before = files.durable_writes;
  a->append(p1, 0);
  runtime.drain();
  EXPECT_EQ(files.durable_writes - before, 1U) << "an idle device writes a lone record at once";
  a->append(p1, 1);
  runtime.drain();
  EXPECT_EQ(files.durable_writes - before, 2U);
  for (int i = 2; i < 50; ++i) {
    a->append(p1, i);
    runtime.drain();
  }
  EXPECT_EQ(files.durable_writes - before, 2U) << "while the device is busy, records gather";
  EXPECT_TRUE(a->sink().durable.empty());
  files.hold = false;
  files.held.pulse();
  runtime.drain();
  EXPECT_EQ(files.durable_writes - before, 3U) << "all that gathered goes out as one write";
  ASSERT_EQ(a->sink().durable.size(), 50U);
  for (std::size_t i = 0; i < 50; ++i) EXPECT_EQ(a->sink().durable[i].token.number, i + 1);
  a->stop();
}

TEST_F(WalTest, ARecordTellsWhenItsGroupWentAndCameBack) {
  auto a = started(2);
  a->append(p2, 0);
  runtime.advance(std::chrono::seconds(1));  // the second segment is made ahead
  a->sink().durable.clear();
  files.hold = true;
  const base::MonoTime begin = runtime.now();
  const auto after = [&](int ms) { return begin + std::chrono::milliseconds(ms); };
  a->append(p1, 0);
  runtime.advance(std::chrono::milliseconds(1));
  a->append(p1, 1);
  runtime.advance(std::chrono::milliseconds(1));
  a->append(p1, 2);  // gathers: the device is busy
  runtime.advance(std::chrono::milliseconds(8));
  files.hold = false;
  files.held.pulse();
  runtime.drain();
  ASSERT_EQ(a->sink().durable.size(), 3U);
  const int submitted[] = {0, 1, 10};
  for (std::size_t i = 0; i < 3; ++i) {
    const GroupTimes& times = a->sink().durable[i].times;
    EXPECT_EQ(times.submitted, after(submitted[i])) << i;
    EXPECT_EQ(times.written, after(10)) << i;
    EXPECT_EQ(times.durable, after(10)) << i;
  }
  a->stop();
}

TEST_F(WalTest, RecordsOfOneTurnShareAGroup) {
  auto a = started(2);
  for (int i = 0; i < 20; ++i) a->append(partition(7, i), 0);
  runtime.drain();
  EXPECT_EQ(a->sink().groups, 1U);
  EXPECT_EQ(a->sink().durable.size(), 20U);
  a->stop();
}

TEST_F(WalTest, LargeAndOddPayloadsKeepTheirBytes) {
  auto a = started(2);
  const std::size_t sizes[] = {1, 7, 4095, 4096, 4097, 40000, 65000, 70000, 150000, a->appender().payload_bytes_max()};
  std::vector<bytes::Buffer> kept;
  for (std::size_t i = 0; i < std::size(sizes); ++i) {
    kept.push_back(a->append(p1, static_cast<std::int64_t>(i), sizes[i]));
    runtime.advance(std::chrono::milliseconds(50));
  }
  ASSERT_EQ(a->sink().durable.size(), std::size(sizes));
  for (std::size_t i = 0; i < std::size(sizes); ++i) {
    const std::string expected = payload_text(p1, static_cast<std::int64_t>(i), sizes[i]);
    EXPECT_EQ(kept[i].text(), expected);
    auto read = runtime.run(a->appender().read(a->sink().places.at(i + 1)));
    ASSERT_OK(read);
    EXPECT_EQ(read->text(), expected);
  }
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  EXPECT_EQ(last_recovered.records.size(), std::size(sizes));
  EXPECT_EQ(last_recovered.groups_torn, 0U);
  b->stop();
}

TEST_F(WalTest, ManyStatementsOutgrowTheGroupAndStillArrive) {
  auto a = started(2);
  for (int i = 0; i < 1500; ++i)
    a->sink().stating.push_back({.partition = partition(9, i), .high_watermark = model::Offset(i + 1)});
  for (int i = 0; i < 600; ++i) a->append(p1, i, 100);
  runtime.drain();
  runtime.advance(std::chrono::seconds(1));
  EXPECT_TRUE(a->sink().stating.empty()) << "what did not fit one group came with the next";
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  EXPECT_EQ(last_recovered.records.size(), 600U);
  EXPECT_EQ(last_recovered.statements.size(), 1500U);
  b->stop();
}

TEST_F(WalTest, AnIdleLaneStatesWhatIsUnstatedOnce) {
  auto a = started(2);
  a->append(p1, 0);
  runtime.drain();
  a->sink().stating.push_back({.partition = p1, .high_watermark = model::Offset(1)});
  const std::uint64_t before = files.durable_writes;
  runtime.advance(std::chrono::seconds(5));
  ASSERT_EQ(a->sink().stated.size(), 1U);
  EXPECT_EQ(files.durable_writes - before, 1U) << "one control group, then silence";
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  ASSERT_EQ(last_recovered.statements.size(), 1U);
  EXPECT_EQ(last_recovered.statements[0].high_watermark, model::Offset(1));
  EXPECT_EQ(b->wal->live_records(identity(2).session), 2U) << "the record and the stated high watermark";
  b->appender().release(std::vector<Place>{last_recovered.records[0].place});
  runtime.drain();
  EXPECT_EQ(b->wal->live_records(identity(2).session), 1U);
  b->appender().uploaded_to(p1, model::Offset(1));
  runtime.drain();
  EXPECT_EQ(b->wal->live_records(identity(2).session), 0U);
  b->stop();
}

TEST_F(WalTest, FlushWritesAGroupEvenWithNothingToStateAndTellsWhen) {
  auto a = started(2);
  EXPECT_EQ(a->wal->last_durable(), base::MonoTime{});
  EXPECT_OK(runtime.run(a->wal->flush_statements()));
  EXPECT_EQ(a->wal->last_durable(), runtime.now());
  EXPECT_TRUE(a->sink().durable.empty());
  a->stop();
}

TEST_F(WalTest, ShardsShareTheLane) {
  runtime::testing::ManualRuntime three(3);
  three.doors.files = &files;
  Broker a(three, identity(2), options());
  ASSERT_OK(a.recover());
  ASSERT_OK(a.start());
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    three.doors.shard(runtime::ShardId(shard)).post([&a, shard] {
      for (int i = 0; i < 10; ++i) a.append(partition(7, static_cast<int>(shard)), i, 3000, 1, 1, shard);
    });
  }
  three.drain();
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(a.sink(shard).durable.size(), 10U) << shard;
    auto read = three.run(a.appender(shard).read(a.sink(shard).durable[9].place), runtime::ShardId(shard));
    ASSERT_OK(read);
    EXPECT_EQ(read->text(), payload_text(partition(7, static_cast<int>(shard)), 9, 3000));
  }
  EXPECT_OK(three.run(a.wal->flush_statements()));
  a.stop();
}

// --- failed writes ---

TEST_F(WalTest, AFailedWriteIsAppendedElsewhereAndItsFileFenced) {
  for (const WriteFate fate : {WriteFate::error_landed, WriteFate::error_lost, WriteFate::error_torn}) {
    files.clear();
    auto a = started(2);
    runtime.advance(std::chrono::seconds(1));  // a second segment is there
    int failures = 1;
    std::string failed_path;
    files.fate = [&](const std::string& path, std::uint64_t offset, std::uint64_t) {
      if (offset == 0 || failures == 0) return path == failed_path && offset != 0 ? WriteFate::error_lost : WriteFate::ok;
      --failures;
      failed_path = path;
      return fate;
    };
    a->append(p1, 0, 9000);
    a->append(p1, 1, 9000);
    runtime.drain();
    runtime.advance(std::chrono::seconds(2));
    ASSERT_EQ(a->sink().durable.size(), 2U);
    EXPECT_TRUE(a->sink().failed.empty());
    a->append(p1, 2, 9000);
    runtime.advance(std::chrono::seconds(2));
    ASSERT_EQ(a->sink().durable.size(), 3U) << "no further write went to the fenced file";
    for (int i = 0; i < 3; ++i) {
      auto read = runtime.run(a->appender().read(a->sink().durable[i].place));
      ASSERT_OK(read);
      EXPECT_EQ(read->text(), payload_text(p1, i, 9000));
    }
    a->stop();
    auto b = started(3, {registration(*a, 2)});
    EXPECT_EQ(last_recovered.records.size(), fate == WriteFate::error_landed ? 5U : 3U) << "both copies are evidence";
    EXPECT_EQ(last_recovered.groups_torn, fate == WriteFate::error_torn ? 1U : 0U);
    b->stop();
  }
}

TEST_F(WalTest, PastAllAttemptsTheRecordsFailAndTheLogGoesOn) {
  auto a = started(2);
  bool sick = true;
  files.fate = [&](const std::string&, std::uint64_t offset, std::uint64_t) {
    return sick && offset != 0 ? WriteFate::error_landed : WriteFate::ok;
  };
  a->append(p1, 0);
  runtime.advance(std::chrono::seconds(30));
  ASSERT_EQ(a->sink().failed, std::vector<std::uint64_t>{1});
  EXPECT_TRUE(a->sink().durable.empty());
  sick = false;
  // Void: the next epoch reuses the offset.
  a->append(p1, 0, 100, 1, 2);
  runtime.advance(std::chrono::seconds(30));
  ASSERT_EQ(a->sink().durable.size(), 1U);
  const std::uint64_t used = a->wal->used_bytes();
  a->appender().release(std::vector<Place>{a->sink().durable[0].place});
  a->appender().uploaded_to(p1, model::Offset(1));
  runtime.advance(std::chrono::seconds(30));
  EXPECT_LT(a->wal->used_bytes(), used) << "fenced files shrink to stubs once nothing of them is needed";
  EXPECT_EQ(runtime.metrics.counter(metric_segments_retired, "").value(), 4U);
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  EXPECT_EQ(runtime.metrics.counter(metric_recovered_stub, "").value(), 4U);
  b->stop();
}

TEST_F(WalTest, AWellDeviceIsWrittenAgainThoughEverySegmentFailed) {
  auto a = started(2);
  bool sick = true;  // for groups; segments can be made
  files.fate = [&](const std::string&, std::uint64_t offset, std::uint64_t size) {
    return sick && offset != 0 && size < segment_bytes / 2 ? WriteFate::error_landed : WriteFate::ok;
  };
  const std::uint64_t segments = options().size_bytes / segment_bytes;
  std::int32_t epoch = 1;
  while (a->registered < segments) {
    a->append(p1, 0, 100, 1, epoch++);  // void again and again: nothing of it is ever uploaded
    runtime.advance(std::chrono::seconds(30));
    ASSERT_LT(epoch, 100);
  }
  sick = false;
  const std::size_t durable = a->sink().durable.size();
  a->append(p1, 0, 100, 1, epoch);
  runtime.advance(std::chrono::seconds(30));
  EXPECT_EQ(a->sink().durable.size(), durable + 1);
  EXPECT_LE(a->wal->used_bytes(), 2 * options().size_bytes);
  a->stop();
}

TEST_F(WalTest, AFullFileSystemOnlyDelays) {
  auto a = started(2);
  bool full = true;
  files.fate = [&](const std::string&, std::uint64_t, std::uint64_t) { return full ? WriteFate::no_space : WriteFate::ok; };
  a->append(p1, 0);
  runtime.advance(std::chrono::seconds(10));
  EXPECT_TRUE(a->sink().durable.empty());
  EXPECT_TRUE(a->sink().failed.empty());
  full = false;
  runtime.advance(std::chrono::seconds(2));
  EXPECT_EQ(a->sink().durable.size(), 1U);
  EXPECT_EQ(runtime.metrics.counter(metric_write_failures, "").value(), 0U);
  a->stop();
}

// --- gate ---

TEST_F(WalTest, NothingPassesAClosedGateThoughItsWriteCompleted) {
  auto a = started(2);
  files.hold = true;
  a->append(p1, 0);
  runtime.drain();
  a->append(p1, 1, 60000);
  a->append(p1, 2, 60000);
  runtime.drain();
  a->wal->seal_self("sealed by a controller");
  files.hold = false;
  files.held.pulse();
  runtime.drain();
  EXPECT_TRUE(a->sink().durable.empty());
  EXPECT_EQ(a->sink().failed.size(), 3U);
  EXPECT_EQ(a->sink().last_error.kind, ErrorKind::fenced);
  EXPECT_FALSE(a->appender().can_append(10));
  EXPECT_FAILS(runtime.run(a->appender().wait_admission(10, runtime::no_deadline)), ErrorKind::fenced);
  EXPECT_FAILS(runtime.run(a->wal->flush_statements()), ErrorKind::fenced);
  a->stop();
}

TEST_F(WalTest, ARegistrationThatSaysFencedClosesTheGate) {
  auto a = started(2);
  a->register_error = base::Error{ErrorKind::fenced, "sess/S is sealed"};
  a->append(p1, 0);
  runtime.advance(std::chrono::seconds(1));
  EXPECT_FALSE(a->appender().can_append(10));
  a->stop();
}

// --- space ---

TEST_F(WalTest, SegmentsRecycleAsRecordsAreReleasedAndFilesStayWithinTheSize) {
  auto a = started(2);
  for (int i = 0; i < 400; ++i) {
    a->append(p1, i, 30000);
    runtime.advance(std::chrono::milliseconds(20));
    ASSERT_EQ(a->sink().durable.size(), static_cast<std::size_t>(i + 1)) << "append " << i << " had no place";
    if (i >= 20) a->appender().release(std::vector<Place>{a->sink().durable[static_cast<std::size_t>(i - 20)].place});
    ASSERT_LE(files.total_bytes(), 8 * segment_bytes + volume_file_bytes);
  }
  EXPECT_LE(a->registered, 8U);
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  EXPECT_GE(last_recovered.records.size(), 20U);
  EXPECT_EQ(last_recovered.groups_torn, 0U) << "older laps are whole groups too";
  b->stop();
}

TEST_F(WalTest, TheFirstSegmentIsLeftForAFilledOneAndItsRestIsFilledBehind) {
  auto a = started(2);
  a->append(p1, 0);
  runtime.drain();
  EXPECT_EQ(a->sink().durable.back().place.segment, 0U) << "a start does not wait for zeros";
  std::set<std::uint64_t> filled;
  files.fate = [&](const std::string& path, std::uint64_t offset, std::uint64_t) {
    if (path.ends_with("seg-00000")) filled.insert(offset);
    return WriteFate::ok;
  };
  runtime.advance(std::chrono::seconds(1));
  a->append(p1, 1);
  runtime.drain();
  EXPECT_EQ(a->sink().durable.back().place.segment, 1U);
  EXPECT_EQ(filled, (std::set<std::uint64_t>{2 * block_bytes})) << "from behind its only group, never over it";
  EXPECT_OK(runtime.run(a->appender().read(a->sink().durable[0].place)));
  a->appender().release(std::vector<Place>{a->sink().durable[0].place, a->sink().durable[1].place});
  std::set<std::uint32_t> used;
  for (int i = 2; i < 60; ++i) {
    a->append(p1, i, 30000);
    runtime.advance(std::chrono::milliseconds(20));
    ASSERT_EQ(a->sink().durable.size(), static_cast<std::size_t>(i + 1));
    used.insert(a->sink().durable.back().place.segment);
    a->appender().release(std::vector<Place>{a->sink().durable.back().place});
  }
  EXPECT_TRUE(used.contains(0U)) << "it comes round again";
  a->stop();
}

TEST_F(WalTest, AFirstSegmentThatCannotBeFilledIsFencedNotTrusted) {
  auto a = started(2);
  a->append(p1, 0);
  files.fate = [&](const std::string& path, std::uint64_t offset, std::uint64_t) {
    return path.ends_with("seg-00000") && offset > block_bytes ? WriteFate::error_lost : WriteFate::ok;
  };
  runtime.advance(std::chrono::seconds(2));
  EXPECT_OK(runtime.run(a->appender().read(a->sink().durable.at(0).place)));  // what is in it stays readable
  a->appender().release(std::vector<Place>{a->sink().durable[0].place});
  runtime.advance(std::chrono::seconds(2));
  EXPECT_EQ(runtime.metrics.counter(metric_segments_retired, "").value(), 1U);
  a->append(p1, 1);
  runtime.drain();
  EXPECT_EQ(a->sink().durable.size(), 2U);
  a->stop();
}

TEST_F(WalTest, AFullWalHoldsAppendsBackInOrderUntilSpaceIsFreed) {
  auto a = started(2);
  int appended = 0;
  while (a->appender().can_append(30000)) {
    a->append(p1, appended++, 30000);
    runtime.advance(std::chrono::milliseconds(50));
    ASSERT_LT(appended, 1000);
  }
  ASSERT_EQ(a->sink().durable.size(), static_cast<std::size_t>(appended)) << "what was admitted had a place";
  EXPECT_GT(appended, 20);
  EXPECT_FAILS(runtime.run(a->appender().wait_admission(30000, runtime.now() + std::chrono::seconds(3))), ErrorKind::exhausted);

  std::vector<int> admitted;
  runtime::Scope scope;
  const auto wait_one = [](Broker* broker, int number, std::vector<int>* order) -> runtime::Task<void> {
    auto ok = co_await broker->appender().wait_admission(30000, runtime::no_deadline);
    EXPECT_OK(ok);
    order->push_back(number);
    broker->append(partition(8), number, 30000);
  };
  runtime.doors.shard(runtime::ShardId(0)).post([&] {
    for (int i = 0; i < 4; ++i) scope.spawn("waiter", wait_one(a.get(), i, &admitted));
  });
  runtime.advance(std::chrono::seconds(5));
  EXPECT_TRUE(admitted.empty());
  std::vector<Place> places;
  for (const DurableRecord& record : a->sink().durable) places.push_back(record.place);
  a->appender().release(places);
  runtime.advance(std::chrono::seconds(1));
  EXPECT_EQ(admitted, (std::vector<int>{0, 1, 2, 3}));
  a->stop();
}

TEST_F(WalTest, AStatedHighWatermarkKeepsItsSegment) {
  auto a = started(2);
  a->sink().stating.push_back({.partition = p2, .high_watermark = model::Offset(9)});
  a->append(p1, 0, 30000);
  runtime.drain();
  ASSERT_EQ(a->sink().stated.size(), 1U);
  const std::uint32_t held = a->sink().durable[0].place.segment;
  for (int i = 1; i < 200; ++i) {
    a->appender().release(std::vector<Place>{a->sink().durable.back().place});
    a->append(p1, i, 30000);
    runtime.advance(std::chrono::milliseconds(20));
    ASSERT_EQ(a->sink().durable.size(), static_cast<std::size_t>(i + 1));
    if (i > 10) EXPECT_NE(a->sink().durable.back().place.segment, held);
  }
  a->stop();
  auto b = started(3, {registration(*a, 2)});
  ASSERT_EQ(last_recovered.statements.size(), 1U) << "nothing wrote over the only evidence of p2's offsets";
  b->stop();
}

TEST_F(WalTest, GroupMemoryIsBoundedAndTheSinkIsAskedToLetGo) {
  Options small = options(64);
  small.group_memory_bytes_max = 256U << 10U;
  auto a = std::make_unique<Broker>(runtime, identity(2), small);
  ASSERT_OK(a->recover());
  ASSERT_OK(a->start());
  std::vector<bytes::Buffer> kept;
  std::int64_t offset = 0;
  while (a->appender().can_append(30000)) {
    kept.push_back(a->append(p1, offset++, 30000));
    runtime.advance(std::chrono::milliseconds(50));
    ASSERT_LT(kept.size(), 100U);
  }
  EXPECT_GE(kept.size(), 6U);
  a->sink().on_wanted = [&] {
    kept.clear();
    return true;
  };
  EXPECT_OK(runtime.run(a->appender().wait_admission(30000, runtime.now() + std::chrono::seconds(1))));
  EXPECT_EQ(a->sink().wanted, 1U);
  a->stop();
}

TEST_F(WalTwoShardsTest, AShardThatLacksMemoryIsGivenWhatAnotherHoldsAboveItsOwnPart) {
  Options small = options(64);
  small.group_memory_bytes_max = 8 * std::uint64_t{small.group_bytes_max};
  auto a = std::make_unique<Broker>(runtime, identity(2), small);
  ASSERT_OK(a->recover());
  ASSERT_OK(a->start());
  const auto fill = [&](std::uint32_t shard, const model::TopicPartition& partition, std::vector<bytes::Buffer>& kept) {
    for (std::int64_t offset = 0; a->appender(shard).can_append(30000); ++offset) {
      kept.push_back(a->append(partition, offset, 30000, 1, 1, shard));
      runtime.advance(std::chrono::milliseconds(50));
      ASSERT_LT(kept.size(), 200U);
    }
  };
  std::vector<bytes::Buffer> kept_by_one;
  std::vector<bytes::Buffer> kept_by_zero;
  fill(1, p2, kept_by_one);
  fill(0, p1, kept_by_zero);
  EXPECT_GT(kept_by_one.size(), kept_by_zero.size()) << "who comes first takes what is nobody's own";
  EXPECT_GT(kept_by_zero.size(), 0U) << "each shard has a part for itself";
  EXPECT_FAILS(runtime.run(a->appender().wait_admission(30000, runtime.now() + std::chrono::milliseconds(100))),
               ErrorKind::exhausted);
  EXPECT_GT(a->sink(0).wanted, 0U);
  EXPECT_GT(a->sink(1).wanted, 0U) << "the other shard is asked too";
  a->sink(1).on_wanted = [&] {
    kept_by_one.clear();
    return true;
  };
  EXPECT_OK(runtime.run(a->appender().wait_admission(30000, runtime.now() + std::chrono::seconds(1))));
  a->stop();
}

TEST_F(WalTest, AnOversizedPayloadIsInvalidNotAWait) {
  auto a = started(2);
  const std::size_t size = a->appender().payload_bytes_max() + 1;
  EXPECT_FALSE(a->appender().can_append(size));
  EXPECT_FAILS(runtime.run(a->appender().wait_admission(size, runtime::no_deadline)), ErrorKind::invalid);
  a->stop();
}

TEST_F(WalTest, NoSpaceForANewSegmentIsAFullWalThatHealsItself) {
  auto a = started(2);
  files.free_bytes = 0;
  int appended = 0;
  while (a->appender().can_append(30000)) {
    a->append(p1, appended++, 30000);
    runtime.advance(std::chrono::seconds(2));
    ASSERT_LT(appended, 1000);
  }
  EXPECT_LT(appended, 20) << "only the segments that were there could be filled";
  files.free_bytes = 1ULL << 40U;
  runtime.advance(std::chrono::seconds(3));
  EXPECT_TRUE(a->appender().can_append(30000));
  a->stop();
}

// --- sessions ---

TEST_F(WalTest, EarlierSessionsShrinkSegmentBySegmentAndGoWhenNothingIsNeeded) {
  auto a = started(2);
  for (int i = 0; i < 20; ++i) {
    a->append(p1, i, 30000);
    runtime.advance(std::chrono::milliseconds(50));
  }
  a->stop();
  const RegisteredWal old = registration(*a, 2);
  auto b = started(3, {old});
  ASSERT_EQ(last_recovered.records.size(), 20U);
  EXPECT_FAILS(runtime.run(b->wal->remove_session(old.session)), ErrorKind::retry);
  const std::uint64_t full = files.total_bytes();
  std::vector<Place> first;
  for (const RecoveredRecord& record : last_recovered.records) {
    if (record.place.segment == 0) first.push_back(record.place);
  }
  b->appender().release(first);
  runtime.advance(std::chrono::seconds(1));
  EXPECT_LT(files.total_bytes(), full) << "a segment of which nothing is needed gives its space back at once";
  std::vector<Place> rest;
  for (const RecoveredRecord& record : last_recovered.records) {
    if (record.place.segment != 0) rest.push_back(record.place);
  }
  b->appender().release(rest);
  runtime.drain();
  ASSERT_OK(runtime.run(b->wal->remove_session(old.session)));
  b->stop();
  // The crash came before the keyspace dropped the session: it counts as empty.
  auto c = started(4, {old, registration(*b, 3)});
  EXPECT_TRUE(last_recovered.records.empty());
  c->stop();
  // Once dropped, its marker goes too.
  auto d = started(5, {registration(*c, 4)});
  for (const std::string& path : files.paths()) EXPECT_EQ(path.find(old.session.to_string()), std::string::npos) << path;
  d->stop();
}

TEST_F(WalTest, ACleanStopThatUploadedEverythingLeavesNothing) {
  auto a = started(2);
  a->append(p1, 0);
  runtime.drain();
  a->appender().release(std::vector<Place>{a->sink().durable[0].place});
  runtime.drain();
  a->stop();
  ASSERT_OK(runtime.run(a->wal->remove_session(identity(2).session)));
  for (const std::string& path : files.paths()) EXPECT_EQ(path.find("seg-"), std::string::npos) << path;
}

TEST_F(WalTest, ManyRestartsWithNothingUploadedKeepEveryRecord) {
  std::vector<RegisteredWal> earlier;
  for (std::uint8_t session = 2; session < 22; ++session) {
    auto broker = started(session, earlier, 64);
    ASSERT_EQ(last_recovered.records.size(), static_cast<std::size_t>(session - 2));
    broker->append(p1, session - 2);
    runtime.advance(std::chrono::milliseconds(100));
    ASSERT_EQ(broker->sink().durable.size(), 1U);
    broker->stop();
    earlier.push_back(registration(*broker, session));
  }
}

}  // namespace
}  // namespace weir::wal::testing
