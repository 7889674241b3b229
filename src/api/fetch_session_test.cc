#include "api/fetch_session.h"

#include <gtest/gtest.h>

namespace weir::api {
namespace {

using namespace std::chrono_literals;

FetchPartition partition(const std::string& topic, std::int32_t index, std::int64_t offset = 0) {
  return {.key = {.topic_id = {}, .topic_name = topic, .partition = index}, .fetch_offset = offset, .max_bytes = 100};
}
std::vector<std::int32_t> indices(const FetchSessionCache::Fetch& fetch) {
  std::vector<std::int32_t> result;
  for (const auto& p : fetch.partitions) result.push_back(p.key.partition);
  return result;
}
constexpr base::MonoTime start{1000s};

TEST(FetchSession, OpensContinuesAndLeavesUnchangedPartitionsOut) {
  FetchSessionCache cache({.slots_max = 10});
  auto full = cache.begin(0, 0, false, {partition("a", 0), partition("a", 1), partition("a", 2)}, {}, start, 7);
  ASSERT_NE(full.session_id, 0);
  EXPECT_FALSE(full.incremental);
  EXPECT_EQ(cache.finish(full, {{.high_watermark = 5}, {.high_watermark = 5}, {.high_watermark = 5}}),
            (std::vector<bool>{true, true, true}));

  auto next = cache.begin(full.session_id, 1, false, {partition("a", 1, 42)}, {}, start, 8);
  EXPECT_TRUE(next.incremental);
  EXPECT_EQ(indices(next), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(next.partitions[1].fetch_offset, 42);
  EXPECT_EQ(cache.finish(next, {{.has_records = true, .high_watermark = 6},
                                {.high_watermark = 5},
                                {.high_watermark = 5, .log_start_offset = 3}}),
            (std::vector<bool>{true, false, true}));

  auto rotated = cache.begin(full.session_id, 2, false, {}, {{.topic_id = {}, .topic_name = "a", .partition = 2}}, start, 9);
  EXPECT_EQ(indices(rotated), (std::vector<std::int32_t>{1, 0}))
      << "what returned data goes to the end; the forgotten one is gone";
}

TEST(FetchSession, AnErrorIsToldUntilItIsGoneAndThenOnceMore) {
  FetchSessionCache cache({.slots_max = 10});
  auto fetch = cache.begin(0, 0, false, {partition("a", 0)}, {}, start, 7);
  cache.finish(fetch, {{.has_error = true}});
  for (std::int32_t epoch = 1; epoch < 3; ++epoch) {
    fetch = cache.begin(fetch.session_id, epoch, false, {}, {}, start, 7);
    EXPECT_EQ(cache.finish(fetch, {{.has_error = true}}), std::vector<bool>{true});
  }
  fetch = cache.begin(fetch.session_id, 3, false, {}, {}, start, 7);
  EXPECT_EQ(cache.finish(fetch, {{.high_watermark = 1}}), std::vector<bool>{true});
  fetch = cache.begin(fetch.session_id, 4, false, {}, {}, start, 7);
  EXPECT_EQ(cache.finish(fetch, {{.high_watermark = 1}}), std::vector<bool>{false});
}

TEST(FetchSession, WrongIdEpochAndTopicIdsAreTold) {
  FetchSessionCache cache({.slots_max = 10});
  const auto fetch = cache.begin(0, 0, false, {partition("a", 0)}, {}, start, 7);
  EXPECT_EQ(cache.begin(fetch.session_id + 1, 1, false, {}, {}, start, 7).error, FetchSessionError::id_not_found);
  EXPECT_EQ(cache.begin(fetch.session_id, 2, false, {}, {}, start, 7).error, FetchSessionError::invalid_epoch);
  EXPECT_EQ(cache.begin(fetch.session_id, 1, true, {}, {}, start, 7).error, FetchSessionError::topic_id_mismatch);
  EXPECT_EQ(cache.begin(fetch.session_id, -1, false, {partition("a", 0)}, {}, start, 7).session_id, 0);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(FetchSession, AFullCacheEvictsTheIdleThenTheSmallerOtherwiseServesSessionless) {
  FetchSessionCache cache({.slots_max = 1, .eviction = 120s});
  const auto first = cache.begin(0, 0, false, {partition("a", 0), partition("a", 1)}, {}, start, 1);
  ASSERT_NE(first.session_id, 0);
  EXPECT_EQ(cache.begin(0, 0, false, {partition("b", 0)}, {}, start + 1s, 2).session_id, 0);
  EXPECT_NE(cache.begin(0, 0, false, {partition("b", 0)}, {}, start + 121s, 3).session_id, 0);
  EXPECT_EQ(cache.begin(first.session_id, 1, false, {}, {}, start + 122s, 4).error, FetchSessionError::id_not_found);
}

}  // namespace
}  // namespace weir::api
