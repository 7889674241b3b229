#include <gtest/gtest.h>

#include "cache/testing/cache_fixture.h"

namespace weir::cache {
namespace {

using base::ErrorKind;
using runtime::Task;
using testing::far_deadline;
using testing::TestObject;

using BlockCacheTest = testing::CacheTest;

constexpr std::uint64_t mib = 1U << 20U;

TEST_F(BlockCacheTest, LoadsVerifiesAndKeeps) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 3);
  auto first = get(cache, part(object, 0, 2), 2);
  ASSERT_TRUE(first.has_value()) << first.error().text;
  EXPECT_EQ((*first)[0].text(), object.payloads[0].text());
  EXPECT_EQ((*first)[1].text(), object.payloads[1].text());
  EXPECT_EQ(store_.gets.size(), 1U) << "adjacent blocks come with one GET";
  auto again = get(cache, part(object, 0, 2), 2);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ((*again)[1].text(), object.payloads[1].text());
  EXPECT_EQ(store_.gets.size(), 1U);
  EXPECT_EQ(count(metric_hits), 2U);
  EXPECT_EQ(cache.used_bytes(), 2 * mib);
  stop(cache);
}

Task<bool> two_readers(BlockCacheImpl& cache, std::vector<BlockKey> blocks) {
  runtime::Scope scope;
  int done = 0;
  struct Reader {
    static Task<void> read(BlockCacheImpl* c, std::vector<BlockKey> b, int* d) {
      const std::size_t wanted = b.size();
      const auto result = co_await c->get(std::move(b), wanted, far_deadline);
      if (result) ++*d;
    }
  };
  for (int i = 0; i < 8; ++i) scope.spawn("reader", Reader::read(&cache, blocks, &done));
  co_await scope.join();
  co_return done == 8;
}

TEST_F(BlockCacheTest, ConcurrentReadersShareOneLoad) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 2);
  EXPECT_TRUE(world_.run(two_readers(cache, object.keys)));
  EXPECT_EQ(store_.gets.size(), 1U);
  EXPECT_EQ(count(metric_misses), 2U);
  EXPECT_EQ(count(metric_joined), 14U);
  stop(cache);
}

struct FirstOfMany {
  BlockCacheImpl* cache;
  std::uint64_t used_bytes = 0;

  static Task<void> whole_range(FirstOfMany* self, std::vector<BlockKey> blocks) {
    const std::size_t wanted = blocks.size();
    EXPECT_TRUE((co_await self->cache->get(std::move(blocks), wanted, far_deadline)).has_value());
  }
  static Task<void> first_block(FirstOfMany* self, std::vector<BlockKey> blocks) {
    EXPECT_TRUE((co_await self->cache->get(std::move(blocks), 1, far_deadline)).has_value());
    self->used_bytes = self->cache->used_bytes();
  }
  static Task<bool> run(FirstOfMany* self, std::vector<BlockKey> blocks) {
    runtime::Scope scope;
    scope.spawn("all", whole_range(self, blocks));
    scope.spawn("first", first_block(self, {blocks.front()}));
    co_await scope.join();
    co_return true;
  }
};

// A range of many blocks is summed and copied in steps: whoever waits for the first of them, or for anything else, goes on in between.
TEST_F(BlockCacheTest, ALongRangeIsCheckedInSteps) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 8);
  FirstOfMany test{.cache = &cache};
  EXPECT_TRUE(world_.run(FirstOfMany::run(&test, object.keys)));
  EXPECT_EQ(store_.gets.size(), 2U);  // 8 MiB and the blocks' headers: the first GET has seven of them
  EXPECT_GE(test.used_bytes, 1 * mib);
  EXPECT_LE(test.used_bytes, 3 * mib) << "the first reader went on when nearly all blocks were checked";
  stop(cache);
}

TEST_F(BlockCacheTest, RangesAreCutAtTheCoalesceLimit) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib, .coalesce_bytes_max = 3 * mib + 300});
  const TestObject object = make_object(1, 8);
  ASSERT_TRUE(get(cache, object.keys, 8).has_value());
  ASSERT_EQ(store_.gets.size(), 3U);
  for (const auto& [offset, size] : store_.gets) EXPECT_LE(size, 3 * mib + 300);
  stop(cache);
}

