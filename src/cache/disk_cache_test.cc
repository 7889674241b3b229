// The disk cache below the block cache: what it keeps, and that nothing that happens to its disk is seen by a reader.
#include "cache/disk_cache.h"

#include <random>

#include <gtest/gtest.h>

#include "cache/testing/cache_fixture.h"
#include "cache/testing/memory_disk.h"

namespace weir::cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::far_deadline;
using testing::MemoryDisk;
using testing::TestObject;

constexpr std::uint64_t mib = 1U << 20U;

class DiskCacheTest : public testing::CacheTest {
 protected:
  DiskCacheTest() { world_.doors.files = &disk_; }
  [[nodiscard]] static Options options(std::uint64_t disk_bytes = 64 * mib, std::uint32_t slab_bytes = 4 * mib) {
    return {.capacity_bytes = 8 * mib, .disk = {.directory = "/cache", .size_bytes = disk_bytes, .slab_bytes = slab_bytes}};
  }
  std::unique_ptr<BlockCacheImpl> make(const Options& how = options()) {
    std::unique_ptr<BlockCacheImpl> cache;
    // On its shard: it begins work at once.
    world_.doors.shards[0]->post([&] { cache = std::make_unique<BlockCacheImpl>(world_.doors, store_, how); });
    world_.drain();
    world_.advance(seconds(1));
    return cache;
  }
  /// Every block, one after the other as a consumer would; the disk has time to write what leaves memory.
  void read_all(BlockCacheImpl& cache, const TestObject& object) {
    for (std::size_t at = 0; at < object.keys.size(); ++at) {
      read_one(cache, object, at);
      world_.advance(milliseconds(20));
    }
  }
  void read_one(BlockCacheImpl& cache, const TestObject& object, std::size_t at) {
    const auto got = get(cache, part(object, at, at + 1), 1);
    ASSERT_TRUE(got.has_value()) << got.error().text;
    ASSERT_TRUE((*got)[0].text() == object.payloads[at].text()) << "block " << at;
  }
  std::uint64_t loaded_by(BlockCacheImpl& cache, const TestObject& object) {
    const std::uint64_t before = count(metric_load_bytes);
    read_all(cache, object);
    return count(metric_load_bytes) - before;
  }
  [[nodiscard]] std::vector<std::string> slabs() const {
    std::vector<std::string> out;
    for (const auto& [path, node] : disk_.nodes) {
      if (path.starts_with("/cache/slab-")) out.push_back(path);
    }
    return out;
  }
  [[nodiscard]] std::size_t lines_with(std::string_view text) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(world_.log.lines, [&](const std::string& line) { return line.find(text) != std::string::npos; }));
  }

  MemoryDisk disk_;
};

TEST_F(DiskCacheTest, WhatLeftMemoryIsReadFromTheDisk) {
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  EXPECT_GE(loaded_by(*cache, object), 24 * mib);
  EXPECT_EQ(loaded_by(*cache, object), 0U);
  EXPECT_GE(count(metric_disk_hits), 16U);
  EXPECT_GE(count(metric_disk_written_blocks), 16U);
  stop(*cache);
}

TEST_F(DiskCacheTest, ARestartKeepsIt) {
  const TestObject object = make_object(1, 24);
  auto cache = make();
  read_all(*cache, object);
  read_all(*cache, object);
  const std::size_t held = cache->disk()->block_count();
  EXPECT_GE(held, 16U);
  stop(*cache);
  cache = make();
  EXPECT_EQ(cache->disk()->block_count(), held);
  EXPECT_LE(loaded_by(*cache, object), (24 - held) * (mib + 4096));
  stop(*cache);
}

TEST_F(DiskCacheTest, AnotherClusterFindsNothing) {
  const TestObject object = make_object(1, 24);
  auto cache = make();
  read_all(*cache, object);
  stop(*cache);
  Options other = options();
  other.disk.cluster.bytes.fill(7);
  cache = make(other);
  EXPECT_EQ(cache->disk()->block_count(), 0U);
  stop(*cache);
}

