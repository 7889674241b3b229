#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "cache/block_cache_impl.h"
#include "cache/metrics_decl.h"
#include "runtime/testing/manual_runtime.h"
#include "store/memory.h"

namespace weir::cache {
namespace {

using base::ErrorKind;
using runtime::Task;

constexpr base::MonoTime far_deadline = base::MonoTime(std::chrono::hours(1000));

// A memory store that counts and delays GETs and can damage or fail what comes back.
class ScriptedStore final : public store::ObjectStore {
 public:
  explicit ScriptedStore(runtime::Reactor& home) : memory(home) {}
  Task<base::Result<void>> put(std::string key, bytes::BufferList body, store::PutOptions options) override {
    return memory.put(std::move(key), std::move(body), options);
  }
  Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                        store::GetOptions options) override {
    gets.push_back({offset_bytes, size_bytes});
    ++inflight;
    inflight_max = std::max(inflight_max, inflight);
    co_await runtime::sleep_for(delay);
    --inflight;
    if (fail_next > 0) {
      --fail_next;
      co_return base::fail(ErrorKind::retry, "the store is down");
    }
    auto result = co_await memory.get(std::move(key), offset_bytes, size_bytes, options);
    if (result && damage_next > 0) {
      --damage_next;
      std::vector<std::byte> copy(result->data(), result->data() + result->size());
      copy.at(damage_at) ^= std::byte{1};
      co_return bytes::Buffer::copy_of(bytes::Bytes(copy));
    }
    if (result && cut_next > 0) {
      --cut_next;
      co_return result->slice(0, result->size() / 2);
    }
    co_return result;
  }
  Task<base::Result<store::ObjectInfo>> head(std::string key, store::GetOptions options) override {
    return memory.head(std::move(key), options);
  }
  Task<base::Result<void>> remove(std::vector<std::string> keys, store::GetOptions options) override {
    return memory.remove(std::move(keys), options);
  }
  Task<base::Result<store::ListPage>> list(std::string prefix, std::string start_after, store::GetOptions options) override {
    return memory.list(std::move(prefix), std::move(start_after), options);
  }
  [[nodiscard]] std::string description() const override { return "scripted"; }
  Task<void> stop() override { return memory.stop(); }

  store::MemoryStore memory;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> gets;
  base::Duration delay = std::chrono::milliseconds(10);
  int fail_next = 0;
  int damage_next = 0;
  std::size_t damage_at = 200;
  int cut_next = 0;
  int inflight = 0;
  int inflight_max = 0;
};

// An object with `count` blocks of one batch each, of block_bytes, stored under `name`.
struct TestObject {
  std::vector<BlockKey> keys;
  std::vector<bytes::Buffer> payloads;
};

class BlockCacheTest : public testing::Test {
 protected:
  BlockCacheTest() : store_(*world_.doors.shards[0]) {}

  TestObject make_object(std::uint8_t seed, int count, std::size_t block_bytes = object::block_payload_bytes_max) {
    object::Identity identity{};
    identity.object.bytes.fill(seed);
    object::Builder builder(identity, {}, model::CommitNumber(1));
    object::PartitionEntry entry;
    entry.base_offset = model::Offset(0);
    entry.end_offset = model::Offset(count);
    std::vector<object::InputBatch> batches;
    TestObject made;
    for (int i = 0; i < count; ++i) {
      bytes::SlabRef slab = bytes::SlabRef::allocate(block_bytes);
      for (std::size_t b = 0; b < block_bytes; ++b)
        slab.writable()[b] = static_cast<std::byte>(b * 31 + seed + static_cast<unsigned>(i) * 7);
      const bytes::Buffer payload(slab, 0, block_bytes);
      made.payloads.push_back(payload);
      batches.push_back({.payload = payload,
                         .payload_crc = bytes::crc32c(payload.view()),
                         .base_offset = model::Offset(i),
                         .end_offset = model::Offset(i + 1),
                         .max_timestamp = 1});
    }
    builder.add_partition(entry, std::move(batches));
    object::Builder::Finished built = std::move(builder).finish();
    const std::string key = "object-" + std::to_string(seed);
    const auto put = world_.run(store_.put(key, built.body, {.crc32c = built.crc32c, .deadline = far_deadline}));
    EXPECT_TRUE(put.has_value());
    for (const object::BlockRef& ref : built.footer.entries[0].blocks) {
      made.keys.push_back({.identity = identity, .object_key = key, .partition = entry.partition, .ref = ref});
    }
    EXPECT_EQ(made.keys.size(), static_cast<std::size_t>(count)) << "one block for each batch";
    return made;
  }
  static std::vector<BlockKey> part(const TestObject& object, std::size_t from, std::size_t to) {
    return {object.keys.begin() + static_cast<std::ptrdiff_t>(from), object.keys.begin() + static_cast<std::ptrdiff_t>(to)};
  }
  auto get(BlockCacheImpl& cache, std::vector<BlockKey> blocks, std::size_t wanted, base::MonoTime deadline = far_deadline) {
    return world_.run(cache.get(std::move(blocks), wanted, deadline));
  }
  void stop(BlockCacheImpl& cache) { world_.run(stopped(cache)); }
  static Task<bool> stopped(BlockCacheImpl& cache) {
    co_await cache.stop();
    co_return true;
  }
  [[nodiscard]] std::uint64_t count(const runtime::MetricDecl& decl) { return world_.metrics.counter(decl, {}).value(); }

  runtime::testing::ManualRuntime world_;
  ScriptedStore store_;
};

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

}  // namespace
}  // namespace weir::cache
