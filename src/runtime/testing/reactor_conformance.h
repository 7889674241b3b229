// runtime/testing/reactor_conformance.h: what every reactor must do, real or simulated.
// Contract:   instantiate with a World that is made anew for each test and has
//               Runtime& doors();                    // at least two shards
//               auto run(fn);                        // runs fn() -> Task<T> on shard 0 to its end and gives T
//             `INSTANTIATE_TYPED_TEST_SUITE_P(Real, ReactorConformance, RealWorld);`
#pragma once

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/submit.h"
#include "runtime/sync.h"
#include "runtime/testing/co_assert.h"

namespace weir::runtime::testing {

using namespace std::chrono_literals;

template <class World>
class ReactorConformance : public ::testing::Test {
 protected:
  World world;
};
TYPED_TEST_SUITE_P(ReactorConformance);

inline Task<std::vector<int>> post_in_order() {
  std::vector<int> seen;
  Event all;
  Reactor& here = Reactor::current();
  for (int i = 0; i < 1000; ++i) {
    here.post([&seen, &all, i] {
      seen.push_back(i);
      if (i == 999) all.set();
    });
  }
  EXPECT_TRUE(seen.empty()) << "a posted callback ran inside post()";
  co_await all.wait();
  co_return seen;
}
TYPED_TEST_P(ReactorConformance, PostsRunLaterAndInOrder) {
  const std::vector<int> seen = this->world.run([] { return post_in_order(); });
  ASSERT_EQ(seen.size(), 1000U);
  for (int i = 0; i < 1000; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
}

inline Task<void> call_other_shard(Runtime& doors) {
  Reactor& other = doors.shard(ShardId(1));
  std::vector<int> seen;  // touched on the other shard only
  for (int i = 0; i < 500; ++i) other.post([&seen, i] { seen.push_back(i); });
  const std::size_t count = co_await submit_to(other, [&seen, &other] {
    EXPECT_EQ(&Reactor::current(), &other);
    return seen.size();
  });
  EXPECT_EQ(count, 500U);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(seen[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(Reactor::current().shard(), ShardId(0));
}
TYPED_TEST_P(ReactorConformance, PostsToAnotherShardKeepTheirOrder) {
  this->world.run([this] { return call_other_shard(this->world.doors()); });
}

inline Task<int> doubled_after_sleep(int value) {
  co_await sleep_for(1ms);
  co_return value * 2;
}
inline Task<void> short_sleep() { co_await sleep_for(1ms); }
inline Task<void> submit_all_forms(Runtime& doors) {
  Reactor& other = doors.shard(ShardId(1));
  const std::string text = co_await submit_to(other, [] { return std::string("plain"); });
  EXPECT_EQ(text, "plain");
  const int doubled = co_await submit_to(other, [] { return doubled_after_sleep(21); });
  EXPECT_EQ(doubled, 42);
  bool ran = false;
  co_await submit_to(other, [&ran] { ran = true; });
  EXPECT_TRUE(ran);
  co_await submit_to(other, [] { return short_sleep(); });
  const int inline_value = co_await submit_to(doors.shard(ShardId(0)), [] { return 7; });
  EXPECT_EQ(inline_value, 7);
  EXPECT_EQ(Reactor::current().shard(), ShardId(0));
}
TYPED_TEST_P(ReactorConformance, SubmitToRunsThereAndResumesHere) {
  this->world.run([this] { return submit_all_forms(this->world.doors()); });
}

inline Task<void> timers_in_order() {
  Reactor& here = Reactor::current();
  std::vector<int> seen;
  Event all;
  const base::MonoTime begin = here.now();
  here.call_at(begin + 30ms, [&] { seen.push_back(3); });
  here.call_at(begin + 20ms, [&] { seen.push_back(1); });
  here.call_at(begin + 20ms, [&] { seen.push_back(2); });
  const TimerId cancelled = here.call_at(begin + 25ms, [&] { seen.push_back(99); });
  here.call_at(begin - 1ms, [&] { seen.push_back(0); });
  EXPECT_TRUE(seen.empty()) << "a due timer ran inside call_at()";
  here.call_at(begin + 40ms, [&] { all.set(); });
  here.cancel_timer(cancelled);
  here.cancel_timer(cancelled);
  here.cancel_timer(0);
  co_await all.wait();
  EXPECT_GE(here.now(), begin + 40ms) << "a timer was early";
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3}));
}
TYPED_TEST_P(ReactorConformance, TimersRunInOrderOfTimeThenCreation) {
  this->world.run([] { return timers_in_order(); });
}

inline Task<void> many_timers() {
  constexpr int timer_count = 100'000;
  Reactor& here = Reactor::current();
  std::vector<TimerId> ids;
  int fired = 0;
  Event last;
  const base::MonoTime begin = here.now();
  for (int i = 0; i < timer_count; ++i) {
    ids.push_back(here.call_at(begin + 1ms * (i % 50), [&] { ++fired; }));
  }
  for (int i = 0; i < timer_count; i += 2) here.cancel_timer(ids[static_cast<std::size_t>(i)]);
  here.call_at(begin + 51ms, [&] { last.set(); });
  co_await last.wait();
  EXPECT_EQ(fired, timer_count / 2);
}
TYPED_TEST_P(ReactorConformance, AHundredThousandTimersHalfOfThemCancelled) {
  this->world.run([] { return many_timers(); });
}

inline Task<void> clocks_and_chance(Runtime& doors) {
  Reactor& here = Reactor::current();
  const base::MonoTime begin = here.now();
  const base::WallMs wall = here.wall_now_ms();
  EXPECT_GT(wall, 1'600'000'000'000) << "not in milliseconds since 1970";
  EXPECT_EQ(co_await sleep_for(3ms), Wake::timeout);
  EXPECT_GE(here.now() - begin, 3ms);
  std::vector<std::uint64_t> bits;
  for (int i = 0; i < 100; ++i) bits.push_back(here.random());
  for (int i = 0; i < 100; ++i)
    bits.push_back(co_await submit_to(doors.shard(ShardId(1)), [] { return Reactor::current().random(); }));
  std::ranges::sort(bits);
  EXPECT_EQ(std::ranges::adjacent_find(bits), bits.end()) << "random bits repeat";
}
TYPED_TEST_P(ReactorConformance, ClocksRunAndChanceDiffersByShard) {
  this->world.run([this] { return clocks_and_chance(this->world.doors()); });
}

inline Task<void> blocking_jobs(Runtime& doors) {
  const int value = co_await doors.blocking->run([] { return 5; });
  EXPECT_EQ(value, 5);
  bool ran = false;
  co_await doors.blocking->run([&ran] { ran = true; });
  EXPECT_TRUE(ran);
  EXPECT_EQ(Reactor::current().shard(), ShardId(0));
}
TYPED_TEST_P(ReactorConformance, BlockingJobsComeBackToTheirShard) {
  this->world.run([this] { return blocking_jobs(this->world.doors()); });
}

REGISTER_TYPED_TEST_SUITE_P(ReactorConformance, PostsRunLaterAndInOrder, PostsToAnotherShardKeepTheirOrder,
                            SubmitToRunsThereAndResumesHere, TimersRunInOrderOfTimeThenCreation,
                            AHundredThousandTimersHalfOfThemCancelled, ClocksRunAndChanceDiffersByShard,
                            BlockingJobsComeBackToTheirShard);

}  // namespace weir::runtime::testing
