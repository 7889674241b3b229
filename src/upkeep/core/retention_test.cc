#include "upkeep/core/retention.h"

#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace weir::upkeep {
namespace {

constexpr base::WallMs now_ms = 1'000'000;
constexpr std::int64_t any = std::numeric_limits<std::int64_t>::max();

// One block that ends at `end`.
RetentionPiece block(std::int64_t end, std::uint64_t bytes, base::WallMs timestamp) {
  return {.extent = {
              .end_offset = model::Offset(end), .payload_bytes = bytes, .max_timestamp = timestamp, .created_ms = now_ms - 10}};
}
RetentionPiece object(std::int64_t end, std::uint64_t bytes, base::WallMs timestamp) {
  RetentionPiece piece = block(end, bytes, timestamp);
  piece.grain = Grain::object;
  return piece;
}

struct Limits {
  std::int64_t retention_ms = -1;
  std::int64_t retention_bytes = -1;
  std::int64_t segment_bytes = 1;
  std::int64_t segment_ms = any;
};

model::TopicConfig config(const Limits& limits) {
  model::TopicConfig config;
  config.retention_ms = limits.retention_ms;
  config.retention_bytes = limits.retention_bytes;
  config.segment_bytes = limits.segment_bytes;
  config.segment_ms = limits.segment_ms;
  return config;
}

std::int64_t point(const std::vector<RetentionPiece>& pieces, const Limits& limits, std::uint64_t tail_bytes = 0) {
  const RetentionLook look = look_at_retention(pieces, model::Offset(0), tail_bytes, config(limits), now_ms);
  EXPECT_FALSE(look.expand.has_value());
  return look.point ? look.point->value() : -1;
}

// Segments of one block each.
TEST(Retention, ByTime) {
  const std::vector<RetentionPiece> pieces = {block(10, 5, now_ms - 300), block(20, 5, now_ms - 200),
                                              block(30, 5, now_ms - 100)};
  EXPECT_EQ(point(pieces, {.retention_ms = 1000}), -1);
  EXPECT_EQ(point(pieces, {.retention_ms = 300}), -1) << "exactly as old as allowed stays";
  EXPECT_EQ(point(pieces, {.retention_ms = 299}), 10);
  EXPECT_EQ(point(pieces, {.retention_ms = 150}), 20);
  EXPECT_EQ(point(pieces, {.retention_ms = 0}), 30);
  EXPECT_EQ(point(pieces, {}), -1);
  EXPECT_EQ(point({}, {.retention_ms = 0, .retention_bytes = 0}), -1);
}

TEST(Retention, TimeStopsAtTheFirstThatStays) {
  const std::vector<RetentionPiece> pieces = {block(10, 5, now_ms), block(20, 5, now_ms - 5000)};
  EXPECT_EQ(point(pieces, {.retention_ms = 1000}), -1) << "a young segment protects what lies behind it";
}

TEST(Retention, WithoutTimestampsTheUploadCounts) {
  EXPECT_EQ(point({block(10, 5, -1)}, {.retention_ms = 9}), 10);
  EXPECT_EQ(point({block(10, 5, -1)}, {.retention_ms = 11}), -1);
}

TEST(Retention, BySize) {
  const std::vector<RetentionPiece> pieces = {block(10, 100, now_ms), block(20, 100, now_ms), block(30, 100, now_ms)};
  EXPECT_EQ(point(pieces, {.retention_bytes = 300}), -1);
  EXPECT_EQ(point(pieces, {.retention_bytes = 201}), -1) << "without the first one too little would remain";
  EXPECT_EQ(point(pieces, {.retention_bytes = 200}), 10);
  EXPECT_EQ(point(pieces, {.retention_bytes = 0}), 30);
  EXPECT_EQ(point(pieces, {.retention_bytes = 200}, 100), 20) << "the tail counts";
  EXPECT_EQ(point(pieces, {.retention_bytes = any}), -1);
}

TEST(Retention, BothTogetherAndCompactedTopics) {
  const std::vector<RetentionPiece> pieces = {block(10, 100, now_ms - 500), block(20, 100, now_ms), block(30, 100, now_ms)};
  EXPECT_EQ(point(pieces, {.retention_ms = 400, .retention_bytes = 100}), 20);
  model::TopicConfig compacted = config({.retention_ms = 0, .retention_bytes = 0});
  compacted.cleanup_delete = false;
  compacted.cleanup_compact = true;
  EXPECT_EQ(look_at_retention(pieces, model::Offset(0), 0, compacted, now_ms).point, std::nullopt);
}

// Five blocks of 100 bytes, 100 ms apart, all but the last one old: what segments of some size let go of it.
TEST(Retention, SegmentsGoWhole) {
  std::vector<RetentionPiece> pieces;
  for (int i = 0; i < 5; ++i) pieces.push_back(block((i + 1) * 10, 100, now_ms - 500 + i * 100));
  struct Case {
    Limits limits;
    std::int64_t point;
    std::string why;
  };
  const std::vector<Case> cases = {
      {{.retention_ms = 150, .segment_bytes = 100}, 40, "each block is a segment"},
      {{.retention_ms = 150, .segment_bytes = 199}, 40, "two do not fit"},
      {{.retention_ms = 150, .segment_bytes = 200}, 40, "2 + 2 + 1"},
      {{.retention_ms = 150, .segment_bytes = 300}, 30, "3 + 2, and the last record of the second is young"},
      {{.retention_ms = 150, .segment_bytes = 400}, 40, "4 + 1"},
      {{.retention_ms = 150, .segment_bytes = 500}, -1, "one segment, not old as a whole"},
      {{.retention_ms = 99, .segment_bytes = 500}, 50, "old as a whole: one that is written to goes too"},
      {{.retention_ms = 150, .segment_bytes = 1 << 30, .segment_ms = 99}, 40, "each block is a segment by time"},
      {{.retention_ms = 150, .segment_bytes = 1 << 30, .segment_ms = 100}, 40, "exactly as much newer as allowed: 2 + 2 + 1"},
      {{.retention_ms = 150, .segment_bytes = 1 << 30, .segment_ms = 200}, 30, "3 + 2 by time"},
      {{.retention_ms = 150, .segment_bytes = 1 << 30, .segment_ms = 400}, -1, "one segment by time"},
      {{.retention_bytes = 250, .segment_bytes = 100}, 20, "300 stay"},
      {{.retention_bytes = 250, .segment_bytes = 200}, 20, "300 stay"},
      {{.retention_bytes = 250, .segment_bytes = 300}, -1, "only 200 would stay"},
      {{.retention_bytes = 200, .segment_bytes = 300}, 30, "200 stay"},
      {{.retention_bytes = 1, .segment_bytes = 500}, -1, "nothing would stay of one segment"},
      {{.retention_bytes = 0, .segment_bytes = 500}, 50, "nothing is to stay"},
      {{.retention_bytes = 250, .segment_bytes = 500, .segment_ms = 100}, 20, "2 + 2 + 1 by time, dropped by size"},
  };
  for (const Case& c : cases) EXPECT_EQ(point(pieces, c.limits), c.point) << c.why;
}

// As Kafka: what is kept lies between retention.bytes and retention.bytes + segment.bytes.
TEST(Retention, AQuarterGibToKeepInSegmentsOfOneGib) {
  constexpr std::uint64_t mib = 1U << 20U;
  std::vector<RetentionPiece> pieces;
  const Limits limits{.retention_bytes = 256 * mib, .segment_bytes = 1024 * mib};
  for (int i = 0; i < 19; ++i) pieces.push_back(block(i + 1, 64 * mib, now_ms));
  EXPECT_EQ(point(pieces, limits), -1) << "1,216 MiB stay";
  EXPECT_EQ(point(pieces, limits, 64 * mib), 16) << "1,280 MiB: the first segment goes";
}

TEST(Retention, TheTailBelongsToTheLastSegment) {
  const std::vector<RetentionPiece> pieces = {block(10, 100, now_ms), block(20, 100, now_ms)};
  EXPECT_EQ(point(pieces, {.retention_bytes = 150, .segment_bytes = 300}, 100), -1) << "one segment with the tail";
  EXPECT_EQ(point(pieces, {.retention_bytes = 150, .segment_bytes = 300}, 249), -1);
  EXPECT_EQ(point(pieces, {.retention_bytes = 150, .segment_bytes = 300}, 250), 20)
      << "150 are behind it: it goes as far as is known";
  EXPECT_EQ(point(pieces, {.retention_bytes = 0, .segment_bytes = 300}, 100), 20);
  std::vector<RetentionPiece> old = pieces;
  for (RetentionPiece& piece : old) piece.extent.max_timestamp = now_ms - 100;
  EXPECT_EQ(point(old, {.retention_ms = 50, .segment_bytes = 300}, 100), 20) << "a new one would begin with the tail";
}

TEST(Retention, RecordsOutOfOrder) {
  const std::vector<RetentionPiece> pieces = {block(10, 1, now_ms - 100), block(20, 1, now_ms - 900),
                                              block(30, 1, now_ms - 90)};
  EXPECT_EQ(point(pieces, {.retention_ms = 80, .segment_bytes = 100, .segment_ms = 50}), 30) << "older ones end no segment";
  EXPECT_EQ(point(pieces, {.retention_ms = 95, .segment_bytes = 100, .segment_ms = 50}), -1) << "the newest record counts";
  const std::vector<RetentionPiece> far = {block(10, 1, now_ms), block(20, 1, any)};
  EXPECT_EQ(point(far, {.retention_ms = -1, .retention_bytes = 1, .segment_bytes = 100, .segment_ms = 1}), 10);
}

// Only what may go in part is made finer, and nothing before it.
TEST(Retention, NamesThePieceThatMustBeKnownFiner) {
  const auto look = [](const std::vector<RetentionPiece>& some, const Limits& limits) {
    return look_at_retention(some, model::Offset(0), 0, config(limits), now_ms);
  };
  const std::vector<RetentionPiece> pieces = {object(10, 100, now_ms - 500), object(20, 100, now_ms - 300),
                                              object(30, 100, now_ms)};
  RetentionLook found = look(pieces, {.retention_ms = 400, .segment_bytes = 100});
  EXPECT_EQ(found.point, model::Offset(10));
  EXPECT_EQ(found.expand, 1U) << "its first blocks may be old";
  found = look(pieces, {.retention_ms = 200, .segment_bytes = 200});
  EXPECT_EQ(found.point, model::Offset(20)) << "a segment of two objects, both whole";
  EXPECT_EQ(found.expand, 2U);
  found = look(pieces, {.retention_bytes = 300, .segment_bytes = 100});
  EXPECT_EQ(found.expand, std::nullopt) << "there is not too much";
  found = look(pieces, {.retention_bytes = 250, .segment_bytes = 100});
  EXPECT_EQ(found.expand, 0U);
  EXPECT_EQ(found.point, std::nullopt);
  EXPECT_FALSE(found.first.has_value()) << "nobody knows yet where the first segment ends";
}

TEST(Retention, TheFirstSegmentIsRemembered) {
  const std::vector<RetentionPiece> pieces = {block(10, 100, now_ms - 500), block(20, 100, now_ms - 400),
                                              block(30, 100, now_ms - 300)};
  const Limits limits{.retention_ms = 450, .retention_bytes = 150, .segment_bytes = 200};
  const RetentionLook found = look_at_retention(pieces, model::Offset(0), 0, config(limits), now_ms);
  EXPECT_EQ(found.point, std::nullopt);
  ASSERT_TRUE(found.first.has_value());
  EXPECT_EQ(found.first->newest, now_ms - 400);
  EXPECT_EQ(found.first->payload_bytes, 200U);
  // While it stays, not even a leaf is opened.
  std::vector<RetentionPiece> leaf = {object(30, 300, now_ms - 300)};
  leaf[0].grain = Grain::leaf;
  const auto again = [&](model::Offset log_start, const Limits& with, base::WallMs at_ms, std::uint64_t tail_bytes = 0) {
    return look_at_retention(leaf, log_start, tail_bytes, config(with), at_ms, found.first).expand;
  };
  EXPECT_EQ(again(model::Offset(0), limits, now_ms), std::nullopt);
  EXPECT_EQ(again(model::Offset(0), limits, now_ms + 51), 0U) << "it is old now";
  EXPECT_EQ(again(model::Offset(0), limits, now_ms, 50), 0U) << "it is too much now";
  EXPECT_EQ(again(model::Offset(1), limits, now_ms), 0U) << "the log begins elsewhere";
  Limits other = limits;
  other.segment_bytes = 100;
  EXPECT_EQ(again(model::Offset(0), other, now_ms), 0U) << "segments are smaller now";
  other = limits;
  other.segment_ms = 1;
  EXPECT_EQ(again(model::Offset(0), other, now_ms), 0U);
}

TEST(Retention, TheEarlierClockIsTrusted) {
  EXPECT_EQ(trusted_now(100, std::nullopt), 100);
  EXPECT_EQ(trusted_now(100, 50), 50) << "our clock jumped ahead";
  EXPECT_EQ(trusted_now(100, 150), 100);
}

}  // namespace
}  // namespace weir::upkeep
