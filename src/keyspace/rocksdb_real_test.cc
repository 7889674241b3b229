// The keyspace on real threads: two shards write and watch at once while RocksDB runs on the blocking pool.
#include <gtest/gtest.h>

#include "keyspace/open.h"
#include "runtime/scope.h"
#include "runtime/submit.h"
#include "runtime/testing/real_world.h"

namespace weir::keyspace {
namespace {

using World = runtime::testing::RealWorld<runtime::FileBackend::pwritev2>;

constexpr int writers = 4;
constexpr int increments = 50;

base::MonoTime soon() { return runtime::Reactor::current().now() + std::chrono::seconds(60); }

// Adds one to a shared counter by compare and put, as often as it takes.
runtime::Task<void> count_up(Keyspace* keyspace, int* done) {
  for (int i = 0; i < increments;) {
    auto read = co_await keyspace->range("counter", "counter0", 1, soon());
    ENSURE(read.has_value(), "{}", read.error().text);
    const long value = read->entries.empty() ? 0 : std::stol(read->entries[0].value);
    const Revision at = read->entries.empty() ? 0 : read->entries[0].mod_revision;
    auto result = co_await keyspace->txn({.compares = {{.key = "counter", .mod_revision = at}},
                                          .operations = {Operation::put("counter", std::to_string(value + 1))}},
                                         soon());
    ENSURE(result.has_value(), "{}", result.error().text);
    if (result->succeeded) ++i;
  }
  ++*done;
}

runtime::Task<int> count_up_many(Keyspace* keyspace) {
  int done = 0;
  runtime::Scope scope;
  for (int i = 0; i < writers; ++i) scope.spawn("count up", count_up(keyspace, &done));
  co_await scope.join();
  co_return done;
}

// Follows the counter to its end; how many changes it saw, each one above the last.
runtime::Task<int> follow(Keyspace* keyspace, long last) {
  auto watch = keyspace->watch("counter", 0);
  ENSURE(watch.has_value(), "{}", watch.error().text);
  long seen = 0;
  int changes = 0;
  while (seen < last) {
    auto events = co_await (*watch)->next(soon(), nullptr);
    ENSURE(events.has_value(), "{}", events.error().text);
    for (const WatchEvent& event : *events) {
      const long value = std::stol(event.entry.value);
      ENSURE(value == seen + 1, "{} after {}", value, seen);
      seen = value;
      ++changes;
    }
  }
  co_return changes;
}

runtime::Task<void> store_result(runtime::Reactor* shard, runtime::Task<int> task, int* into) {
  *into = co_await runtime::submit_to(*shard, [task = std::move(task)]() mutable { return std::move(task); });
}

runtime::Task<int> two_shards(runtime::Runtime* doors, std::string url) {
  auto opened = co_await open_keyspace(*doors, std::move(url));
  ENSURE(opened.has_value(), "{}", opened.error().text);
  Keyspace* keyspace = opened->get();
  int here = 0;
  int there = 0;
  int seen = 0;
  runtime::Scope scope;
  scope.spawn("shard 0", store_result(doors->shards[0], count_up_many(keyspace), &here));
  scope.spawn("shard 1", store_result(doors->shards[1], count_up_many(keyspace), &there));
  scope.spawn("watch", store_result(doors->shards[1], follow(keyspace, 2L * writers * increments), &seen));
  co_await scope.join();
  const Revision revision = keyspace->last_known_revision();
  co_await keyspace->stop();
  EXPECT_EQ(here, writers);
  EXPECT_EQ(there, writers);
  EXPECT_EQ(seen, 2 * writers * increments);
  EXPECT_EQ(revision, 2 * writers * increments) << "no increment was lost or applied twice";
  co_return 0;
}

TEST(RocksdbOnThreads, TwoShardsCountTogetherAndAWatchSeesEachStep) {
  World world;
  runtime::Runtime& doors = world.doors();
  const std::string url = "file://" + world.directory() + "/keyspace";
  EXPECT_EQ(world.run([&] { return two_shards(&doors, url); }), 0);
}

}  // namespace
}  // namespace weir::keyspace
