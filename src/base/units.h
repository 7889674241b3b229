// base/units.h: sizes and times with their unit in the name.
#pragma once

#include <chrono>
#include <cstdint>

namespace weir::base {

inline namespace literals {
constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10U; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20U; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30U; }
}  // namespace literals

using Duration = std::chrono::nanoseconds;

/// Monotonic time of the door that the broker was built with (CLOCK_BOOTTIME, or the simulator's virtual time).
struct MonoClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonoClock>;
  static constexpr bool is_steady = true;
};
using MonoTime = MonoClock::time_point;

/// Wall time as Kafka counts it: milliseconds since 1970-01-01 UTC. -1 = none.
using WallMs = std::int64_t;

}  // namespace weir::base
