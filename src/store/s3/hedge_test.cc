#include "store/s3/hedge.h"

#include <gtest/gtest.h>

namespace weir::store::s3 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::MonoTime now = base::MonoTime(std::chrono::hours(1));

TEST(HedgeClock, LearnsPatienceFromTheLastAnswersOfASize) {
  HedgeClock clock;
  EXPECT_FALSE(clock.patience(1000, now)) << "nothing is known yet";
  for (int i = 0; i < 64; ++i) clock.record(1000, i % 8 == 0 ? milliseconds(500) : milliseconds(30));
  EXPECT_EQ(clock.patience(1000, now), milliseconds(500)) << "one in eight is not rare";
  for (int i = 0; i < 64; ++i) clock.record(1000, i == 7 ? milliseconds(500) : milliseconds(30));
  EXPECT_EQ(clock.patience(1000, now), milliseconds(90)) << "three medians: old answers are forgotten";
  for (int i = 0; i < 64; ++i) clock.record(1000, milliseconds(1));
  EXPECT_EQ(clock.patience(1000, now), hedge_patience_min);
  EXPECT_FALSE(clock.patience(4U << 20U, now)) << "other sizes are other classes";
  EXPECT_FALSE(clock.patience(hedge_bytes_max + 1, now));
}

TEST(HedgeClock, StopsWhenTheStoreAsksForLessLoad) {
  HedgeClock clock;
  for (int i = 0; i < 64; ++i) clock.record(1000, milliseconds(30));
  clock.slow_down(now);
  EXPECT_FALSE(clock.patience(1000, now + hedge_pause - milliseconds(1)));
  EXPECT_TRUE(clock.patience(1000, now + hedge_pause));
}

}  // namespace
}  // namespace weir::store::s3
