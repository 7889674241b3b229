// What a shard's pool gives, and what the pools of several shards give from one budget.
#include "wal/slab_pool.h"

#include <optional>

#include <gtest/gtest.h>

namespace weir::wal {
namespace {

constexpr std::size_t slab = std::size_t{64} << 10U;

TEST(SlabPool, AFreedSlabIsUsedAgain) {
  SlabBudget budget(10 * slab, 2 * slab, 1);
  SlabPool pool(slab, budget);
  bytes::SlabRef first = pool.take(100);
  const std::byte* where = first.writable().data();
  EXPECT_EQ(pool.held_bytes(), slab);
  first = bytes::SlabRef();
  EXPECT_EQ(pool.held_bytes(), 0U);
  EXPECT_EQ(pool.take(slab).writable().data(), where);
}

TEST(SlabPool, OnePoolMayHoldAllButWhatIsTheOthersOwn) {
  SlabBudget budget(10 * slab, 2 * slab, 3);
  SlabPool a(slab, budget);
  SlabPool b(slab, budget);
  std::vector<bytes::SlabRef> held;
  while (a.available(slab)) {
    held.push_back(a.take(slab));
    ASSERT_LE(held.size(), 10U);
  }
  EXPECT_EQ(held.size(), 6U) << "its own two, and the four that are nobody's";
  EXPECT_EQ(budget.shared_bytes(), budget.shared_bytes_max());
  std::vector<bytes::SlabRef> others;
  while (b.available(slab)) {
    others.push_back(b.take(slab));
    ASSERT_LE(others.size(), 10U);
  }
  EXPECT_EQ(others.size(), 2U) << "what is a pool's own cannot be taken by another";
}

TEST(SlabPool, WhatAPoolLetsGoIsTheOthersOnceItHasTold) {
  SlabBudget budget(4 * slab, slab, 2);
  SlabPool a(slab, budget);
  SlabPool b(slab, budget);
  std::vector<bytes::SlabRef> held;
  while (a.available(slab)) held.push_back(a.take(slab));
  const bytes::SlabRef own = b.take(slab);
  EXPECT_FALSE(b.available(slab));
  held.clear();
  EXPECT_FALSE(b.available(slab)) << "a slab becomes free without a call to its pool";
  a.tell();
  EXPECT_EQ(budget.shared_bytes(), 0U);
  EXPECT_TRUE(b.available(slab));
}

TEST(SlabPool, WithNothingHeldAnythingIsGiven) {
  SlabBudget budget(2 * slab, slab, 2);
  SlabPool pool(slab, budget);
  EXPECT_TRUE(pool.available(100 * slab));
  const bytes::SlabRef large = pool.take(100 * slab);
  EXPECT_EQ(large.size(), 100 * slab);
  EXPECT_FALSE(pool.available(1));
}

TEST(SlabPool, ALargeSlabCountsUntilItsLastHolderIsGone) {
  SlabBudget budget(6 * slab, slab, 2);
  std::optional<SlabPool> pool(std::in_place, slab, budget);
  bytes::SlabRef large = pool->take(5 * slab);
  EXPECT_EQ(budget.shared_bytes(), 4 * slab);
  large = bytes::SlabRef();
  pool->tell();
  EXPECT_EQ(budget.shared_bytes(), 0U);
  large = pool->take(3 * slab);
  EXPECT_EQ(budget.shared_bytes(), 2 * slab);
  pool.reset();
  EXPECT_EQ(budget.shared_bytes(), 0U) << "a pool that is gone takes what it told of with it";
}

}  // namespace
}  // namespace weir::wal