TEST_F(DiskCacheTest, FilesStayWithinTheSizeAndOldBlocksGiveWay) {
  const auto cache = make(options(24 * mib));
  for (std::uint8_t i = 0; i < 4; ++i) {
    const TestObject object = make_object(i, 24);
    read_all(*cache, object);
    EXPECT_LE(disk_.used_bytes(), 24 * mib);
    EXPECT_LE(cache->disk()->block_count(), 24U);
  }
  EXPECT_GT(count(metric_disk_recycled), 6U);
  EXPECT_EQ(count(metric_disk_damaged), 0U);
  stop(*cache);
}

TEST_F(DiskCacheTest, ASmallerSizeGivesTheRestBack) {
  const TestObject object = make_object(1, 40);
  auto cache = make();
  read_all(*cache, object);
  EXPECT_GT(disk_.used_bytes(), 16 * mib);
  stop(*cache);
  cache = make(options(12 * mib));
  EXPECT_LE(disk_.used_bytes(), 12 * mib);
  stop(*cache);
  cache = make(options(12 * mib, 2 * mib));  // slabs of another size: made anew
  EXPECT_EQ(cache->disk()->block_count(), 0U);
  read_all(*cache, object);
  EXPECT_GT(cache->disk()->block_count(), 0U);
  stop(*cache);
}

// What is read again and again is written again before its slab goes.
TEST_F(DiskCacheTest, ABlockThatIsUsedOutlivesItsSlab) {
  const auto cache = make(options(32 * mib));
  const TestObject hot = make_object(1, 2);
  std::uint64_t loaded = 0;
  for (std::uint8_t i = 10; i < 24; ++i) {
    const std::uint64_t before = count(metric_load_bytes);
    read_all(*cache, hot);
    loaded += count(metric_load_bytes) - before;
    read_all(*cache, make_object(i, 12));
  }
  EXPECT_GT(count(metric_disk_recycled), 8U);
  EXPECT_LE(loaded, 4 * (mib + 4096)) << "168 MiB went by";
  stop(*cache);
}

TEST_F(DiskCacheTest, EveryDamagedBlockIsFoundDroppedAndFetchedAgain) {
  const TestObject object = make_object(1, 24);
  const auto cache = make();
  read_all(*cache, object);
  read_all(*cache, object);
  for (const std::string& path : slabs()) {
    auto& content = disk_.nodes[path]->content;
    for (std::size_t at = slab::blocks_begin(4 * mib) + 70; at < content.size(); at += mib / 2) content[at] ^= std::byte{4};
  }
  read_all(*cache, object);
  EXPECT_GE(count(metric_disk_damaged), 14U);
  EXPECT_GE(lines_with("is damaged"), 14U);
  EXPECT_TRUE(cache->disk()->in_use());
  read_all(*cache, object);
  const std::uint64_t damaged = count(metric_disk_damaged);
  EXPECT_EQ(loaded_by(*cache, object), 0U) << "it has healed";
  EXPECT_EQ(count(metric_disk_damaged), damaged);
  stop(*cache);
}

TEST_F(DiskCacheTest, DamagedHeadersAndIndexPagesAreMissesAndNoMore) {
  const TestObject object = make_object(1, 24);
  for (const std::size_t at : {std::size_t{20}, std::size_t{slab::page_bytes + 100}}) {
    auto cache = make();
    read_all(*cache, object);
    stop(*cache);
    for (const std::string& path : slabs()) disk_.nodes[path]->content[at] ^= std::byte{1};
    cache = make();
    EXPECT_EQ(cache->disk()->block_count(), 0U);
    EXPECT_TRUE(cache->disk()->in_use());
    read_all(*cache, object);
    EXPECT_EQ(loaded_by(*cache, object), 0U);
    stop(*cache);
  }
}

