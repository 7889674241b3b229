#include "upkeep/core/merge_plan.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "upkeep/testing/merge_days.h"

namespace weir::upkeep {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

model::ObjectId id(std::uint64_t n) { return model::ObjectId{model::Uuid::from_random(3, n)}; }

// Small numbers, same rules: a job holds 1,000 bytes, objects from 500 on are ripe, a partition is split off at 400.
const MergeLimits small{.fan_in_max = 4,
                        .memory_bytes = 1000,
                        .split_bytes = 400,
                        .split_min_bytes = 50,
                        .split_object_max = 800,
                        .objects_max = 16};

MergeObject object(std::uint64_t n, std::vector<MergeEntry> entries) {
  MergeObject made{.id = id(n), .entries = std::move(entries)};
  for (const MergeEntry& entry : made.entries) made.size_bytes += entry.bytes;
  return made;
}
MergeEntry entry(std::uint32_t partition, std::int64_t end, std::uint64_t bytes) {
  return {.partition = partition, .end = model::Offset(end), .bytes = bytes};
}

TEST(MergePlan, NeighboursOfOneTierAreMergedWhenTheyAreEnough) {
  MergePlanner planner(small);
  for (std::uint64_t n = 1; n <= 3; ++n) planner.add(object(n, {entry(0, static_cast<std::int64_t>(n), 10)}));
  EXPECT_FALSE(planner.next()) << "three of four";
  planner.add(object(4, {entry(0, 4, 10)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::tier);
  EXPECT_THAT(job->inputs, ElementsAre(id(1), id(2), id(3), id(4)));
  EXPECT_EQ(job->bytes, 40U);
  EXPECT_EQ(job->get_count, 4U) << "each whole";
  planner.replaced(job->inputs, object(9, {entry(0, 4, 40)}));
  EXPECT_EQ(planner.object_count(), 1U);
  EXPECT_FALSE(planner.next());
}

TEST(MergePlan, AJobHoldsNoMoreThanItsMemory) {
  MergePlanner planner(small);
  for (std::uint64_t n = 1; n <= 3; ++n)
    planner.add(object(n, {entry(0, static_cast<std::int64_t>(n), 10), entry(1, static_cast<std::int64_t>(n), 390)}));
  const auto job = planner.next();
  ASSERT_TRUE(job) << "1,200 bytes wait";
  EXPECT_THAT(job->inputs, ElementsAre(id(1), id(2)));
  EXPECT_EQ(job->bytes, 800U);
}

TEST(MergePlan, ARipeObjectParts) {
  MergePlanner planner(small);
  planner.add(object(1, {entry(0, 5, 100), entry(1, 5, 500), entry(2, 5, 266)}));
  planner.add(object(2, {entry(0, 7, 10), entry(1, 7, 10), entry(2, 7, 10)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::split);
  EXPECT_THAT(job->inputs, ElementsAre(id(1))) << "the second one is not ripe: its runs will grow";
  ASSERT_THAT(job->parts, SizeIs(1));
  EXPECT_EQ(job->parts[0].partition, 1U);
  EXPECT_EQ(job->parts[0].covers_to, model::Offset(5));
  EXPECT_EQ(job->bytes, 500U);
  planner.covered(1, model::Offset(5));
  EXPECT_THAT(planner.take_dead(), IsEmpty());
  EXPECT_FALSE(planner.next()) << "what is left of it is not enough for anything";
  planner.covered(0, model::Offset(5));
  planner.covered(2, model::Offset(6));
  EXPECT_THAT(planner.take_dead(), ElementsAre(id(1)));
  EXPECT_EQ(planner.live_bytes(), 30U);
}

TEST(MergePlan, WhatAPartitionHasLeftIsLeftByTheOthersSoon) {
  MergePlanner planner(small);
  planner.add(object(1, {entry(0, 5, 700), entry(1, 5, 267), entry(2, 5, 266)}));
  planner.add(object(2, {entry(0, 7, 10), entry(1, 7, 10), entry(2, 7, 100)}));
  auto job = planner.next();
  ASSERT_TRUE(job);
  ASSERT_THAT(job->parts, SizeIs(1)) << "nothing has left the object yet";
  EXPECT_EQ(job->parts[0].partition, 0U);
  planner.covered(0, model::Offset(5));
  job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::split);
  ASSERT_THAT(job->parts, SizeIs(1)) << "two thirds of a split, and not less";
  EXPECT_EQ(job->parts[0].partition, 1U);
  planner.covered(1, model::Offset(5));
  EXPECT_FALSE(planner.next());
}

// A run found it: half of an object was left, and did not fit into one job beside the next one's rest. Nothing was merged behind them
// until there were too many objects.
TEST(MergePlan, WhatDoesNotFitTogetherHoldsUpNobody) {
  MergePlanner planner(small);
  MergeObject left = object(1, {entry(0, 5, 150), entry(1, 5, 150)});
  left.size_bytes = 900;
  planner.add(left);
  left = object(2, {entry(2, 5, 200), entry(3, 5, 190)});
  left.size_bytes = 780;  // it would be read whole, and so would the next one
  planner.add(left);
  left = object(3, {entry(0, 6, 100), entry(1, 6, 100), entry(4, 6, 130)});
  left.size_bytes = 660;
  planner.add(left);
  for (std::uint64_t n = 4; n <= 7; ++n) planner.add(object(n, {entry(5, static_cast<std::int64_t>(n), 100)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::tier);
  EXPECT_THAT(job->inputs, ElementsAre(id(4), id(5), id(6), id(7)));
}

TEST(MergePlan, RestsOfRipeObjectsAreNotWrittenAgainWithUploads) {
  MergePlanner planner(small);
  const auto rest = [](std::uint64_t n) {
    MergeObject left = object(n, {entry(0, static_cast<std::int64_t>(n), 40)});
    left.size_bytes = 900;
    return left;
  };
  for (std::uint64_t n = 1; n <= 2; ++n) planner.add(rest(n));
  for (std::uint64_t n = 3; n <= 6; ++n) planner.add(object(n, {entry(0, static_cast<std::int64_t>(n), 100)}));
  auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::tier);
  EXPECT_THAT(job->inputs, ElementsAre(id(3), id(4), id(5), id(6)));

  MergePlanner rests(small);
  for (std::uint64_t n = 1; n <= 4; ++n) rests.add(rest(n));
  job = rests.next();
  ASSERT_TRUE(job) << "with one another, once they are enough";
  EXPECT_THAT(job->inputs, ElementsAre(id(1), id(2), id(3), id(4)));
}

// Each plan is made anew from what the log says: what was split off an object before does not make it a young one.
TEST(MergePlan, WhatTiersHaveFinishedWithStaysRipe) {
  MergePlanner planner(small);
  MergeObject left = object(1, {entry(2, 5, 450)});
  left.size_bytes = 900;
  planner.add(left);
  const auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::split);
  EXPECT_EQ(job->parts.at(0).covers_to, model::Offset(5));
}

TEST(MergePlan, APartitionLargerThanAJobGoesInParts) {
  MergePlanner planner(small);
  planner.add(object(1, {entry(0, 5, 900)}));
  planner.add(object(2, {entry(0, 9, 800)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  ASSERT_THAT(job->parts, SizeIs(1));
  EXPECT_EQ(job->parts[0].covers_to, model::Offset(5));
  planner.covered(0, model::Offset(5));
  const auto second = planner.next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->parts.at(0).covers_to, model::Offset(9));
}

TEST(MergePlan, PartitionsSideBySideAreReadByOneCall) {
  MergeLimits limits = small;
  limits.memory_bytes = 8U << 20U;
  limits.split_bytes = 1U << 20U;
  MergePlanner planner(limits);
  const std::uint64_t mib = 1U << 20U;
  // 0 and 1 adjoin; 2 is too small to be split off and lies as a small gap before 3; 4 is a large gap before 5 (which is not taken).
  planner.add(object(1, {entry(0, 5, mib), entry(1, 5, mib), entry(2, 5, mib / 2), entry(3, 5, mib)}));
  planner.add(object(2, {entry(0, 6, 1), entry(1, 6, 1), entry(2, 6, 2 * mib), entry(3, 6, 1), entry(4, 6, 6 * mib)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  ASSERT_EQ(job->kind, MergeJob::Kind::split);
  EXPECT_THAT(job->parts, SizeIs(4));
  EXPECT_EQ(job->get_count, 2U) << "one each";
}

TEST(MergePlan, UnderPressureLittleIsSplitOff) {
  MergePlanner planner(small);
  for (std::uint64_t n = 1; n <= 13; ++n) {
    std::vector<MergeEntry> entries;
    for (std::uint32_t p = 0; p < 30; ++p) entries.push_back(entry(p, static_cast<std::int64_t>(n), n % 2 == 0 ? 20 : 1));
    planner.add(object(n, std::move(entries)));
  }
  EXPECT_TRUE(planner.under_pressure());
  const auto job = planner.next();
  ASSERT_TRUE(job);
  EXPECT_EQ(job->kind, MergeJob::Kind::split);
  EXPECT_GE(job->parts.size(), 5U);
  EXPECT_LE(job->bytes, 1000U);
}

TEST(MergePlan, WhatStaysHoldsUpItsPartitionOnly) {
  MergeLimits limits = small;
  limits.memory_bytes = 1000;
  limits.split_bytes = 400;
  MergePlanner planner(limits);
  const auto staying = [](std::uint32_t partition, std::int64_t end, std::uint64_t bytes) {
    MergeEntry stays = entry(partition, end, bytes);
    stays.stays = true;
    return stays;
  };
  planner.add(object(1, {entry(0, 5, 300), entry(1, 5, 300)}));
  planner.add(object(2, {staying(0, 9, 300), entry(1, 9, 300)}));
  planner.add(object(3, {entry(0, 12, 500)}));
  const auto job = planner.next();
  ASSERT_TRUE(job);
  ASSERT_EQ(job->kind, MergeJob::Kind::split);
  ASSERT_THAT(job->parts, SizeIs(1)) << "of partition 0 only 300 bytes can go, whatever lies behind what stays";
  EXPECT_EQ(job->parts[0].partition, 1U);
  EXPECT_EQ(job->parts[0].covers_to, model::Offset(9));
}

TEST(MergePlan, NothingIsTakenFromOrAcrossARefusedObject) {
  MergeLimits limits = small;
  limits.memory_bytes = 1000;
  limits.split_bytes = 400;
  limits.fan_in_max = 2;
  MergePlanner planner(limits);
  planner.add(object(1, {entry(0, 5, 500)}));
  MergeObject damaged = object(2, {entry(0, 9, 500)});
  damaged.refused = true;
  planner.add(damaged);
  planner.add(object(3, {entry(0, 12, 500)}));
  auto job = planner.next();
  ASSERT_TRUE(job);
  ASSERT_EQ(job->kind, MergeJob::Kind::split);
  EXPECT_EQ(job->parts[0].covers_to, model::Offset(5));
  EXPECT_THAT(job->inputs, SizeIs(1));
  planner.covered(0, model::Offset(5));
  EXPECT_THAT(planner.take_dead(), SizeIs(1));
  EXPECT_FALSE(planner.next()) << "the rest waits behind it";
}

TEST(MergePlan, WithoutSplitsOnlyTiers) {
  MergeLimits limits = small;
  limits.splits = false;
  MergePlanner planner(limits);
  planner.add(object(1, {entry(0, 5, 900)}));
  EXPECT_FALSE(planner.next());
}

// The demand: everything counted, at most 60 store calls per GB.
TEST(MergePlan, CallsOfAVirtualDay) {
  testing::MergeLoad many{.broker_count = 45, .bytes_per_second = 22'000'000, .partition_count = 22};
  testing::MergeLoad few{
      .broker_count = 3, .bytes_per_second = 333'000'000, .partition_count = 333, .upload_bytes = 128ULL << 20U};
  few.limits.memory_bytes = 2ULL << 30U;
  few.hours = 2;  // bench/merge_plan runs the whole day
  for (const testing::MergeLoad& load : {many, few}) {
    const testing::MergeDays days = testing::run_merge_days(load);
    EXPECT_EQ(days.lost_bytes, 0U);
    EXPECT_LE(days.calls_per_gb(), 60.0);
    EXPECT_LE(days.rewritten(), 2.1);
    EXPECT_GE(days.rewritten(), 1.5);
    EXPECT_LE(days.objects_max, load.limits.objects_max);
    EXPECT_LE(days.job_bytes_max, load.limits.memory_bytes);
  }
}

// No load is even: batches are whole, and uploads cut between them.
TEST(MergePlan, AnUnevenLoadCostsHardlyMore) {
  testing::MergeLoad even{.bytes_per_second = 50'000'000, .partition_count = 22, .upload_bytes = 4ULL << 20U, .hours = 1};
  even.limits.memory_bytes = 48ULL << 20U;
  even.limits.split_bytes = 16ULL << 20U;
  even.limits.split_object_max = 32ULL << 20U;
  testing::MergeLoad wide{
      .broker_count = 3, .bytes_per_second = 333'000'000, .partition_count = 333, .upload_bytes = 128ULL << 20U, .hours = 2};
  wide.limits.memory_bytes = 2ULL << 30U;
  for (testing::MergeLoad load : {even, wide}) {
    const double calls = testing::run_merge_days(load).calls_per_gb();
    for (const std::uint32_t percent : {5U, 20U, 40U}) {
      load.uneven_percent = percent;
      const testing::MergeDays days = testing::run_merge_days(load);
      EXPECT_LE(days.calls_per_gb(), calls * 1.05) << percent << " %";
      EXPECT_LE(days.rewritten(), 2.1) << percent << " %";
      EXPECT_LE(days.objects_max, 64U) << percent << " %";
      EXPECT_EQ(days.lost_bytes, 0U);
    }
  }
}

// What bench/merges holds a real run against: as many bytes as that run had, in uploads of exactly their size.
TEST(MergePlan, ADayEndsAfterItsBytes) {
  testing::MergeLoad load{
      .bytes_per_second = 100'000'000, .partition_count = 22, .upload_bytes = 4ULL << 20U, .bytes_max = 2'000'000'000};
  load.limits.memory_bytes = 48ULL << 20U;
  load.limits.split_bytes = 16ULL << 20U;
  load.limits.split_object_max = 32ULL << 20U;
  const testing::MergeDays days = testing::run_merge_days(load);
  EXPECT_EQ(days.upload_puts, 477U) << "2 GB in uploads of 4 MiB";
  EXPECT_GE(days.produced_bytes, load.bytes_max - days.upload_puts * load.partition_count) << "shares are whole bytes";
  EXPECT_GE(days.deletes, 1U) << "garbage of the last minute";
  EXPECT_EQ(days.lost_bytes, 0U);
}

TEST(MergePlan, ManyOddLoadsStayWithinTheirBounds) {
  for (const std::uint32_t partitions : {1U, 50U, 2000U}) {
    for (const std::uint64_t rate : {1'000ULL, 300'000ULL, 30'000'000ULL}) {
      for (const bool skewed : {false, true}) {
        testing::MergeLoad load{.bytes_per_second = rate, .partition_count = partitions, .skewed = skewed, .hours = 2};
        load.limits.memory_bytes = 256ULL << 20U;
        load.limits.split_bytes = 128ULL << 20U;
        const testing::MergeDays days = testing::run_merge_days(load);
        EXPECT_EQ(days.lost_bytes, 0U);
        EXPECT_LE(days.objects_max, load.limits.objects_max) << partitions << " partitions at " << rate;
        EXPECT_LE(days.job_bytes_max, load.limits.memory_bytes);
        EXPECT_LE(days.rewritten(), 6.0) << partitions << " partitions at " << rate;
      }
    }
  }
}

}  // namespace
}  // namespace weir::upkeep
