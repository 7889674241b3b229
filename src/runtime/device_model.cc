#include "runtime/device_model.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace weir::runtime {
namespace {

using std::chrono::microseconds;

// Where the figures come from: docs/emulation.md.
constexpr std::array<DeviceProfile, 4> profiles = {{
    {.name = "fsx",
     .read = {.median = microseconds(700), .p99 = microseconds(3000)},
     .write = {.median = microseconds(700), .p99 = microseconds(3000)},
     .operations_per_second = 1024,
     .bytes_per_second = 245'000'000,
     .io_bytes = 256U << 10U},
    {.name = "gp3",
     .read = {.median = microseconds(800), .p99 = microseconds(4000)},
     .write = {.median = microseconds(800), .p99 = microseconds(4000)},
     .operations_per_second = 3000,
     .bytes_per_second = 125'000'000,
     .io_bytes = 256U << 10U},
    {.name = "io2",
     .read = {.median = microseconds(300), .p99 = microseconds(750)},
     .write = {.median = microseconds(300), .p99 = microseconds(750)},
     .operations_per_second = 16'000,
     .bytes_per_second = 1'000'000'000,
     .io_bytes = 256U << 10U},
    {.name = "nvme",
     .read = {.median = microseconds(90), .p99 = microseconds(250)},
     .write = {.median = microseconds(50), .p99 = microseconds(150)},
     .operations_per_second = 100'000,
     .bytes_per_second = 1'500'000'000,
     .io_bytes = 128U << 10U},
}};

constexpr double p99_z = 2.3263478740408408;  // standard deviations that hold 99 % below them

// The value that a standard normal stays below with probability p, by bisection of erfc: exact enough, and in no hot path.
double normal_quantile(double p) {
  double low = -9;
  double high = 9;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::span<const DeviceProfile> device_profiles() { return profiles; }

const DeviceProfile* find_device_profile(std::string_view name) {
  const auto* found = std::ranges::find(profiles, name, &DeviceProfile::name);
  return found == profiles.end() ? nullptr : found;
}

base::Duration sample_latency(const LatencyShape& shape, std::uint64_t random) {
  constexpr double unit = 1.0 / 9007199254740992.0;  // 2^-53
  const double p = std::min((static_cast<double>(random >> 11U) + 0.5) * unit, DeviceModel::latency_quantile_max);
  const auto median = static_cast<double>(shape.median.count());
  const double sigma = std::log(static_cast<double>(shape.p99.count()) / median) / p99_z;
  return base::Duration(static_cast<std::int64_t>(median * std::exp(sigma * normal_quantile(p))));
}

base::MonoTime DeviceModel::take(base::MonoTime& paid_until, base::MonoTime now, std::uint64_t amount,
                                 std::uint64_t per_second) {
  const double seconds = static_cast<double>(amount) / static_cast<double>(per_second);
  paid_until = std::max(paid_until, now - burst_max) + base::Duration(static_cast<std::int64_t>(seconds * 1e9));
  return std::max(now, paid_until);
}

base::MonoTime DeviceModel::completes_at(base::MonoTime now, DeviceOperation operation, std::uint64_t size_bytes,
                                         std::uint64_t random) {
  const std::uint64_t operations = std::max<std::uint64_t>(1, (size_bytes + profile_.io_bytes - 1) / profile_.io_bytes);
  const base::MonoTime admitted = std::max(take(operations_paid_until_, now, operations, profile_.operations_per_second),
                                           take(bytes_paid_until_, now, size_bytes, profile_.bytes_per_second));
  return admitted + sample_latency(operation == DeviceOperation::read ? profile_.read : profile_.write, random);
}

}  // namespace weir::runtime