TEST_F(DiskCacheTest, ADiskWithLittleRoomIsUsedAsFarAsItGoes) {
  disk_.capacity_bytes = 14 * mib;
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  EXPECT_LE(disk_.used_bytes(), 14 * mib - 4 * mib) << "room is left to others";
  EXPECT_GT(disk_.used_bytes(), 0U);
  EXPECT_GT(count(metric_disk_full), 0U);
  EXPECT_EQ(lines_with("is full"), 1U);
  EXPECT_TRUE(cache->disk()->in_use());
  read_all(*cache, object);
  disk_.capacity_bytes = 200 * mib;
  world_.advance(seconds(61));
  read_all(*cache, object);
  EXPECT_GT(disk_.used_bytes(), 14 * mib) << "with room again it grows";
  stop(*cache);
}

TEST_F(DiskCacheTest, WithoutAnyRoomItStandsAsideAndComesBack) {
  disk_.capacity_bytes = 6 * mib;
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  read_all(*cache, object);
  EXPECT_EQ(disk_.used_bytes(), 0U);
  EXPECT_GT(count(metric_disk_aside), 0U);
  disk_.capacity_bytes = 200 * mib;
  world_.advance(disk_pause_most + seconds(1));
  read_all(*cache, object);
  EXPECT_EQ(loaded_by(*cache, object), 0U);
  stop(*cache);
}

TEST_F(DiskCacheTest, FailingWritesMakeItStepAsideOnceAndKeepWhatItHas) {
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  const std::size_t held = cache->disk()->block_count();
  disk_.writes_fail = true;
  const TestObject other = make_object(2, 24);
  read_all(*cache, other);
  world_.advance(seconds(30));
  read_all(*cache, other);
  EXPECT_GT(count(metric_disk_aside), 0U);
  EXPECT_EQ(lines_with("steps aside"), count(metric_disk_aside)) << "said once for each time that it had come back";
  disk_.writes_fail = false;
  world_.advance(disk_pause_most + seconds(1));
  EXPECT_TRUE(cache->disk()->in_use());
  EXPECT_GE(cache->disk()->block_count() + 4, held) << "what was on the disk is found again, but for one slab";
  stop(*cache);
}

TEST_F(DiskCacheTest, ADiskThatCannotBeOpenedIsSaidOnceAndTriedAgain) {
  disk_.opens_fail = true;
  const auto cache = make();
  const TestObject object = make_object(1, 12);
  read_all(*cache, object);
  world_.advance(seconds(300));
  EXPECT_FALSE(cache->disk()->in_use());
  EXPECT_GE(count(metric_disk_aside), 5U);
  EXPECT_LE(count(metric_disk_aside), 15U) << "pauses grow";
  EXPECT_EQ(lines_with("steps aside"), 1U);
  disk_.opens_fail = false;
  world_.advance(disk_pause_most + seconds(1));
  EXPECT_TRUE(cache->disk()->in_use());
  EXPECT_EQ(lines_with("in use again"), 1U);
  disk_.read_only = true;
  stop(*cache);
  const auto second = make();
  EXPECT_FALSE(second->disk()->in_use());
  read_all(*second, object);
  stop(*second);
}

TEST_F(DiskCacheTest, FailingReadsAreTheStoresAndThenItStepsAside) {
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  disk_.reads_fail = true;
  read_all(*cache, object);
  EXPECT_GE(count(metric_disk_read_failures), disk_slow_reads_max);
  EXPECT_GE(count(metric_disk_aside), 1U);
  disk_.reads_fail = false;
  world_.advance(disk_pause_most + seconds(1));
  EXPECT_TRUE(cache->disk()->in_use());
  read_all(*cache, object);
  EXPECT_EQ(loaded_by(*cache, object), 0U);
  stop(*cache);
}

