#include "perf/sequence.h"

#include <gtest/gtest.h>

namespace weir::perf {
namespace {

TEST(Sequence, AllInOrder) {
  SequenceTracker t;
  for (std::uint64_t i = 0; i < 1000; ++i) t.see(i);
  EXPECT_EQ(t.lost(1000), 0U);
  EXPECT_EQ(t.lost(1003), 3U);
  EXPECT_EQ(t.duplicated() + t.reordered(), 0U);
}

TEST(Sequence, GapsLateOnesAndDuplicates) {
  SequenceTracker t;
  for (const std::uint64_t n : {0, 1, 5, 6, 3, 3, 9, 1}) t.see(n);
  // missing: 2, 4, 7, 8; 3 was late, then twice; 1 was twice.
  EXPECT_EQ(t.lost(10), 4U);
  EXPECT_EQ(t.reordered(), 1U);
  EXPECT_EQ(t.duplicated(), 2U);
  for (const std::uint64_t n : {2, 4, 8, 7}) t.see(n);
  EXPECT_EQ(t.lost(10), 0U);
  EXPECT_EQ(t.reordered(), 5U);
  t.see(7);
  EXPECT_EQ(t.duplicated(), 3U);
}

TEST(Sequence, TheFirstMayBeMissing) {
  SequenceTracker t;
  t.see(4);
  EXPECT_EQ(t.lost(5), 4U);
  t.see(0);
  EXPECT_EQ(t.lost(5), 3U);
  EXPECT_EQ(t.reordered(), 1U);
}

}  // namespace
}  // namespace weir::perf
