#include "cache/core/s3_fifo.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace weir::cache {
namespace {

using Policy = S3Fifo<int>;

// Uses a key the way a cache does: a hit, or a miss that admits. True = hit.
bool use(Policy& policy, int key, std::uint64_t size_bytes = 1) {
  if (policy.touch(key)) return true;
  std::vector<int> evicted;
  policy.insert(key, size_bytes, evicted);
  return false;
}

TEST(S3Fifo, AgreesWithAModelOfWhatIsInside) {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    constexpr std::uint64_t capacity = 200;
    Policy policy(capacity);
    std::map<int, std::uint64_t> model;
    for (int step = 0; step < 3000; ++step) {
      const int key = static_cast<int>(random() % 80);
      switch (random() % 4) {
        case 0: EXPECT_EQ(policy.touch(key), model.contains(key)); break;
        case 1:
          policy.erase(key);
          model.erase(key);
          break;
        default: {
          if (model.contains(key)) break;
          const std::uint64_t size = 1 + random() % (random() % 20 == 0 ? 250 : 30);
          std::vector<int> evicted;
          const bool admitted = policy.insert(key, size, evicted);
          EXPECT_EQ(admitted, size <= capacity);
          for (int gone : evicted) EXPECT_EQ(model.erase(gone), 1U) << "evicted what was not there";
          if (admitted) model[key] = size;
        }
      }
      std::uint64_t used = 0;
      for (const auto& [k, size] : model) used += size;
      ASSERT_EQ(policy.used_bytes(), used);
      ASSERT_LE(used, capacity);
      ASSERT_EQ(policy.resident_count(), model.size());
      ASSERT_LE(policy.ghost_count(), capacity);
    }
    for (int key = 0; key < 80; ++key) ASSERT_EQ(policy.resident(key), model.contains(key));
  }
}

TEST(S3Fifo, EvictsOnlyWhenItMust) {
  Policy policy(100);
  for (int key = 0; key < 100; ++key) EXPECT_FALSE(use(policy, key));
  for (int key = 0; key < 100; ++key) EXPECT_TRUE(use(policy, key));
  std::vector<int> evicted;
  policy.insert(1000, 1, evicted);
  EXPECT_EQ(evicted.size(), 1U);
}

TEST(S3Fifo, AScanDoesNotEvictTheHotSet) {
  Policy policy(100);
  constexpr int hot = 40;
  int scanned = 1000;
  // The hot set is used now and then while other data passes by: it ends in main.
  for (int round = 0; round < 10; ++round) {
    for (int key = 0; key < hot; ++key) use(policy, key);
    for (int i = 0; i < 30; ++i) use(policy, scanned++);
  }
  for (int key = 0; key < hot; ++key) ASSERT_TRUE(policy.resident(key)) << key;
  // A scan of fifty times the capacity; its reader takes each block in ten small fetches.
  for (int i = 0; i < 5000; ++i) {
    for (int fetch = 0; fetch < 10; ++fetch) use(policy, scanned);
    ++scanned;
  }
  for (int key = 0; key < hot; ++key) EXPECT_TRUE(policy.resident(key)) << key;
}

TEST(S3Fifo, ManySmallFetchesOfOneReaderAreOneUse) {
  Policy policy(100);
  for (int key = 0; key < 10; ++key) {
    use(policy, key);
    for (int fetch = 0; fetch < 20; ++fetch) use(policy, key);
  }
  for (int key = 1000; key < 1100; ++key) use(policy, key);
  for (int key = 0; key < 10; ++key) EXPECT_FALSE(policy.resident(key)) << key << " was read by one reader only";
}

TEST(S3Fifo, WhatReturnsSoonIsKeptLonger) {
  Policy policy(100);
  use(policy, 1);
  int other = 1000;
  while (policy.resident(1)) use(policy, other++);
  use(policy, 1);  // remembered: enters main
  for (int i = 0; i < 500; ++i) use(policy, other++);
  EXPECT_TRUE(policy.resident(1));
}

TEST(S3Fifo, TheHotSetCanChange) {
  Policy policy(100);
  int other = 100000;
  for (int phase = 0; phase < 5; ++phase) {
    for (int round = 0; round < 40; ++round) {
      for (int key = 0; key < 60; ++key) use(policy, phase * 1000 + key);
      for (int i = 0; i < 20; ++i) use(policy, other++);
    }
    int resident = 0;
    for (int key = 0; key < 60; ++key) resident += policy.resident(phase * 1000 + key) ? 1 : 0;
    EXPECT_GE(resident, 55) << "phase " << phase;
  }
}

TEST(S3Fifo, GhostIsBounded) {
  S3Fifo<int> policy(10'000'000);
  std::vector<int> evicted;
  for (int key = 0; key < 200'000; ++key) policy.insert(key, 400, evicted);
  EXPECT_LE(policy.ghost_count(), S3Fifo<int>::ghost_count_max);
}

}  // namespace
}  // namespace weir::cache
