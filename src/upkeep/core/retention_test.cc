#include "upkeep/core/retention.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace weir::upkeep {
namespace {

constexpr base::WallMs now_ms = 1'000'000;

RetainedExtent extent(std::int64_t end, std::uint64_t bytes, base::WallMs timestamp) {
  return {.end_offset = model::Offset(end), .payload_bytes = bytes, .max_timestamp = timestamp, .created_ms = now_ms - 10};
}

model::TopicConfig config(std::int64_t retention_ms, std::int64_t retention_bytes) {
  model::TopicConfig config;
  config.retention_ms = retention_ms;
  config.retention_bytes = retention_bytes;
  return config;
}

std::int64_t point(const std::vector<RetainedExtent>& extents, const model::TopicConfig& with, std::uint64_t tail_bytes = 0) {
  const auto found = retention_point(extents, tail_bytes, with, now_ms);
  return found ? found->value() : -1;
}

TEST(Retention, ByTime) {
  const std::vector<RetainedExtent> extents = {extent(10, 5, now_ms - 300), extent(20, 5, now_ms - 200),
                                               extent(30, 5, now_ms - 100)};
  EXPECT_EQ(point(extents, config(1000, -1)), -1);
  EXPECT_EQ(point(extents, config(300, -1)), -1) << "exactly as old as allowed stays";
  EXPECT_EQ(point(extents, config(299, -1)), 10);
  EXPECT_EQ(point(extents, config(150, -1)), 20);
  EXPECT_EQ(point(extents, config(0, -1)), 30);
  EXPECT_EQ(point(extents, config(-1, -1)), -1);
  EXPECT_EQ(point({}, config(0, 0)), -1);
}

TEST(Retention, TimeStopsAtTheFirstThatStays) {
  const std::vector<RetainedExtent> extents = {extent(10, 5, now_ms), extent(20, 5, now_ms - 5000)};
  EXPECT_EQ(point(extents, config(1000, -1)), -1) << "a young extent protects what lies behind it";
}

TEST(Retention, WithoutTimestampsTheUploadCounts) {
  EXPECT_EQ(point({extent(10, 5, -1)}, config(9, -1)), 10);
  EXPECT_EQ(point({extent(10, 5, -1)}, config(11, -1)), -1);
}

TEST(Retention, BySize) {
  const std::vector<RetainedExtent> extents = {extent(10, 100, now_ms), extent(20, 100, now_ms), extent(30, 100, now_ms)};
  EXPECT_EQ(point(extents, config(-1, 300)), -1);
  EXPECT_EQ(point(extents, config(-1, 201)), -1) << "without the first one too little would remain";
  EXPECT_EQ(point(extents, config(-1, 200)), 10);
  EXPECT_EQ(point(extents, config(-1, 0)), 30);
  EXPECT_EQ(point(extents, config(-1, 200), 100), 20) << "the tail counts";
  EXPECT_EQ(point(extents, config(-1, std::numeric_limits<std::int64_t>::max())), -1);
}

TEST(Retention, BothTogetherAndCompactedTopics) {
  const std::vector<RetainedExtent> extents = {extent(10, 100, now_ms - 500), extent(20, 100, now_ms), extent(30, 100, now_ms)};
  EXPECT_EQ(point(extents, config(400, 100)), 20);
  model::TopicConfig compacted = config(0, 0);
  compacted.cleanup_delete = false;
  compacted.cleanup_compact = true;
  EXPECT_EQ(point(extents, compacted), -1);
}

TEST(Retention, TheEarlierClockIsTrusted) {
  EXPECT_EQ(trusted_now(100, std::nullopt), 100);
  EXPECT_EQ(trusted_now(100, 50), 50) << "our clock jumped ahead";
  EXPECT_EQ(trusted_now(100, 150), 100);
}

}  // namespace
}  // namespace weir::upkeep
