// store/testing/run_case.h: runs a conformance case against a store of the real machine, from an ordinary test thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/real.h"
#include "store/testing/store_conformance.h"

namespace weir::store::testing {

/// Runs open() -> Task<unique_ptr<ObjectStore>> and the case on shard 0, then stops the store.
void run_case(runtime::RealRuntime* machine, const ConformanceCase& test_case, std::string base,
              std::function<runtime::Task<std::unique_ptr<ObjectStore>>()> open);
/// A machine for tests: warnings only.
std::unique_ptr<runtime::RealRuntime> test_machine(std::uint32_t shard_count = 1);

}  // namespace weir::store::testing
