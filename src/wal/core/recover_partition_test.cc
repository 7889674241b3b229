#include "wal/core/recover_partition.h"

#include <set>

#include <gtest/gtest.h>

namespace weir::wal {
namespace {

using model::LeaderEpoch;
using model::Offset;

HistoryEntry h(std::int32_t epoch, std::int64_t start) { return {.epoch = LeaderEpoch(epoch), .start = Offset(start)}; }

struct Case {
  std::int64_t uploaded = 0;
  std::vector<HistoryEntry> history;
  std::vector<FoundRecord> records;
  std::optional<Offset> witness;
  Case& rec(std::int32_t epoch, std::int64_t base, std::int32_t count, std::uint64_t lsn) {
    records.push_back(
        {.epoch = LeaderEpoch(epoch), .base_offset = Offset(base), .offset_count = count, .lsn = lsn, .index = records.size()});
    return *this;
  }
  [[nodiscard]] PartitionDecision decide() const {
    return recover_partition({.uploaded_to = Offset(uploaded), .history = history, .records = records, .witness = witness});
  }
};

using Indices = std::vector<std::size_t>;

TEST(ValidByHistory, TheEpochInForceAtEveryOffsetOfTheRange) {
  const std::vector<HistoryEntry> history{h(1, 0), h(2, 5), h(4, 5), h(5, 9)};
  const auto valid = [&](int epoch, int base, int count) {
    return valid_by_history(history, LeaderEpoch(epoch), Offset(base), count);
  };
  EXPECT_TRUE(valid(1, 0, 5));
  EXPECT_FALSE(valid(1, 0, 6)) << "reaches into the next epoch";
  EXPECT_FALSE(valid(1, 5, 1)) << "voided from 5";
  EXPECT_FALSE(valid(2, 5, 1)) << "an epoch that a later one with the same start overruled covers nothing";
  EXPECT_TRUE(valid(4, 5, 4));
  EXPECT_FALSE(valid(3, 5, 1)) << "an epoch that history does not know";
  EXPECT_TRUE(valid(5, 100, 1)) << "the last epoch has no end";
  EXPECT_FALSE(valid(5, 9, 0)) << "an empty range is no record";
  EXPECT_FALSE(valid_by_history(std::vector<HistoryEntry>{h(3, 10)}, LeaderEpoch(3), Offset(9), 1)) << "below all history";
  EXPECT_FALSE(valid_by_history({}, LeaderEpoch(0), Offset(0), 1));
}

TEST(RecoverPartition, NothingThereIsUploadedToAndNoQuarantine) {
  const PartitionDecision d = Case{.uploaded = 7, .history = {h(1, 0)}}.decide();
  EXPECT_EQ(d.end, Offset(7));
  EXPECT_FALSE(d.quarantine);
  EXPECT_TRUE(d.tail.empty());
}

TEST(RecoverPartition, TakesTheContiguousRangeInAnyOrderFound) {
  const PartitionDecision d = Case{.history = {h(1, 0)}}.rec(1, 3, 2, 9).rec(1, 0, 1, 4).rec(1, 1, 2, 2).decide();
  EXPECT_EQ(d.end, Offset(5));
  EXPECT_EQ(d.tail, (Indices{1, 2, 0}));
  EXPECT_TRUE(d.dead.empty());
}

TEST(RecoverPartition, AHoleEndsTheLogAndWhatLiesBeyondIsDead) {
  const PartitionDecision d = Case{.history = {h(1, 0)}, .witness = Offset(1)}.rec(1, 0, 1, 1).rec(1, 2, 1, 3).decide();
  EXPECT_EQ(d.end, Offset(1));
  EXPECT_EQ(d.dead, (Indices{1}));
  EXPECT_FALSE(d.quarantine) << "a hole before a later valid group is an ordinary crash";
}

TEST(RecoverPartition, AWitnessAboveTheEndQuarantines) {
  EXPECT_TRUE((Case{.history = {h(1, 0)}, .witness = Offset(2)}.rec(1, 0, 1, 1).rec(1, 2, 1, 3).decide().quarantine));
  EXPECT_FALSE((Case{.history = {h(1, 0)}, .witness = Offset(1)}.rec(1, 0, 1, 1).decide().quarantine));
}

TEST(RecoverPartition, TheStartOfTheEpochInForceIsAWitness) {
  EXPECT_TRUE((Case{.history = {h(1, 0), h(2, 3)}}.rec(1, 0, 1, 1).decide().quarantine));
  EXPECT_FALSE((Case{.uploaded = 3, .history = {h(1, 0), h(2, 3)}}.decide().quarantine));
}

TEST(RecoverPartition, AVoidedRecordIsNeverServedThoughNothingElseIsThere) {
  // Epoch 1 wrote offset 3, was voided from there, and epoch 2's own record rotted.
  const PartitionDecision d = Case{.uploaded = 3, .history = {h(1, 0), h(2, 3)}}.rec(1, 3, 1, 4).decide();
  EXPECT_EQ(d.end, Offset(3));
  EXPECT_EQ(d.dead, (Indices{0}));
}

TEST(RecoverPartition, OfCopiesTheNewestCountsAndTheOthersAreDead) {
  const PartitionDecision d =
      Case{.history = {h(1, 0)}}.rec(1, 0, 2, 3).rec(1, 0, 2, 8).rec(1, 0, 2, 5).rec(1, 2, 1, 4).decide();
  EXPECT_EQ(d.tail, (Indices{1, 3}));
  EXPECT_EQ(d.dead, (Indices{0, 2}));
  EXPECT_EQ(d.end, Offset(3));
}

TEST(RecoverPartition, UploadedRecordsAreDeadAndOneThatReachesAcrossCounts) {
  const PartitionDecision d =
      Case{.uploaded = 4, .history = {h(1, 0)}}.rec(1, 0, 3, 1).rec(1, 3, 3, 2).rec(1, 6, 1, 3).decide();
  EXPECT_EQ(d.tail, (Indices{1, 2}));
  EXPECT_EQ(d.dead, (Indices{0}));
  EXPECT_EQ(d.end, Offset(7));
}

TEST(RecoverPartition, EveryRecordIsInTailOrDeadExactlyOnce) {
  // Every subset of a mixed set of records, every uploaded_to: the decision is total and partitions its input.
  Case all{.history = {h(1, 0), h(2, 2), h(3, 4)}};
  all.rec(1, 0, 1, 1)
      .rec(1, 1, 1, 2)
      .rec(1, 2, 1, 3)
      .rec(2, 2, 2, 4)
      .rec(2, 2, 2, 6)
      .rec(2, 4, 1, 5)
      .rec(3, 4, 1, 7)
      .rec(3, 5, 1, 8);
  for (unsigned subset = 0; subset < 256; ++subset) {
    for (std::int64_t uploaded = 0; uploaded < 7; ++uploaded) {
      Case some{.uploaded = uploaded, .history = all.history};
      for (std::size_t i = 0; i < 8; ++i) {
        if ((subset >> i & 1U) != 0) some.records.push_back(all.records[i]);
      }
      const PartitionDecision d = some.decide();
      std::multiset<std::size_t> seen(d.tail.begin(), d.tail.end());
      seen.insert(d.dead.begin(), d.dead.end());
      ASSERT_EQ(seen.size(), some.records.size());
      for (const FoundRecord& record : some.records) ASSERT_EQ(seen.count(record.index), 1U);
      Offset at(uploaded);
      for (const std::size_t index : d.tail) {
        const FoundRecord& record = all.records[index];
        ASSERT_LE(record.base_offset, at);
        ASSERT_TRUE(valid_by_history(some.history, record.epoch, record.base_offset, record.offset_count));
        at = record.base_offset + record.offset_count;
      }
      ASSERT_EQ(d.end, at);
      ASSERT_EQ(d.quarantine, d.end < Offset(4)) << "the epoch in force starts at 4";
    }
  }
}

}  // namespace
}  // namespace weir::wal
