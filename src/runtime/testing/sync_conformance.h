// runtime/testing/sync_conformance.h: waits, scopes and stops, on a real or simulated reactor.
// Contract:   a World as for reactor_conformance.h.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/sync.h"
#include "runtime/testing/co_assert.h"

namespace weir::runtime::testing {

using namespace std::chrono_literals;

template <class World>
class SyncConformance : public ::testing::Test {
 protected:
  World world;
};
TYPED_TEST_SUITE_P(SyncConformance);

inline Task<void> wait_and_note(Event& event, base::MonoTime deadline, Stop* stop, std::vector<std::string>& notes,
                                std::string name) {
  const Wake why = co_await event.wait(deadline, stop);
  notes.push_back(name + (why == Wake::ready ? " ready" : why == Wake::timeout ? " timeout" : " stopped"));
}

inline Task<void> event_ways() {
  std::vector<std::string> notes;
  Event event;
  Stop stop;
  Scope scope;
  const base::MonoTime begin = Reactor::current().now();
  scope.spawn("a", wait_and_note(event, no_deadline, nullptr, notes, "a"));
  scope.spawn("b", wait_and_note(event, begin + 10ms, &stop, notes, "b"));
  scope.spawn("c", wait_and_note(event, begin + 500s, &stop, notes, "c"));
  co_await sleep_for(20ms);
  EXPECT_EQ(notes, (std::vector<std::string>{"b timeout"}));
  stop.request();
  EXPECT_EQ(notes.size(), 1U) << "a waiter ran inside request()";
  co_await yield();
  EXPECT_EQ(notes.back(), "c stopped");
  event.pulse();
  EXPECT_EQ(notes.size(), 2U) << "a waiter ran inside pulse()";
  co_await scope.join();
  EXPECT_EQ(notes.back(), "a ready");
  EXPECT_FALSE(event.is_set());
  EXPECT_EQ(co_await event.wait(no_deadline, &stop), Wake::stopped) << "the stop was there before";
  EXPECT_EQ(co_await event.wait(Reactor::current().now() - 1s), Wake::timeout);
  event.set();
  EXPECT_EQ(co_await event.wait(no_deadline, &stop), Wake::ready) << "what is ready comes before the stop";
  event.reset();
  EXPECT_EQ(co_await event.wait(Reactor::current().now() + 1ms), Wake::timeout);
}
TYPED_TEST_P(SyncConformance, AWaitEndsByEventDeadlineOrStop) {
  this->world.run([] { return event_ways(); });
}

// The first of several reasons wins, and the event may be gone before the waiter runs.
inline Task<void> wake_then_destroy() {
  std::vector<std::string> notes;
  Stop stop;
  Scope scope;
  auto event = std::make_unique<Event>();
  scope.spawn("a", wait_and_note(*event, no_deadline, &stop, notes, "a"));
  scope.spawn("b", wait_and_note(*event, no_deadline, &stop, notes, "b"));
  co_await sleep_for(1ms);
  event->pulse();
  stop.request();
  event.reset();
  co_await scope.join();
  EXPECT_EQ(notes, (std::vector<std::string>{"a ready", "b ready"}));
}
TYPED_TEST_P(SyncConformance, TheFirstReasonWinsAndTheEventMayGo) {
  this->world.run([] { return wake_then_destroy(); });
}

inline Task<void> sleeps() {
  Stop stop;
  const base::MonoTime begin = Reactor::current().now();
  EXPECT_EQ(co_await sleep_for(5ms, &stop), Wake::timeout);
  EXPECT_GE(Reactor::current().now() - begin, 5ms);
  EXPECT_EQ(co_await sleep_until(begin), Wake::timeout);
  Reactor::current().call_at(Reactor::current().now() + 5ms, [&stop] { stop.request(); });
  EXPECT_EQ(co_await sleep_for(1000s, &stop), Wake::stopped);
  EXPECT_EQ(co_await sleep_for(1000s, &stop), Wake::stopped);
  int later = 0;
  Reactor::current().post([&later] { later = 1; });
  co_await yield();
  EXPECT_EQ(later, 1);
}
TYPED_TEST_P(SyncConformance, SleepsEndInTimeOrByStop) {
  this->world.run([] { return sleeps(); });
}

inline Task<void> stop_callbacks() {
  Stop stop;
  std::vector<int> order;
  {
    const Stop::Callback first(&stop, [&] { order.push_back(1); });
    auto gone = std::make_unique<Stop::Callback>(&stop, [&] { order.push_back(99); });
    const Stop::Callback second(&stop, [&] { order.push_back(2); });
    gone.reset();
    stop.request();
    stop.request();
  }
  const Stop::Callback late(&stop, [&] { order.push_back(3); });
  const Stop::Callback none(nullptr, [&] { order.push_back(99); });
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  co_return;
}
TYPED_TEST_P(SyncConformance, StopCallbacksRunOnceInOrder) {
  this->world.run([] { return stop_callbacks(); });
}

inline Task<void> wait_completion(Completion<std::string>& completion, std::string& heard) {
  if (co_await completion.wait() == Wake::ready) heard = completion.value();
}
inline Task<void> completions() {
  Completion<std::string> completion;
  EXPECT_EQ(co_await completion.wait(Reactor::current().now() + 1ms), Wake::timeout);
  std::string a;
  std::string b;
  Scope scope;
  scope.spawn("a", wait_completion(completion, a));
  scope.spawn("b", wait_completion(completion, b));
  co_await yield();
  EXPECT_TRUE(completion.complete("first"));
  EXPECT_FALSE(completion.complete("second"));
  co_await scope.join();
  EXPECT_EQ(a, "first");
  EXPECT_EQ(b, "first");
  EXPECT_EQ(completion.take(), "first");
}
TYPED_TEST_P(SyncConformance, ACompletionKeepsItsFirstValue) {
  this->world.run([] { return completions(); });
}

inline Task<void> produce_numbers(Channel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) {
    EXPECT_LE(channel.size(), 3U);
    EXPECT_TRUE(co_await channel.push(i));
  }
  channel.close();
}
inline Task<void> channels() {
  Channel<int> channel(3);
  Scope scope;
  scope.spawn("produce", produce_numbers(channel, 100));
  for (int i = 0; i < 100; ++i) {
    const std::optional<int> got = co_await channel.pop();
    CO_ASSERT_TRUE(got.has_value());
    EXPECT_EQ(*got, i);
  }
  EXPECT_FALSE((co_await channel.pop()).has_value()) << "closed and drained";
  EXPECT_FALSE(co_await channel.push(1));
  co_await scope.join();

  Channel<int> other(1);
  EXPECT_TRUE(other.try_push(7));
  EXPECT_FALSE(other.try_push(8)) << "full";
  Stop stop;
  Reactor::current().call_at(Reactor::current().now() + 2ms, [&stop] { stop.request(); });
  EXPECT_FALSE(co_await other.push(9, &stop)) << "stopped while full";
  EXPECT_EQ(other.try_pop(), 7);
  EXPECT_FALSE((co_await other.pop(Reactor::current().now() + 2ms)).has_value()) << "deadline";
  EXPECT_FALSE((co_await other.pop(no_deadline, &stop)).has_value()) << "stopped";
}
TYPED_TEST_P(SyncConformance, AChannelIsBoundedOrderedAndClosable) {
  this->world.run([] { return channels(); });
}