TEST_F(BlockCacheTest, ReadAheadRidesOnTheSameGetAndIsNotWaitedFor) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib, .coalesce_bytes_max = 8 * mib});
  const TestObject object = make_object(1, 20);
  ASSERT_TRUE(get(cache, object.keys, 1).has_value());
  ASSERT_EQ(store_.gets.size(), 1U);
  EXPECT_GT(store_.gets[0].second, 6 * mib);
  world_.advance(std::chrono::milliseconds(20));  // what came with it is checked in steps
  // The reader moves on block by block: everything is there, and the next large GET starts before it runs dry.
  std::size_t waits = 0;
  for (std::size_t at = 1; at < 20; ++at) {
    const std::uint64_t misses = count(metric_misses) + count(metric_joined);
    ASSERT_TRUE(get(cache, part(object, at, 20), 1).has_value());
    waits += count(metric_misses) + count(metric_joined) - misses;
    world_.advance(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(waits, 0U);
  EXPECT_LE(store_.gets.size(), 6U) << "20 MiB in few GETs";
  stop(cache);
}

TEST_F(BlockCacheTest, ScanDoesNotEvictTheHotBlocks) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 32 * mib, .coalesce_bytes_max = 4 * mib});
  const TestObject hot = make_object(1, 8);
  const TestObject scan = make_object(2, 100);
  for (std::size_t round = 0; round < 12; ++round) {
    ASSERT_TRUE(get(cache, hot.keys, 8).has_value());
    ASSERT_TRUE(get(cache, part(scan, round * 4, round * 4 + 4), 4).has_value());
  }
  for (std::size_t at = 48; at < 100; ++at) ASSERT_TRUE(get(cache, part(scan, at, 100), 1).has_value());
  const std::uint64_t loads = count(metric_misses);
  ASSERT_TRUE(get(cache, hot.keys, 8).has_value());
  EXPECT_EQ(count(metric_misses), loads) << "a backlog scan evicted what is read all the time";
  EXPECT_LE(cache.used_bytes(), 32 * mib);
  stop(cache);
}

TEST_F(BlockCacheTest, DamageInTransitIsReadAgainDamageAtRestIsReported) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 3);
  store_.damage_next = 1;
  auto once = get(cache, part(object, 0, 1), 1);
  ASSERT_TRUE(once.has_value()) << once.error().text;
  EXPECT_EQ((*once)[0].text(), object.payloads[0].text());
  EXPECT_EQ(count(metric_reread), 1U);
  store_.cut_next = 1;
  ASSERT_TRUE(get(cache, part(object, 1, 2), 1).has_value());
  EXPECT_EQ(count(metric_reread), 2U);

  ASSERT_TRUE(store_.memory.flip_bit(object.keys[2].object_key, object.keys[2].ref.position + 500, 3));
  const auto rotten = get(cache, part(object, 2, 3), 1);
  ASSERT_FALSE(rotten.has_value());
  EXPECT_EQ(rotten.kind(), ErrorKind::corrupt);
  EXPECT_EQ(count(metric_corrupt), 1U);
  EXPECT_EQ(cache.used_bytes(), 2 * mib) << "nothing unverified may be kept";
  stop(cache);
}

TEST_F(BlockCacheTest, ARottenNeighbourDoesNotSpoilTheRange) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 3);
  ASSERT_TRUE(store_.memory.flip_bit(object.keys[1].object_key, object.keys[1].ref.position + 500, 3));
  EXPECT_FALSE(get(cache, object.keys, 3).has_value());
  world_.advance(std::chrono::seconds(1));
  EXPECT_TRUE(get(cache, part(object, 0, 1), 1).has_value());
  EXPECT_TRUE(get(cache, part(object, 2, 3), 1).has_value());
  EXPECT_FALSE(get(cache, part(object, 1, 2), 1).has_value());
  stop(cache);
}

TEST_F(BlockCacheTest, AHitNeverCrossesObjects) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject one = make_object(1, 1);
  const TestObject two = make_object(2, 1);
  ASSERT_EQ(one.keys[0].ref.position, two.keys[0].ref.position);
  ASSERT_TRUE(get(cache, one.keys, 1).has_value());
  const auto other = get(cache, two.keys, 1);
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ((*other)[0].text(), two.payloads[0].text());
  BlockKey wrong = one.keys[0];
  wrong.ref.payload_crc ^= 1U;
  const auto refused = get(cache, {wrong}, 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.kind(), ErrorKind::corrupt);
  wrong = one.keys[0];
  wrong.partition.partition = model::PartitionIndex(9);
  EXPECT_FALSE(get(cache, {wrong}, 1).has_value());
  stop(cache);
}

