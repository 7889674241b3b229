#include "runtime/timer_heap.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

base::MonoTime at(std::int64_t ns) { return base::MonoTime(base::Duration(ns)); }

// Against a sorted list: random adds, removals (also of old ids) and pops give the same sequence.
TEST(TimerHeap, AgreesWithASortedListUnderRandomUse) {
  struct Entry {
    std::int64_t when;
    int number;
    TimerId id;
  };
  for (unsigned seed = 0; seed < 5; ++seed) {
    std::mt19937 random(seed);
    TimerHeap heap;
    std::vector<Entry> model;
    std::vector<TimerId> finished;
    std::vector<int> fired;
    int next_number = 0;
    for (int step = 0; step < 5000; ++step) {
      const unsigned choice = random() % 10;
      if (choice < 5) {
        const std::int64_t when = random() % 200;
        const int number = next_number++;
        const TimerId id = heap.add(at(when), [&fired, number] { fired.push_back(number); });
        ASSERT_NE(id, 0U);
        model.push_back({when, number, id});
      } else if (choice < 7 && !model.empty()) {
        const std::size_t index = random() % model.size();
        ASSERT_TRUE(heap.remove(model[index].id));
        ASSERT_FALSE(heap.remove(model[index].id));
        finished.push_back(model[index].id);
        model.erase(model.begin() + static_cast<std::ptrdiff_t>(index));
      } else if (choice < 8 && !finished.empty()) {
        ASSERT_FALSE(heap.remove(finished[random() % finished.size()])) << "an old id removed somebody else's timer";
      } else {
        const std::int64_t now = random() % 200;
        const auto first = std::ranges::min_element(model, {}, [](const Entry& e) { return std::pair(e.when, e.number); });
        auto due = heap.pop_due(at(now));
        ASSERT_EQ(due.has_value(), first != model.end() && first->when <= now);
        if (due) {
          (*due)();
          ASSERT_EQ(fired.back(), first->number);
          finished.push_back(first->id);
          model.erase(first);
        }
      }
      ASSERT_EQ(heap.size(), model.size());
      if (!model.empty()) { ASSERT_EQ(heap.earliest(), at(std::ranges::min_element(model, {}, &Entry::when)->when)); }
    }
  }
}

TEST(TimerHeap, KnowsNoIdOfAnEmptyHeap) {
  TimerHeap heap;
  EXPECT_FALSE(heap.remove(0));
  EXPECT_FALSE(heap.remove(TimerId{1} << 32U));
  EXPECT_FALSE(heap.pop_due(at(1)).has_value());
}

}  // namespace
}  // namespace weir::runtime