inline Task<void> take_units(Semaphore& semaphore, std::size_t units, Stop* stop, std::vector<std::size_t>& order) {
  if (co_await semaphore.acquire(units, no_deadline, stop) == Wake::ready) order.push_back(units);
}
inline Task<void> semaphores() {
  Semaphore semaphore(10);
  EXPECT_EQ(co_await semaphore.acquire(10), Wake::ready);
  EXPECT_FALSE(semaphore.try_acquire(1));
  std::vector<std::size_t> order;
  Scope scope;
  Stop leaves;
  scope.spawn("6", take_units(semaphore, 6, nullptr, order));
  scope.spawn("8", take_units(semaphore, 8, &leaves, order));
  scope.spawn("1", take_units(semaphore, 1, nullptr, order));
  co_await yield();
  co_await yield();
  semaphore.release(5);
  co_await yield();
  EXPECT_TRUE(order.empty()) << "a small request passed a large one in front of it";
  EXPECT_FALSE(semaphore.try_acquire(1)) << "passed the queue";
  semaphore.release(3);
  EXPECT_EQ(semaphore.available(), 2U) << "granted before the waiter runs, so that nobody comes between";
  leaves.request();
  co_await scope.join();
  EXPECT_EQ(order, (std::vector<std::size_t>{6, 1})) << "the one that left made way";
  semaphore.release(9);
  EXPECT_EQ(semaphore.available(), 10U);
  EXPECT_EQ(co_await semaphore.acquire(10), Wake::ready);
  EXPECT_EQ(co_await semaphore.acquire(1, Reactor::current().now() + 1ms), Wake::timeout);
  semaphore.release(10);
  EXPECT_EQ(semaphore.available(), 10U);

  Stop stop;
  stop.request();
  EXPECT_EQ(co_await semaphore.acquire(11, no_deadline, &stop), Wake::ready) << "more than the total: when all are free";
  EXPECT_EQ(semaphore.available(), 0U);
  EXPECT_EQ(co_await semaphore.acquire(1, no_deadline, &stop), Wake::stopped);
  semaphore.release(11);
  EXPECT_EQ(semaphore.available(), 10U);
}
TYPED_TEST_P(SyncConformance, ASemaphoreServesInOrder) {
  this->world.run([] { return semaphores(); });
}