TEST_F(BlockCacheTest, StoreFailuresPassThroughAndHeal) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 1);
  store_.fail_next = 1;
  const auto failed = get(cache, object.keys, 1);
  ASSERT_FALSE(failed.has_value());
  EXPECT_EQ(failed.kind(), ErrorKind::retry);
  EXPECT_TRUE(get(cache, object.keys, 1).has_value());
  BlockKey gone = object.keys[0];
  gone.object_key = "no-such-object";
  gone.identity.object.bytes.fill(9);
  const auto missing = get(cache, {gone}, 1);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.kind(), ErrorKind::not_found);
  stop(cache);
}

TEST_F(BlockCacheTest, AReaderThatGivesUpDoesNotEndTheLoad) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 1);
  store_.delay = std::chrono::seconds(2);
  const auto late = get(cache, object.keys, 1, world_.now() + std::chrono::seconds(1));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.kind(), ErrorKind::retry);
  world_.advance(std::chrono::seconds(2));
  store_.fail_next = 1;
  EXPECT_TRUE(get(cache, object.keys, 1).has_value()) << "it arrived after all";
  EXPECT_EQ(store_.gets.size(), 1U);
  stop(cache);
}

Task<bool> many_objects(BlockCacheImpl& cache, std::vector<TestObject> objects) {
  runtime::Scope scope;
  std::size_t done = 0;
  struct Reader {
    static Task<void> read(BlockCacheImpl* c, std::vector<BlockKey> b, std::size_t* d) {
      const std::size_t wanted = b.size();
      const auto result = co_await c->get(std::move(b), wanted, far_deadline);
      if (result) ++*d;
    }
  };
  for (const TestObject& object : objects) scope.spawn("reader", Reader::read(&cache, object.keys, &done));
  co_await scope.join();
  co_return done == objects.size();
}

TEST_F(BlockCacheTest, LoadsInFlightAreBounded) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 8 * mib, .loads_inflight_max = 16});
  std::vector<TestObject> objects;
  for (std::uint8_t i = 0; i < 20; ++i) objects.push_back(make_object(i, 1));
  EXPECT_TRUE(world_.run(many_objects(cache, objects)));
  EXPECT_LE(store_.inflight_max, 4) << "half of the capacity may be in flight beside it";
  EXPECT_GE(store_.inflight_max, 3);
  EXPECT_LE(cache.used_bytes(), 8 * mib);
  stop(cache);

  BlockCacheImpl narrow(world_.doors, store_, {.capacity_bytes = 64 * mib, .loads_inflight_max = 2});
  store_.inflight_max = 0;
  EXPECT_TRUE(world_.run(many_objects(narrow, objects)));
  EXPECT_EQ(store_.inflight_max, 2);
  stop(narrow);
}

TEST_F(BlockCacheTest, WastedReadAheadShrinksAndUsedReadAheadGrows) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 32 * mib, .coalesce_bytes_max = 4 * mib});
  std::vector<TestObject> objects;
  for (std::uint8_t i = 0; i < 16; ++i) objects.push_back(make_object(i, 8));
  const std::uint64_t full = cache.readahead_bytes();
  for (const TestObject& object : objects) ASSERT_TRUE(get(cache, object.keys, 1).has_value());
  EXPECT_LT(cache.readahead_bytes(), full) << "nobody read the blocks behind the first ones";
  const TestObject steady = make_object(100, 40);
  for (std::size_t at = 0; at < 40; ++at) {
    ASSERT_TRUE(get(cache, part(steady, at, 40), 1).has_value());
    world_.advance(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(cache.readahead_bytes(), full);
  stop(cache);
}

TEST_F(BlockCacheTest, StopJoinsWhatIsInFlight) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
  const TestObject object = make_object(1, 20);
  ASSERT_TRUE(get(cache, object.keys, 1).has_value());
  ASSERT_TRUE(get(cache, part(object, 7, 20), 1).has_value());
  stop(cache);
  EXPECT_EQ(store_.inflight, 0);
  const auto after = get(cache, object.keys, 1);
  ASSERT_FALSE(after.has_value());
  EXPECT_EQ(after.kind(), ErrorKind::cancelled);
}