TEST_F(DiskCacheTest, ASlowDiskCostsAReaderNoMoreThanTheTimeout) {
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  disk_.read_delay = seconds(30);
  base::Duration slowest{};
  for (std::size_t at = 0; at < 24; ++at) {
    const base::MonoTime began = world_.now();
    read_one(*cache, object, at);
    slowest = std::max(slowest, world_.now() - began);
  }
  EXPECT_GE(slowest, milliseconds(100)) << "it was tried";
  EXPECT_LE(slowest, milliseconds(100) + store_.delay + milliseconds(1));
  EXPECT_EQ(count(metric_disk_timeouts), disk_slow_reads_max) << "then it is not asked any more";
  EXPECT_FALSE(cache->disk()->in_use());
  disk_.read_delay = milliseconds(1);
  world_.advance(seconds(120));
  EXPECT_TRUE(cache->disk()->in_use());
  read_all(*cache, object);
  EXPECT_EQ(loaded_by(*cache, object), 0U);
  stop(*cache);
}

TEST_F(DiskCacheTest, ASlowWriterDropsAndNobodyWaits) {
  const auto cache = make();
  disk_.write_delay = seconds(20);
  const TestObject object = make_object(1, 48);
  const base::MonoTime began = world_.now();
  for (std::size_t at = 0; at < 48; ++at) read_one(*cache, object, at);
  EXPECT_LE(world_.now() - began, 48 * (store_.delay + milliseconds(1)));
  EXPECT_GT(count(metric_disk_dropped), 20U);
  disk_.write_delay = milliseconds(1);
  world_.advance(seconds(60));
  stop(*cache);
}

TEST_F(DiskCacheTest, FilesThatVanishAreNoticedAndMadeAgain) {
  const auto cache = make();
  const TestObject object = make_object(1, 24);
  read_all(*cache, object);
  disk_.nodes.clear();
  world_.advance(disk_look_period + seconds(3));
  EXPECT_EQ(count(metric_disk_aside), 1U);
  EXPECT_TRUE(cache->disk()->in_use());
  EXPECT_EQ(cache->disk()->block_count(), 0U);
  read_all(*cache, object);
  EXPECT_EQ(loaded_by(*cache, object), 0U);
  EXPECT_FALSE(slabs().empty());
  stop(*cache);
}

TEST_F(DiskCacheTest, OneDirectoryHasOneUser) {
  const TestObject object = make_object(1, 24);
  const auto first = make();
  const auto second = make();
  EXPECT_TRUE(first->disk()->in_use());
  EXPECT_FALSE(second->disk()->in_use());
  read_all(*first, object);
  read_all(*second, object);
  stop(*first);
  world_.advance(disk_pause_most + seconds(1));
  EXPECT_TRUE(second->disk()->in_use());
  stop(*second);
}

runtime::Task<void> read_into(BlockCacheImpl* cache, std::vector<BlockKey> blocks, bool* same, bytes::Buffer expected) {
  const auto got = co_await cache->get(std::move(blocks), 1, far_deadline);
  *same = got.has_value() && (*got)[0].text() == expected.text();
}

// S1: the oldest slab is wanted for new blocks while a read of it, long given up, is still under way.
TEST_F(DiskCacheTest, ASlabIsNotUsedAgainWhileItIsRead) {
  const auto cache = make(options(8 * mib));  // two slabs
  const TestObject object = make_object(1, 16);
  read_all(*cache, object);
  std::size_t on_disk = 0;
  while (on_disk < 16 &&
         !cache->disk()->has({.object = object.keys[on_disk].identity.object, .position = object.keys[on_disk].ref.position}))
    ++on_disk;
  ASSERT_LT(on_disk, 16U);
  disk_.read_delay = seconds(5);
  bool same = false;
  runtime::Scope scope;
  world_.doors.shards[0]->post([&] {
    scope.spawn("reader", read_into(cache.get(), part(object, on_disk, on_disk + 1), &same, object.payloads[on_disk]));
  });
  world_.advance(milliseconds(200));
  EXPECT_TRUE(same) << "from the store";
  EXPECT_EQ(disk_.reads_inflight, 1);
  const std::uint64_t recycled = count(metric_disk_recycled);
  read_all(*cache, make_object(2, 30));
  EXPECT_LE(count(metric_disk_recycled), recycled + 2) << "the writer waits for the read";
  world_.advance(seconds(10));
  disk_.read_delay = milliseconds(1);
  EXPECT_EQ(disk_.reads_inflight, 0);
  read_all(*cache, make_object(3, 30));
  EXPECT_GT(count(metric_disk_recycled), recycled + 2);
  EXPECT_EQ(count(metric_disk_damaged), 0U);
  stop(*cache);
}

