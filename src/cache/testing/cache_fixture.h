// cache/testing/cache_fixture.h: a block cache over a store in memory that counts, delays, damages and fails its reads.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "cache/block_cache_impl.h"
#include "cache/metrics_decl.h"
#include "runtime/testing/manual_runtime.h"
#include "store/memory.h"

namespace weir::cache::testing {

using base::ErrorKind;
using runtime::Task;

inline constexpr base::MonoTime far_deadline = base::MonoTime(std::chrono::hours(1000));

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

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() : store_(*world_.doors.shards[0]) {}

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

}  // namespace weir::cache::testing
