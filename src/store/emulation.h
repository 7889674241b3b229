// store/emulation.h: what a local directory adds to each call when it stands for S3: time to the first byte, and a pace per connection.
// Why:        uploads and cold reads take tens of milliseconds in the real world; a local directory hides that (docs/emulation.md).
// Place:      inside the local directory, before a call is counted: the store's metrics show the emulated times.
// Contract:   a call takes the longer of the real and the emulated time. Calls are independent: there is no limit of requests, and
//             each call is a connection of its own, as with S3. Any shard.
// Tests:      store/emulation_test.cc
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "runtime/device_model.h"
#include "runtime/task.h"

namespace weir::store {

struct StoreProfile {
  std::string_view name;
  runtime::LatencyShape read;          ///< GET and everything that changes no object; also removals
  runtime::LatencyShape write;         ///< PUT
  std::uint64_t bytes_per_second = 0;  ///< of one call
};

/// What emulate= of weir.store may name.
[[nodiscard]] std::span<const StoreProfile> store_profiles();
/// nullptr: there is none of this name.
[[nodiscard]] const StoreProfile* find_store_profile(std::string_view name);

/// Waits until a call that began at `begin` may end.
runtime::Task<void> withhold(const StoreProfile& profile, bool is_put, base::MonoTime begin, std::uint64_t size_bytes);

}  // namespace weir::store