TEST_F(BlockCacheTest, AScanOfTenTimesTheCacheLeavesTheHotSet) {
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 16 * mib, .coalesce_bytes_max = 2 * mib});
  const TestObject hot = make_object(1, 6);
  const TestObject scan = make_object(2, 160);
  const auto hits_of_hot = [&] {
    const std::uint64_t before = count(metric_hits);
    EXPECT_TRUE(get(cache, hot.keys, 6).has_value());
    return count(metric_hits) - before;
  };
  std::uint64_t hits = 0;
  std::uint64_t asked = 0;
  for (std::size_t at = 0; at < 160; ++at) {
    // As a consumer takes it: read-ahead behind each block, and each block in several small fetches.
    for (int fetch = 0; fetch < 3; ++fetch)
      ASSERT_TRUE(get(cache, part(scan, at, std::min<std::size_t>(at + 8, 160)), 1).has_value());
    world_.advance(std::chrono::milliseconds(20));
    if (at % 4 != 0) continue;
    hits += hits_of_hot();
    asked += 6;
  }
  EXPECT_GE(hits * 100, asked * 80) << hits << " of " << asked;
  EXPECT_LE(cache.used_bytes(), 16 * mib);
  stop(cache);
}

// Three groups one behind the other: what the first one loads the others find, or find under way.
TEST_F(BlockCacheTest, ReadersOneBehindTheOtherShareTheirLoads) {
  const TestObject object = make_object(1, 96);
  const auto bytes_of = [&](std::vector<std::size_t> starts) {
    BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib});
    const std::uint64_t before = count(metric_load_bytes);
    for (std::size_t step = 0; step < 96 + 12; ++step) {
      for (const std::size_t start : starts) {
        if (step < start || step - start >= 96) continue;
        const std::size_t at = step - start;
        EXPECT_TRUE(get(cache, part(object, at, std::min<std::size_t>(at + 8, 96)), 1).has_value());
      }
      world_.advance(std::chrono::milliseconds(5));
    }
    stop(cache);
    return count(metric_load_bytes) - before;
  };
  const std::uint64_t one = bytes_of({0});
  EXPECT_GE(one, 96 * mib);
  EXPECT_LE(one, 97 * mib) << "read-ahead loads nothing twice";
  EXPECT_LE(bytes_of({0, 3, 9}) * 10, one * 13);
  EXPECT_LE(bytes_of({0, 0, 1}) * 10, one * 13) << "what is on its way is shared";
}

TEST_F(BlockCacheTest, CatchUpIsNoFasterThanItsBandwidth) {
  Pace pace(8 * mib);
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib, .pace = &pace});
  const TestObject object = make_object(1, 40);
  const base::MonoTime began = world_.now();
  for (std::size_t at = 0; at < 40; ++at) ASSERT_TRUE(get(cache, part(object, at, 40), 1).has_value());
  const double seconds = std::chrono::duration<double>(world_.now() - began).count();
  EXPECT_GE(seconds, 4.5) << "40 MiB at 8 MiB/s";
  EXPECT_LE(seconds, 6.0);
  EXPECT_GT(count(metric_paced), 0U);
  for (const auto& [offset, size] : store_.gets) EXPECT_LE(size, 2 * mib + 200) << "long waits are many short ones";
  // What is in memory costs nothing.
  const base::MonoTime then = world_.now();
  ASSERT_TRUE(get(cache, part(object, 20, 30), 10).has_value());
  EXPECT_EQ(world_.now(), then);
  stop(cache);
}

TEST_F(BlockCacheTest, AReaderIsToldWhenItsTurnCannotComeInTime) {
  Pace pace(mib);
  (void)pace.reserve(world_.now(), 100 * mib, base::MonoTime::max());
  BlockCacheImpl cache(world_.doors, store_, {.capacity_bytes = 64 * mib, .pace = &pace});
  const TestObject object = make_object(1, 1);
  const auto late = get(cache, object.keys, 1, world_.now() + std::chrono::seconds(5));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.kind(), ErrorKind::retry);
  EXPECT_TRUE(store_.gets.empty());
  world_.advance(std::chrono::seconds(100));
  EXPECT_TRUE(get(cache, object.keys, 1).has_value());
  stop(cache);
}

}  // namespace
}  // namespace weir::cache
