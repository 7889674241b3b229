// Each rule of the checker, broken once: it must be found, and a correct history must pass.
#include "sim/history.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/records.h"

namespace weir::sim {
namespace {

using model::Offset;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Batch {
  BatchNumber number = 0;
  bytes::Buffer bytes;
};

class HistoryTest : public ::testing::Test {
 protected:
  HistoryTest() { history.add_partition(tp, "t-0", {}); }
  Batch produce(std::int32_t sequence = -1, int records = 2, std::int64_t producer = 7) {
    model::BatchSpec spec;
    if (sequence >= 0) {
      spec.producer_id = model::ProducerId(producer);
      spec.producer_epoch = model::ProducerEpoch(0);
      spec.base_sequence = model::Sequence(sequence);
    }
    const base::WallMs at = history.unique_timestamp(tp, world.wall_ms());
    const std::vector<model::RecordInput> inputs(static_cast<std::size_t>(records),
                                                 {.key = "k", .value = "value", .timestamp = at});
    auto built = model::build_batch(spec, inputs);
    ENSURE(built.has_value(), "build");
    const BatchNumber number = history.produced(tp, *built);
    history.send_began(number);
    return {number, *built};
  }
  static bytes::Buffer at(const Batch& batch, std::int64_t offset, std::int32_t epoch = 1) {
    bytes::SlabRef slab = bytes::SlabRef::allocate(batch.bytes.size());
    std::memcpy(slab.writable().data(), batch.bytes.data(), batch.bytes.size());
    model::patch_base_offset(slab.writable(), Offset(offset));
    model::patch_leader_epoch(slab.writable(), model::LeaderEpoch(epoch));
    return {slab, 0, batch.bytes.size()};
  }
  Offset fetch(std::int64_t from, const std::vector<bytes::Buffer>& batches, std::int64_t high_watermark,
               std::int64_t log_start = 0) {
    std::string all;
    for (const bytes::Buffer& batch : batches) all += batch.text();
    return history.fetched(tp, history.known(tp),
                           {Offset(from), bytes::as_bytes(all), Offset(high_watermark), Offset(-1), Offset(log_start)});
  }
  void expect_violation(const char* text) { EXPECT_THAT(history.violations(), ElementsAre(HasSubstr(text))); }
  World world{1};
  History history{world};
  model::TopicPartition tp{model::TopicId{model::Uuid::from_random(1, 2)}, model::PartitionIndex(0)};
};

TEST_F(HistoryTest, ACorrectRunPasses) {
  const Batch a = produce(0);
  const Batch b = produce(2);
  const Batch c = produce();
  history.acked(a.number, Offset(0));
  history.send_began(b.number);
  history.acked(b.number, Offset(2));
  history.acked(b.number, Offset(2));
  EXPECT_EQ(fetch(0, {at(a, 0), at(b, 2)}, 6).value(), 4);
  EXPECT_EQ(fetch(5, {at(c, 4)}, 6).value(), 6);
  history.finish(tp, Offset(0), Offset(6));
  EXPECT_THAT(history.violations(), IsEmpty());
  EXPECT_EQ(history.acked_batches(), 2U);
}

TEST_F(HistoryTest, AnOffsetAckedTwice) {
  history.acked(produce().number, Offset(0));
  history.acked(produce().number, Offset(0));
  EXPECT_THAT(history.violations(), ::testing::Contains(HasSubstr("offset 0 acked to batch 1 and to batch 2")));
}
TEST_F(HistoryTest, OverlappingAcks) {
  history.acked(produce(-1, 3).number, Offset(0));
  history.acked(produce().number, Offset(2));
  expect_violation("batch 2 acked at [2, 4) but batch 1 was acked at [0, 3)");
}
TEST_F(HistoryTest, ADuplicateAnsweredElsewhere) {
  const Batch a = produce(0);
  history.acked(a.number, Offset(0));
  history.acked(a.number, Offset(2));
  EXPECT_THAT(history.violations(), ::testing::Contains(HasSubstr("acked at 0 and, as a duplicate, at 2")));
}
TEST_F(HistoryTest, AnIdempotentBatchTwice) {
  const Batch a = produce(0);
  fetch(0, {at(a, 0), at(a, 2)}, 4);
  expect_violation("idempotent batch 1 is at offsets 0 and 2");
}
TEST_F(HistoryTest, APlainBatchMoreOftenThanItWasSent) {
  const Batch a = produce();
  history.send_began(a.number);
  fetch(0, {at(a, 0), at(a, 2)}, 4);
  EXPECT_THAT(history.violations(), IsEmpty());
  fetch(4, {at(a, 4)}, 6);
  expect_violation("was sent 2 times and stands there 3 times");
}
TEST_F(HistoryTest, ARefusedBatchThatIsThere) {
  const Batch a = produce();
  history.refused(a.number);
  fetch(0, {at(a, 0)}, 2);
  expect_violation("although each attempt was refused");
}
TEST_F(HistoryTest, ABatchThatIsThereAndThenRefused) {
  const Batch a = produce();
  fetch(0, {at(a, 0)}, 2);
  history.refused(a.number);
  expect_violation("although each attempt was refused");
}
TEST_F(HistoryTest, DamagedBytes) {
  const Batch a = produce();
  std::string changed(at(a, 0).text());
  changed.back() = static_cast<char>(changed.back() + 1);
  fetch(0, {bytes::Buffer::copy_of(changed)}, 2);
  expect_violation("a damaged batch was served");
}
TEST_F(HistoryTest, BytesThatNobodyProduced) {
  auto built = model::build_batch({}, {{.key = "k", .value = "v", .timestamp = 1}});
  ASSERT_TRUE(built.has_value());
  fetch(0, {at({0, *built}, 0)}, 2);
  expect_violation("nobody produced what was served at offset 0");
}
TEST_F(HistoryTest, ARecordChangedUnderAValidChecksum) {
  const Batch a = produce();
  const auto header = model::peek_batch_header(a.bytes.view());
  auto built = model::build_batch({}, {{.key = "k", .value = "value", .timestamp = header->base_timestamp},
                                       {.key = "k", .value = "VALUE", .timestamp = header->base_timestamp}});
  ASSERT_TRUE(built.has_value());
  fetch(0, {at({0, *built}, 0)}, 2);
  expect_violation("is not byte for byte what was produced");
}
TEST_F(HistoryTest, AnotherBatchAtAKnownOffset) {
  const Batch a = produce();
  const Batch b = produce();
  fetch(0, {at(a, 0)}, 4);
  fetch(0, {at(b, 0)}, 4);
  EXPECT_THAT(history.violations(), ::testing::Contains(HasSubstr("offset 0 showed batch 1 of epoch 1, now batch 2")));
}
TEST_F(HistoryTest, AnotherEpochAtAKnownOffset) {
  const Batch a = produce();
  fetch(0, {at(a, 0, 1)}, 4);
  fetch(0, {at(a, 0, 2)}, 4);
  expect_violation("now batch 1 of epoch 2");
}
TEST_F(HistoryTest, AnEpochThatGoesBack) {
  const Batch a = produce();
  const Batch b = produce();
  fetch(0, {at(a, 0, 3), at(b, 2, 2)}, 4);
  expect_violation("the epoch goes back from 3 to 2");
}
TEST_F(HistoryTest, AHoleInAnAnswer) {
  const Batch a = produce();
  const Batch b = produce();
  fetch(0, {at(a, 0), at(b, 3)}, 9);
  expect_violation("after 2 comes the batch [3, 5)");
}
TEST_F(HistoryTest, AnAnswerThatBeginsTooLate) {
  const Batch a = produce();
  fetch(0, {at(a, 2)}, 9);
  expect_violation("after 0 comes the batch [2, 4)");
}
TEST_F(HistoryTest, DataAboveTheHighWatermark) {
  const Batch a = produce();
  fetch(0, {at(a, 0)}, 1);
  expect_violation("served above the high watermark 1");
}
TEST_F(HistoryTest, AHighWatermarkThatGoesBack) {
  fetch(0, {}, 5);
  fetch(0, {}, 4);
  expect_violation("the high watermark went back from 5 to 4");
}
TEST_F(HistoryTest, AHighWatermarkBelowWhatWasAcked) {
  history.acked(produce().number, Offset(0));
  fetch(0, {}, 1);
  expect_violation("below what was acked before the request: 2");
}
TEST_F(HistoryTest, AnOlderRequestMayShowAnOlderWatermark) {
  const auto before = history.known(tp);
  fetch(0, {}, 5);
  history.fetched(tp, before, {Offset(0), {}, Offset(3), Offset(3), Offset(0)});
  EXPECT_THAT(history.violations(), IsEmpty());
}
TEST_F(HistoryTest, ASessionOutOfOrder) {
  const Batch a = produce(0);
  const Batch b = produce(2);
  fetch(0, {at(b, 0), at(a, 2)}, 4);
  expect_violation("stands after its successor");
}
TEST_F(HistoryTest, AGapInASession) {
  produce(0);
  const Batch b = produce(2);
  fetch(0, {at(b, 0)}, 2);
  history.finish(tp, Offset(0), Offset(2));
  expect_violation("sequence 2 is in the log without 0");
}
TEST_F(HistoryTest, AnAckedBatchThatIsGone) {
  const Batch a = produce();
  history.acked(produce().number, Offset(2));
  fetch(0, {at(a, 0)}, 4);
  history.finish(tp, Offset(0), Offset(4));
  EXPECT_THAT(history.violations(),
              ElementsAre(HasSubstr("nothing was read between 2 and 4"), HasSubstr("was acked at offset 2 and is not there")));
}
TEST_F(HistoryTest, OutOfOrderWithEverythingBeforeAcked) {
  const Batch a = produce(0);
  const Batch b = produce(2);
  history.refused_out_of_order(b.number);
  EXPECT_THAT(history.violations(), IsEmpty());
  history.acked(a.number, Offset(0));
  history.send_began(b.number);
  history.refused_out_of_order(b.number);
  expect_violation("refused as out of order although all before it are acked");
}
TEST_F(HistoryTest, OutOfRangeInsideWhatWasConfirmed) {
  fetch(0, {}, 5);
  history.offset_out_of_range(tp, history.known(tp), Offset(6));
  EXPECT_THAT(history.violations(), IsEmpty());
  history.offset_out_of_range(tp, history.known(tp), Offset(4));
  expect_violation("offset 4 is out of range although");
}
TEST_F(HistoryTest, LogStartThatRisesWithoutRetentionOrGoesBack) {
  fetch(3, {}, 5, 3);
  expect_violation("log start rose to 3 although nothing expires");
  fetch(3, {}, 5, 2);
  EXPECT_THAT(history.violations(), ::testing::Contains(HasSubstr("log start went back from 3 to 2")));
}
TEST_F(HistoryTest, LatestBelowWhatWasConfirmed) {
  fetch(0, {}, 5);
  history.listed_latest(tp, history.known(tp), Offset(4));
  expect_violation("latest is 4, below what was confirmed before: 5");
}
TEST_F(HistoryTest, ACalledDuplicateThatWasSentOnce) {
  history.acked_as_old_duplicate(produce(0).number);
  expect_violation("although it was sent once");
}
TEST_F(HistoryTest, RetentionBeforeItsTime) {
  const model::TopicPartition other{tp.topic, model::PartitionIndex(1)};
  history.add_partition(other, "t-1", {.retention_ms = 24 * 3'600'000});
  const base::WallMs now = history.unique_timestamp(other, world.wall_ms());
  auto built = model::build_batch({}, {{.key = "k", .value = "v", .timestamp = now}});
  ASSERT_TRUE(built.has_value());
  const Batch batch{history.produced(other, *built), *built};
  history.send_began(batch.number);
  const bytes::Buffer placed = at(batch, 0);
  history.fetched(other, history.known(other), {Offset(0), placed.view(), Offset(1), Offset(1), Offset(0)});
  history.listed_earliest(other, history.known(other), Offset(1));
  expect_violation("batch at offset 0 was dropped before its time");
}

}  // namespace
}  // namespace weir::sim
