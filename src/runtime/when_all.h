// runtime/when_all.h: several tasks side by side on this shard, begun at once and in order, joined together.
// Contract:   each task runs inline up to its first suspension, in the order of the vector, before when_all() suspends: order of
//             effects before the first suspension is the order of the tasks. No task is cancelled by another's end.
// Tests:      runtime/when_all_test.cc
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/submit.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::runtime {

namespace detail {
template <class T>
Carrier carry_one(Task<T> task, std::optional<T>* slot, std::size_t* left, Event* done) {
  slot->emplace(co_await task);
  if (--*left == 0) done->set();
}
}  // namespace detail

template <class T>
Task<std::vector<T>> when_all(std::vector<Task<T>> tasks) {
  std::vector<std::optional<T>> slots(tasks.size());
  std::size_t left = tasks.size();
  Event done;
  for (std::size_t i = 0; i < tasks.size(); ++i) detail::carry_one<T>(std::move(tasks[i]), &slots[i], &left, &done);
  while (left > 0) (void)co_await done.wait();
  std::vector<T> results;
  results.reserve(slots.size());
  for (std::optional<T>& slot : slots) results.push_back(std::move(*slot));
  co_return results;
}

}  // namespace weir::runtime
