#include "cache/core/pace.h"

#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace weir::cache {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::MonoTime begin_of_test = base::MonoTime(std::chrono::hours(1));
constexpr base::MonoTime never = base::MonoTime::max();
constexpr std::uint64_t mib = 1U << 20U;

TEST(Pace, WithoutALimitEverythingBeginsAtOnce) {
  Pace pace(0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(pace.reserve(begin_of_test, 1000 * mib, begin_of_test), begin_of_test);
}

TEST(Pace, ReadsThatAskFasterAreSpreadOverTime) {
  Pace pace(10 * mib);
  base::MonoTime last = begin_of_test;
  for (int i = 0; i < 100; ++i) {
    const auto at = pace.reserve(begin_of_test, mib, never);
    ASSERT_TRUE(at.has_value());
    EXPECT_GE(*at, last);
    last = *at;
  }
  // 100 MiB at 10 MiB/s, less what the burst gives and what the last one costs.
  EXPECT_GE(last - begin_of_test, seconds(10) - Pace::burst - milliseconds(101));
  EXPECT_LE(last - begin_of_test, seconds(10));
}

TEST(Pace, WhatWouldBeginTooLateIsNotBooked) {
  Pace pace(mib);
  ASSERT_TRUE(pace.reserve(begin_of_test, 10 * mib, never).has_value());
  for (int i = 0; i < 50; ++i) EXPECT_FALSE(pace.reserve(begin_of_test, 10 * mib, begin_of_test + seconds(5)).has_value());
  const auto at = pace.reserve(begin_of_test, mib, begin_of_test + seconds(11));
  ASSERT_TRUE(at.has_value());
  EXPECT_EQ(*at, begin_of_test + seconds(10) - Pace::burst);
}

TEST(Pace, TimeWithoutReadsIsLostButForTheBurst) {
  Pace pace(10 * mib);
  const base::MonoTime later = begin_of_test + std::chrono::hours(5);
  std::uint64_t at_once = 0;
  while (pace.reserve(later, mib / 4, later).has_value()) at_once += mib / 4;
  EXPECT_GE(at_once, 2 * mib);
  EXPECT_LE(at_once, 3 * mib);
}

TEST(Pace, RandomReadsStayWithinTheRateOverEveryWindow) {
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    const std::uint64_t rate = 1 + random() % (64 * mib);
    Pace pace(rate);
    struct Read {
      base::MonoTime at;
      std::uint64_t size_bytes;
    };
    std::vector<Read> reads;
    base::MonoTime now = begin_of_test;
    std::uint64_t largest = 0;
    for (int i = 0; i < 300; ++i) {
      now += milliseconds(random() % 50);
      const std::uint64_t size = 1 + random() % (rate / 4 + 1);
      largest = std::max(largest, size);
      if (const auto at = pace.reserve(now, size, now + seconds(2))) reads.push_back({*at, size});
    }
    for (std::size_t from = 0; from < reads.size(); ++from) {
      std::uint64_t sum = 0;
      for (std::size_t to = from; to < reads.size(); ++to) {
        sum += reads[to].size_bytes;
        const double window = std::chrono::duration<double>(reads[to].at - reads[from].at + Pace::burst).count();
        ASSERT_LE(static_cast<double>(sum), window * static_cast<double>(rate) + static_cast<double>(largest) + 1000.0);
      }
    }
  }
}

TEST(Pace, ShardsShareOneRate) {
  Pace pace(100 * mib);
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pace] {
      for (int i = 0; i < 1000; ++i) (void)pace.reserve(begin_of_test, mib / 10, never);
    });
  }
  threads.clear();
  // 400 MiB are booked, whoever asked.
  const auto next = pace.reserve(begin_of_test, 1, never);
  EXPECT_GE(*next - begin_of_test, seconds(4) - Pace::burst - milliseconds(10));
  EXPECT_LE(*next - begin_of_test, seconds(4));
}

}  // namespace
}  // namespace weir::cache
