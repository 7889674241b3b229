#include "wal/core/segment_book.h"

#include <gtest/gtest.h>

namespace weir::wal {
namespace {

using model::Lsn;
using model::Offset;

model::TopicPartition tp(std::int32_t index) { return {.topic = {}, .partition = model::PartitionIndex(index)}; }
StatedOffset at(std::int32_t index, std::int64_t offset) { return {.partition = tp(index), .offset = Offset(offset)}; }
constexpr std::uint32_t block = 4096;

struct SegmentBookTest : ::testing::Test {
  // Segments of a header and four blocks.
  SegmentBook book{5 * block, block};
  void own(int count) {
    for (int i = 0; i < count; ++i) book.add(true);
  }
  SegmentBook::Spot written(std::uint32_t blocks, std::uint64_t records, std::vector<StatedOffset> statements = {}) {
    const auto spot = book.place(blocks * block, records);
    EXPECT_TRUE(spot.has_value());
    book.completed(spot->segment, Lsn(++lsn), records, statements, {});
    return *spot;
  }
  std::uint64_t lsn = 0;
};

TEST_F(SegmentBookTest, FillsOneAfterTheOtherAndRecyclesRoundRobin) {
  own(3);
  EXPECT_EQ(written(2, 1).position_bytes, block);
  EXPECT_EQ(written(2, 1).position_bytes, 3 * block);
  EXPECT_EQ(written(3, 1).segment, 1U);
  EXPECT_EQ(written(3, 1).segment, 2U) << "a rest that is too small is left";
  EXPECT_FALSE(book.place(3 * block, 1).has_value()) << "all are needed";
  book.release(1, Lsn(3), 1);
  book.release(0, Lsn(1), 2);
  EXPECT_EQ(book.reusable_count(), 2U);
  EXPECT_EQ(written(4, 1).segment, 0U) << "the first free one after the current";
  EXPECT_EQ(written(4, 1).segment, 1U);
}

TEST_F(SegmentBookTest, APlaceIsReusedOnlyAfterItsWriteCompleted) {
  own(1);
  const auto spot = book.place(4 * block, 0);
  ASSERT_TRUE(spot);
  EXPECT_FALSE(book.place(4 * block, 0).has_value()) << "no record is live, but the write is in flight";
  book.completed(spot->segment, Lsn(1), 0, {}, {});
  EXPECT_TRUE(book.place(4 * block, 0).has_value()) << "a lone segment follows itself";
}

TEST_F(SegmentBookTest, TheLastCompletedStatementAboveUploadedHoldsItsSegment) {
  own(3);
  written(4, 0, {at(1, 10)});
  written(4, 0, {at(1, 20)});
  EXPECT_FALSE(book.needed(0)) << "a later group states more";
  EXPECT_TRUE(book.needed(1));
  written(4, 0, {at(1, 15)});
  EXPECT_TRUE(book.needed(1)) << "an older statement that completes later takes nothing over";
  EXPECT_FALSE(book.needed(2));
  book.uploaded_to(tp(1), Offset(19));
  EXPECT_TRUE(book.needed(1));
  book.uploaded_to(tp(1), Offset(20));
  EXPECT_FALSE(book.needed(1));
  written(4, 0, {at(1, 20)});
  EXPECT_EQ(book.reusable_count(), 2U) << "a statement that completes after its offsets were uploaded holds nothing";
}

TEST_F(SegmentBookTest, AFailedWriteFencesAndItsCopyStaysUntilTheRecordIsReleased) {
  own(2);
  const auto first = book.place(block, 3);
  book.failed(first->segment);
  EXPECT_TRUE(book.fenced(0));
  const auto second = book.place(block, 3);
  ASSERT_EQ(second->segment, 1U) << "nothing more goes to a fenced segment";
  const std::vector<SegmentHandle> copies{first->segment};
  book.completed(second->segment, Lsn(2), 3, {}, copies);
  EXPECT_FALSE(book.retirable(0));
  book.release(1, Lsn(2), 1);
  EXPECT_EQ(book.live(0), 2U);
  book.release(1, Lsn(2), 2);
  EXPECT_TRUE(book.retirable(0));
  EXPECT_FALSE(book.reusable(0)) << "a fenced segment is never written again";
  book.retired(0);
  EXPECT_FALSE(book.retirable(0));
}

TEST_F(SegmentBookTest, RecordsGivenUpKeepTheirPlacesUntilMoreIsUploaded) {
  own(2);
  const auto first = book.place(block, 2);
  book.failed(first->segment);
  const auto second = book.place(block, 2);
  book.failed(second->segment);
  const std::vector<SegmentHandle> copies{0, 1};
  const std::vector<StatedOffset> ends{at(1, 5), at(1, 8)};
  book.given_up(copies, ends);
  EXPECT_EQ(book.live(0), 0U);
  EXPECT_TRUE(book.needed(0));
  book.uploaded_to(tp(1), Offset(7));
  EXPECT_TRUE(book.needed(0) && book.needed(1));
  book.uploaded_to(tp(1), Offset(8));
  EXPECT_TRUE(book.retirable(0) && book.retirable(1));
}

TEST_F(SegmentBookTest, EarlierSegmentsAreNeverWrittenAndRetireUnlessDamaged) {
  const SegmentHandle a = book.add(false);
  const SegmentHandle b = book.add(false);
  own(1);
  book.recovered_records(a, 2);
  book.recovered_statement(a, at(1, 4));
  book.keep(b);
  EXPECT_EQ(book.place(block, 0)->segment, 2U);
  book.release(a, Lsn(9), 2);
  EXPECT_FALSE(book.retirable(a)) << "a stated high watermark is not uploaded";
  book.uploaded_to(tp(1), Offset(4));
  EXPECT_TRUE(book.retirable(a));
  EXPECT_FALSE(book.retirable(b)) << "evidence of damage stays until its session goes";
}

TEST_F(SegmentBookTest, AGonePartitionIsForgotten) {
  own(1);
  written(1, 0, {at(1, 4)});
  book.uploaded_to(tp(1), Offset(INT64_MAX));
  EXPECT_EQ(book.holds(0), 0U);
  book.forget(tp(1));
  EXPECT_EQ(book.partition_count(), 0U);
}

TEST_F(SegmentBookTest, ReleasingWhatIsNotLiveStopsTheBroker) {
  own(1);
  written(1, 1);
  book.release(0, Lsn(1), 1);
  EXPECT_DEATH(book.release(0, Lsn(1), 1), "0 live records");
}

}  // namespace
}  // namespace weir::wal
