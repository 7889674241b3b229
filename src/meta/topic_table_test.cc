#include "meta/topic_table.h"

#include <gtest/gtest.h>

#include "meta/testing/meta_fixture.h"
#include "runtime/sync.h"

namespace weir::meta {
namespace {

using testing::id;
using testing::topic_record;

TopicEntry entry(const std::string& name, std::uint64_t n, keyspace::Revision revision, std::int32_t partitions = 1) {
  TopicEntry made{.record = topic_record(name, n, partitions), .config = std::make_shared<model::TopicConfig>()};
  made.record.revision = revision;
  return made;
}

class TopicTableTest : public ::testing::Test {
 protected:
  static runtime::Task<bool> done(runtime::Task<void> task) {
    co_await task;
    co_return true;
  }
  static runtime::Task<TopicViewPtr> see(const TopicTable* table) { co_return table->current(); }
  TopicViewPtr view(std::uint32_t shard) { return manual.run(see(&table), runtime::ShardId(shard)); }
  void change(runtime::Task<void> task, std::uint32_t shard) { manual.run(done(std::move(task)), runtime::ShardId(shard)); }
  std::vector<std::string> names(std::uint32_t shard) {
    std::vector<std::string> all;
    for (const TopicEntryPtr& one : view(shard)->in_order_of_name()) all.push_back(one->record.name);
    return all;
  }
  runtime::testing::ManualRuntime manual{3};
  TopicTable table{manual.doors};
};

TEST_F(TopicTableTest, AChangeIsSeenOnEveryShardWhenTheCallReturns) {
  change(table.fill({entry("b", 2, 1), entry("a", 1, 1, 5)}), 0);
  change(table.add(entry("c", 3, 2)), 2);
  for (std::uint32_t shard = 0; shard < 3; ++shard) {
    EXPECT_EQ(names(shard), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(view(shard)->partition_count(), 7U);
    ASSERT_NE(view(shard)->by_id(id<model::TopicId>(3)), nullptr);
    EXPECT_EQ(view(shard)->by_id(id<model::TopicId>(3))->record.name, "c");
    EXPECT_EQ(view(shard)->by_name("d"), nullptr);
  }
  const TopicViewPtr held = view(1);
  change(table.erase(id<model::TopicId>(1)), 1);
  EXPECT_EQ(names(1), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(held->in_order_of_name().size(), 3U) << "a held view does not change";
  EXPECT_EQ(view(0)->by_id(id<model::TopicId>(1)), nullptr);
}

TEST_F(TopicTableTest, UpdatesOutOfOrderNeverGoBackOrBringATopicBack) {
  change(table.add(entry("a", 1, 5)), 0);
  TopicEntry newer = entry("a", 1, 7);
  newer.record.configs["retention.ms"] = "7";
  change(table.update(newer), 1);
  change(table.update(entry("a", 1, 6)), 0);
  EXPECT_EQ(view(2)->by_name("a")->record.revision, 7);
  change(table.erase(id<model::TopicId>(1)), 0);
  change(table.update(entry("a", 1, 9)), 0);
  EXPECT_EQ(view(2)->by_name("a"), nullptr);
}

TEST_F(TopicTableTest, SubscribersHearOfEachChangeOnTheirShard) {
  std::vector<std::size_t> heard;
  auto subscribe = [](TopicTable* in, std::vector<std::size_t>* into) -> runtime::Task<std::uint64_t> {
    co_return in->subscribe([into](const TopicViewPtr& seen) { into->push_back(seen->in_order_of_name().size()); });
  };
  const std::uint64_t subscription = manual.run(subscribe(&table, &heard), runtime::ShardId(1));
  change(table.add(entry("a", 1, 1)), 0);
  change(table.add(entry("b", 2, 2)), 2);
  auto unsubscribe = [](TopicTable* in, std::uint64_t which) -> runtime::Task<bool> {
    in->unsubscribe(which);
    co_return true;
  };
  manual.run(unsubscribe(&table, subscription), runtime::ShardId(1));
  change(table.erase(id<model::TopicId>(1)), 0);
  EXPECT_EQ(heard, (std::vector<std::size_t>{1, 2}));
}

TEST_F(TopicTableTest, CollidingNamesAreFound) {
  change(table.add(entry("a.b", 1, 1)), 0);
  ASSERT_NE(view(1)->colliding("a_b"), nullptr);
  EXPECT_EQ(view(1)->colliding("a_b")->record.name, "a.b");
  EXPECT_EQ(view(1)->colliding("a.b"), nullptr);
}

TEST_F(TopicTableTest, TheSameNameOrIdTwiceIsAssertedAgainst) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  change(table.add(entry("a", 1, 1)), 0);
  EXPECT_DEATH(change(table.add(entry("a", 2, 2)), 0), "there twice");
  EXPECT_DEATH(change(table.add(entry("b", 1, 2)), 0), "there twice");
}

}  // namespace
}  // namespace weir::meta
