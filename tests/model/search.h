// tests/model/search.h: depth-first search of every state of a small world, each visited once.
// Limits:     states_max per search (reaching it is a failure of the test, not a silent end); paths_max steps deep.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "world.h"

namespace weir::model_test {

struct Outcome {
  std::uint64_t states = 0;
  std::uint64_t steps = 0;
  bool exhausted = false;             ///< every reachable state was seen
  std::optional<std::string> broken;  ///< the promise that broke
  std::vector<std::string> trace;     ///< the steps that led there
};

/// Stops at the first broken promise, or at states_max.
Outcome search(const Limits& limits, std::uint64_t states_max);

}  // namespace weir::model_test
