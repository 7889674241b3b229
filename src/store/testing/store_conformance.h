// store/testing/store_conformance.h: what every ObjectStore must do, as cases that a test of each implementation runs.
// Contract:   a case runs on one reactor against a store that may hold foreign objects outside `base` (a key prefix that ends
//             in '/', of its own for each case). Failures are reported through gtest. The cases need no clock and no order.
#pragma once

#include <string>
#include <vector>

#include "runtime/task.h"
#include "store/store.h"

namespace weir::store::testing {

struct ConformanceCase {
  const char* name;
  runtime::Task<void> (*run)(ObjectStore* store, std::string base);
};

[[nodiscard]] const std::vector<ConformanceCase>& conformance_cases();

/// Deterministic bytes that differ by seed, in pieces of uneven size (some of them 4096-aligned runs).
[[nodiscard]] bytes::BufferList test_body(std::uint64_t seed, std::size_t size_bytes, std::size_t piece_bytes = 61'000);
[[nodiscard]] std::uint32_t crc_of(const bytes::BufferList& body);
/// put with the right checksum.
runtime::Task<base::Result<void>> put_body(ObjectStore* store, std::string key, bytes::BufferList body,
                                           bool if_none_match = false);

}  // namespace weir::store::testing
