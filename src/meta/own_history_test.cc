#include "meta/core/own_history.h"

#include <random>

#include <gtest/gtest.h>

#include "meta/testing/meta_fixture.h"

namespace weir::meta::core {
namespace {

using testing::id;

OwnHistoryEntry entry(std::int32_t epoch, std::int64_t start, std::uint64_t session) {
  return {.epoch = model::LeaderEpoch(epoch), .start = model::Offset(start), .session = id<model::SessionId>(session)};
}

OwnRecord open(const OwnRecord& current, std::uint64_t session, std::int64_t start, std::int64_t uploaded_to) {
  auto next = next_epoch(current, id<model::SessionId>(session), model::Offset(start), model::Offset(uploaded_to));
  EXPECT_TRUE(next.has_value());
  return next.value_or(OwnRecord{});
}

TEST(OwnHistory, TheFirstEpochIsOne) {
  const OwnRecord first = open({}, 1, 0, 0);
  EXPECT_EQ(first.history, (std::vector{entry(1, 0, 1)}));
}

TEST(OwnHistory, KeepsWhatHoldsUnuploadedOffsets) {
  OwnRecord record;
  record.history = {entry(1, 0, 1), entry(2, 100, 2), entry(3, 200, 2)};
  EXPECT_EQ(open(record, 3, 300, 0).history,
            (std::vector{entry(1, 0, 1), entry(2, 100, 2), entry(3, 200, 2), entry(4, 300, 3)}));
  EXPECT_EQ(open(record, 3, 300, 99).history.size(), 4U);
  EXPECT_EQ(open(record, 3, 300, 100).history, (std::vector{entry(2, 100, 2), entry(3, 200, 2), entry(4, 300, 3)}));
  EXPECT_EQ(open(record, 3, 300, 300).history, (std::vector{entry(4, 300, 3)}));
}

TEST(OwnHistory, RestartsWithoutAppendsDoNotGrow) {
  OwnRecord record = open({}, 1, 0, 0);
  record = open(record, 2, 500, 0);  // epoch 1 holds 0..499, never uploaded
  for (std::uint64_t restart = 3; restart < 300; ++restart) record = open(record, restart, 500, 0);
  EXPECT_EQ(record.history.size(), 2U);
  EXPECT_EQ(record.epoch().value(), 299);
}

TEST(OwnHistory, StopsAtItsLimitWithTheStoreDown) {
  OwnRecord record;
  for (std::size_t i = 0; i < own_history_max; ++i) record = open(record, i, static_cast<std::int64_t>(i) * 10, 0);
  ASSERT_EQ(record.history.size(), own_history_max);
  auto full = next_epoch(record, id<model::SessionId>(99), model::Offset(1'000), model::Offset(0));
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.kind(), base::ErrorKind::exhausted);
  EXPECT_TRUE(next_epoch(record, id<model::SessionId>(99), model::Offset(1'000), model::Offset(10)).has_value());
}

TEST(OwnHistory, AStartNeverGoesBack) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const OwnRecord record = open({}, 1, 10, 0);
  EXPECT_DEATH(open(record, 2, 9, 0), "an epoch from 9 after one from 10");
}

// Cutting must not change which epoch an un-uploaded offset belongs to: that is what recovery judges records by.
TEST(OwnHistory, CuttingKeepsTheEpochOfEveryUnuploadedOffset) {
  auto epoch_of = [](const std::vector<OwnHistoryEntry>& history, std::int64_t offset) {
    std::int32_t epoch = -1;
    for (const OwnHistoryEntry& one : history) {
      if (one.start.value() <= offset) epoch = one.epoch.value();
    }
    return epoch;
  };
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    OwnRecord record;
    std::vector<OwnHistoryEntry> whole;
    std::int64_t end = 0;
    std::int64_t uploaded = 0;
    for (int step = 0; step < 40; ++step) {
      const std::int64_t start =
          record.start().value() + static_cast<std::int64_t>(random() % 2) * static_cast<std::int64_t>(random() % 6);
      end = start + static_cast<std::int64_t>(random() % 4);
      uploaded = std::min(start, uploaded + static_cast<std::int64_t>(random() % 7));
      record = open(record, static_cast<std::uint64_t>(step), start, uploaded);
      whole.push_back(record.history.back());
      for (std::int64_t offset = uploaded; offset <= end; ++offset) {
        ASSERT_EQ(epoch_of(record.history, offset), epoch_of(whole, offset)) << "seed " << seed << " offset " << offset;
      }
    }
  }
}

}  // namespace
}  // namespace weir::meta::core