// Three groups so far behind one another that memory does not reach: the disk does.
TEST_F(DiskCacheTest, GroupsFarBehindOneAnotherCostTheStoreWhatOneCosts) {
  const auto cache = make(options(120 * mib, 0));
  const TestObject object = make_object(1, 100);
  const std::uint64_t before = count(metric_load_bytes);
  for (std::size_t step = 0; step < 100 + 70; ++step) {
    for (const std::size_t start : {0, 30, 70}) {
      if (step < start || step - start >= 100) continue;
      const std::size_t at = step - start;
      ASSERT_TRUE(get(*cache, part(object, at, std::min<std::size_t>(at + 4, 100)), 1).has_value());
    }
    world_.advance(milliseconds(20));
  }
  const std::uint64_t loaded = count(metric_load_bytes) - before;
  EXPECT_GE(loaded, 100 * mib);
  EXPECT_LE(loaded * 10, 100 * mib * 13);
  stop(*cache);
}

// Whatever the disk does, in any order: readers get the right bytes.
TEST_F(DiskCacheTest, RandomFaultsAreNeverSeen) {
  std::vector<TestObject> objects;
  for (std::uint8_t i = 0; i < 6; ++i) objects.push_back(make_object(i, 10, 600'000));
  for (unsigned seed = 1; seed <= 8; ++seed) {
    std::mt19937 random(seed);
    disk_.nodes.clear();
    Options how = options(12 * mib, 2 * mib);
    how.capacity_bytes = 3 * mib;
    auto cache = make(how);
    for (int step = 0; step < 600; ++step) {
      switch (random() % 40) {
        case 0: disk_.reads_fail = random() % 4 == 0; break;
        case 1: disk_.writes_fail = random() % 4 == 0; break;
        case 2: disk_.read_delay = random() % 4 == 0 ? milliseconds(random() % 300) : milliseconds(1); break;
        case 3: disk_.write_delay = milliseconds(random() % 50); break;
        case 4: disk_.capacity_bytes = (random() % 4 == 0 ? random() % 20 : 1000) * mib; break;
        case 5:
          if (random() % 4 == 0) disk_.nodes.clear();
          break;
        case 6:
          if (random() % 4 == 0) {
            stop(*cache);
            cache = make(how);
          }
          break;
        case 7:
        case 8:
          for (const std::string& path : slabs()) {
            auto& content = disk_.nodes[path]->content;
            for (int flips = 0; flips < 5 && !content.empty(); ++flips) content[random() % content.size()] ^= std::byte{16};
          }
          break;
        case 9: disk_.opens_fail = random() % 4 == 0; break;
        default: break;
      }
      const TestObject& object = objects[random() % objects.size()];
      read_one(*cache, object, random() % object.keys.size());
      if (HasFatalFailure()) return;
      world_.advance(milliseconds(random() % 200));
    }
    disk_.reads_fail = disk_.writes_fail = disk_.opens_fail = false;
    disk_.read_delay = disk_.write_delay = milliseconds(1);
    disk_.capacity_bytes = 1000 * mib;
    world_.advance(disk_pause_most + seconds(2));
    EXPECT_TRUE(cache->disk()->in_use()) << "seed " << seed;
    stop(*cache);
  }
  EXPECT_GT(count(metric_disk_hits), 100U);
  EXPECT_GT(count(metric_disk_damaged), 10U);
  EXPECT_GT(count(metric_disk_timeouts), 10U);
}

}  // namespace
}  // namespace weir::cache
