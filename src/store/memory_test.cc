#include "store/memory.h"

#include <gtest/gtest.h>

#include "runtime/submit.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using runtime::Task;

class MemoryConformance : public ::testing::TestWithParam<ConformanceCase> {};

Task<std::unique_ptr<ObjectStore>> open_memory(runtime::RealRuntime* machine) {
  co_return std::make_unique<MemoryStore>(machine->doors().shard(runtime::ShardId(0)));
}

TEST_P(MemoryConformance, holds) {
  const auto machine = test_machine();
  run_case(machine.get(), GetParam(), "base/", [&] { return open_memory(machine.get()); });
}

INSTANTIATE_TEST_SUITE_P(Store, MemoryConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

Task<void> write_from_other_shard(ObjectStore* store, runtime::Reactor* other) {
  const auto put = co_await runtime::submit_to(*other, [store] { return put_body(store, "k", test_body(1, 1000)); });
  EXPECT_TRUE(put);
  const auto info = co_await store->head("k", {});
  EXPECT_TRUE(info && info->size_bytes == 1000);
}

TEST(MemoryStore, any_shard_may_call) {
  const auto machine = test_machine(2);
  MemoryStore store(machine->doors().shard(runtime::ShardId(0)));
  machine->run_on_shard0([&] { return write_from_other_shard(&store, machine->doors().shards[1]); });
}

Task<void> fill_and_damage(MemoryStore* store) {
  EXPECT_TRUE(co_await put_body(store, "a", test_body(1, 600)));
  const auto full = co_await put_body(store, "b", test_body(2, 600));
  EXPECT_TRUE(!full && full.error().kind == base::ErrorKind::exhausted);
  const auto wrong = co_await store->put("c", test_body(3, 10), {.crc32c = 1});
  EXPECT_TRUE(!wrong && wrong.error().kind == base::ErrorKind::corrupt);
  const auto before = co_await store->get("a", 0, 0, {});
  EXPECT_TRUE(store->flip_bit("a", 7, 3));
  EXPECT_FALSE(store->flip_bit("a", 600, 3));
  const auto after = co_await store->get("a", 0, 0, {});
  EXPECT_TRUE(before && after && before->text() != after->text());
  EXPECT_EQ(store->stored_bytes(), 600U);
}

TEST(MemoryStore, capacity_checksum_and_damage) {
  const auto machine = test_machine();
  MemoryStore store(machine->doors().shard(runtime::ShardId(0)), {.capacity_bytes = 1000});
  machine->run_on_shard0([&] { return fill_and_damage(&store); });
}

}  // namespace
}  // namespace weir::store::testing
