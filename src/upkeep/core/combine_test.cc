#include "upkeep/core/combine.h"

#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/core/producer_table.h"

namespace weir::upkeep {
namespace {

using model::Offset;
using ::testing::ElementsAre;

object::PartitionEntry entry(std::int64_t base, std::int64_t end) {
  object::PartitionEntry made;
  made.base_offset = Offset(base);
  made.end_offset = Offset(end);
  return made;
}

TEST(Combine, RangesEpochsSpansAndTimes) {
  object::PartitionEntry a = entry(10, 20);
  a.max_timestamp = 100;
  a.epochs = {{.epoch = model::LeaderEpoch(1), .start = Offset(5)}, {.epoch = model::LeaderEpoch(2), .start = Offset(15)}};
  a.aborted = {{.producer_id = model::ProducerId(1), .first = Offset(8), .last = Offset(12)}};
  a.time_index = {{.timestamp = 50, .offset = Offset(10)}, {.timestamp = 100, .offset = Offset(18)}};
  a.last_stable_offset = Offset(17);
  a.first_unstable_offset = Offset(17);
  object::PartitionEntry b = entry(20, 30);
  b.max_timestamp = 90;
  b.epochs = {{.epoch = model::LeaderEpoch(2), .start = Offset(15)}, {.epoch = model::LeaderEpoch(4), .start = Offset(25)}};
  b.aborted = {{.producer_id = model::ProducerId(2), .first = Offset(17), .last = Offset(22)}};
  b.time_index = {{.timestamp = 90, .offset = Offset(20)}};
  b.last_stable_offset = Offset(30);
  const std::vector<CombinePart> parts = {{.entry = &a}, {.entry = &b}};
  const object::PartitionEntry out = combine_entries(parts);
  EXPECT_EQ(out.base_offset, Offset(10));
  EXPECT_EQ(out.end_offset, Offset(30));
  EXPECT_EQ(out.max_timestamp, 100);
  EXPECT_THAT(out.epochs, ElementsAre(a.epochs[0], a.epochs[1], b.epochs[1]));
  EXPECT_THAT(out.aborted, ElementsAre(a.aborted[0], b.aborted[0]));
  EXPECT_THAT(out.time_index, ElementsAre(a.time_index[0], a.time_index[1])) << "the running maximum does not fall";
  EXPECT_EQ(out.last_stable_offset, Offset(30));
  EXPECT_EQ(out.first_unstable_offset, Offset(-1));
}

TEST(Combine, AStatementOpensNoTransaction) {
  object::PartitionEntry a = entry(0, 10);
  a.producers = {{.producer_id = model::ProducerId(1), .open_transaction_start = Offset(5)}};
  object::PartitionEntry b = entry(20, 30);
  const std::vector<CombinePart> readable = {{.entry = &a}, {.entry = &b}};
  EXPECT_EQ(combine_entries(readable).producers.at(0).open_transaction_start, Offset(5));
  const std::vector<CombinePart> statement = {{.entry = &a, .statement = true}, {.entry = &b}};
  EXPECT_EQ(combine_entries(statement).producers.at(0).open_transaction_start, Offset(-1));
}

TEST(Combine, APieceHoldsWhatLiesWithinIt) {
  object::PartitionEntry whole = entry(10, 40);
  whole.epochs = {{.epoch = model::LeaderEpoch(1), .start = Offset(5)},
                  {.epoch = model::LeaderEpoch(2), .start = Offset(15)},
                  {.epoch = model::LeaderEpoch(3), .start = Offset(30)}};
  whole.aborted = {{.producer_id = model::ProducerId(1), .first = Offset(8), .last = Offset(12)},
                   {.producer_id = model::ProducerId(2), .first = Offset(18), .last = Offset(33)}};
  whole.time_index = {{.timestamp = 50, .offset = Offset(10)}, {.timestamp = 100, .offset = Offset(25)}};
  whole.producers = {{.producer_id = model::ProducerId(1)}};
  whole.last_stable_offset = Offset(40);
  const object::PartitionEntry low = cut_entry(whole, Offset(10), Offset(25));
  EXPECT_EQ(low.base_offset, Offset(10));
  EXPECT_EQ(low.end_offset, Offset(25));
  EXPECT_THAT(low.epochs, ElementsAre(whole.epochs[0], whole.epochs[1]));
  EXPECT_THAT(low.aborted, ElementsAre(whole.aborted[0]));
  EXPECT_THAT(low.time_index, ElementsAre(whole.time_index[0]));
  EXPECT_TRUE(low.producers.empty()) << "the last piece states them, once";
  EXPECT_EQ(low.last_stable_offset, Offset(25));
  const object::PartitionEntry high = cut_entry(whole, Offset(25), Offset(40));
  EXPECT_THAT(high.epochs, ElementsAre(whole.epochs[1], whole.epochs[2])) << "and the one in force at its start";
  EXPECT_THAT(high.aborted, ElementsAre(whole.aborted[1]));
  EXPECT_THAT(high.time_index, ElementsAre(whole.time_index[1]));
  EXPECT_EQ(high.producers.size(), 1U);
  const object::PartitionEntry readable = cut_entry(whole, Offset(20), Offset(40));
  EXPECT_THAT(readable.time_index, ElementsAre(whole.time_index[1])) << "what lies below is not in it";
}

// Opening from the merged entry is as opening from its parts.
TEST(Combine, ProducersAreRememberedAsFromTheParts) {
  std::mt19937_64 random(11);
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  for (int round = 0; round < 500; ++round) {
    std::vector<object::PartitionEntry> entries;
    std::int64_t offset = 0;
    for (std::int64_t e = 0; e < 2 + below(4); ++e) {
      object::PartitionEntry made = entry(offset, offset + 40);
      for (std::int64_t id = 0; id < 3; ++id) {
        if (below(3) == 0) continue;
        object::ProducerDelta delta{.producer_id = model::ProducerId(id),
                                    .epoch = model::ProducerEpoch(static_cast<std::int16_t>(below(2) + e / 2))};
        std::int64_t at = offset + id;
        for (std::int64_t b = 0; b < below(6); ++b, at += 4) {
          delta.batches.push_back({.base_offset = Offset(at), .last_offset = Offset(at + 1), .max_timestamp = at});
        }
        delta.open_transaction_start = Offset(below(2) == 0 ? -1 : offset + id);
        delta.coordinator_epoch = static_cast<std::int32_t>(below(4)) - 1;
        made.producers.push_back(std::move(delta));
      }
      entries.push_back(std::move(made));
      offset += 40;
    }
    log::ProducerTable separate;
    std::vector<CombinePart> parts;
    for (const object::PartitionEntry& made : entries) {
      parts.push_back({.entry = &made});
      for (const object::ProducerDelta& delta : made.producers) separate.merge(delta, made.max_timestamp, made.end_offset);
    }
    const object::PartitionEntry out = combine_entries(parts);
    log::ProducerTable together;
    for (const object::ProducerDelta& delta : out.producers) together.merge(delta, out.max_timestamp, out.end_offset);
    ASSERT_EQ(separate.entries().size(), together.entries().size());
    for (const auto& [id, one] : separate.entries()) {
      const log::ProducerEntry& other = together.entries().at(id);
      EXPECT_EQ(one.epoch, other.epoch);
      ASSERT_EQ(one.batch_count, other.batch_count);
      for (std::size_t b = 0; b < one.batch_count; ++b) EXPECT_EQ(one.batches[b], other.batches[b]);
      EXPECT_EQ(one.open_transaction_start, other.open_transaction_start);
      EXPECT_EQ(one.coordinator_epoch, other.coordinator_epoch);
      EXPECT_EQ(other.stated_to, out.end_offset);
    }
  }
}

}  // namespace
}  // namespace weir::upkeep