inline Task<void> until_stopped(Stop& stop, int& ended_count) {
  EXPECT_EQ(co_await sleep_for(1000s, &stop), Wake::stopped);
  co_await sleep_for(1ms);
  ++ended_count;
}
inline Task<void> scopes() {
  int ended_count = 0;
  Scope scope;
  for (int i = 0; i < 50; ++i) scope.spawn("until_stopped", until_stopped(scope.stop_token(), ended_count));
  EXPECT_EQ(scope.running_count(), 50U);
  EXPECT_FALSE(scope.stopping());
  co_await yield();
  EXPECT_EQ(ended_count, 0);
  co_await scope.stop();
  EXPECT_TRUE(scope.stopping());
  EXPECT_EQ(ended_count, 50);
  EXPECT_EQ(scope.running_count(), 0U);
  co_await scope.stop();
  co_await scope.join();
}
TYPED_TEST_P(SyncConformance, AScopeStopsAndJoinsItsTasks) {
  this->world.run([] { return scopes(); });
}

inline Task<int> count_down(int n) {
  if (n == 0) co_return 0;
  co_return 1 + co_await count_down(n - 1);
}
inline Task<void> long_loop() {
  for (int i = 0; i < 200'000; ++i) EXPECT_EQ(co_await count_down(0), 0);
}
TYPED_TEST_P(SyncConformance, TasksNestAndLoopWithoutGrowingTheStack) {
  EXPECT_EQ(this->world.run([] { return count_down(10'000); }), 10'000);
  this->world.run([] { return long_loop(); });
}

REGISTER_TYPED_TEST_SUITE_P(SyncConformance, AWaitEndsByEventDeadlineOrStop, TheFirstReasonWinsAndTheEventMayGo,
                            SleepsEndInTimeOrByStop, StopCallbacksRunOnceInOrder, ACompletionKeepsItsFirstValue,
                            AChannelIsBoundedOrderedAndClosable, ASemaphoreServesInOrder, AScopeStopsAndJoinsItsTasks,
                            TasksNestAndLoopWithoutGrowingTheStack);

}  // namespace weir::runtime::testing
