// store/check.h: whether a store keeps the promises that weir rests on, found out by trying them.
// Why:        servers that speak S3 differ where it hurts: some accept If-None-Match and ignore it, some list what is gone. Who
//             trusts such a store with data learns it from a lost record; this tells before.
// Contract:   check_store() works only under `prefix` + check_prefix + a random name and removes what it made. It goes on after a
//             failed step when the next ones still mean something. A store that cannot be written to at all ends it.
// Failure:    each step's own: `ok` false and a text that says what was seen and what it would cost.
// Limits:     check_body_bytes, check_race_rounds of check_race_writers, check_list_objects; about 150 calls.
// Tests:      store/check_test.cc (honest and cheating stores)
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/task.h"
#include "store/store.h"

namespace weir::store {

/// What a check that was cut off left behind stands below this, and may go.
inline constexpr std::string_view check_prefix = "weir-check/";
inline constexpr std::size_t check_body_bytes = std::size_t{5} << 20U;
inline constexpr std::size_t check_calls_max = 500;  ///< above what it makes when nothing is repeated
inline constexpr int check_race_rounds = 5;
inline constexpr int check_race_writers = 6;
inline constexpr int check_list_objects = 25;

struct CheckStep {
  std::string name;
  bool ok = false;
  std::string text;  ///< what was seen; of a failure also what it would cost
  base::Duration took{};
};

/// `told` hears of each step as it ends (may be empty). The store outlives the call.
runtime::Task<std::vector<CheckStep>> check_store(ObjectStore* store, std::string prefix,
                                                  std::function<void(const CheckStep&)> told);

}  // namespace weir::store
