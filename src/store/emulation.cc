#include "store/emulation.h"

#include <algorithm>
#include <array>

#include "runtime/sync.h"

namespace weir::store {
namespace {

using std::chrono::milliseconds;

// Where the figures come from: docs/emulation.md.
constexpr std::array<StoreProfile, 2> profiles = {{
    {.name = "s3-standard",
     .read = {.median = milliseconds(30), .p99 = milliseconds(150)},
     .write = {.median = milliseconds(50), .p99 = milliseconds(250)},
     .bytes_per_second = 85'000'000},
    {.name = "s3-express",
     .read = {.median = milliseconds(4), .p99 = milliseconds(10)},
     .write = {.median = milliseconds(5), .p99 = milliseconds(15)},
     .bytes_per_second = 85'000'000},
}};

}  // namespace

std::span<const StoreProfile> store_profiles() { return profiles; }

const StoreProfile* find_store_profile(std::string_view name) {
  const auto* found = std::ranges::find(profiles, name, &StoreProfile::name);
  return found == profiles.end() ? nullptr : found;
}

// The profile lives for ever: there is no other way to get one.
runtime::Task<void> withhold(const StoreProfile& profile, bool is_put, base::MonoTime begin, std::uint64_t size_bytes) {
  const base::Duration first_byte =
      runtime::sample_latency(is_put ? profile.write : profile.read, runtime::Reactor::current().random());
  const double transfer_seconds = static_cast<double>(size_bytes) / static_cast<double>(profile.bytes_per_second);
  (void)co_await runtime::sleep_until(begin + first_byte + base::Duration(static_cast<std::int64_t>(transfer_seconds * 1e9)));
}

}  // namespace weir::store
