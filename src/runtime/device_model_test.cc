#include "runtime/device_model.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

using std::chrono::duration;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr base::MonoTime start{base::Duration(seconds(1000))};

std::uint64_t splitmix(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31U);
}

double in_seconds(base::Duration time) { return duration<double>(time).count(); }

TEST(DeviceModel, LatenciesHaveTheirMedianAndTail) {
  for (const DeviceProfile& profile : device_profiles()) {
    for (const LatencyShape& shape : {profile.read, profile.write}) {
      std::uint64_t state = 7;
      std::vector<base::Duration> samples(200'000);
      for (base::Duration& sample : samples) sample = sample_latency(shape, splitmix(state));
      std::ranges::sort(samples);
      const auto at = [&](double p) {
        return in_seconds(samples[static_cast<std::size_t>(p * static_cast<double>(samples.size()))]);
      };
      EXPECT_NEAR(at(0.5) / in_seconds(shape.median), 1, 0.02) << profile.name;
      EXPECT_NEAR(at(0.99) / in_seconds(shape.p99), 1, 0.05) << profile.name;
      EXPECT_GT(samples.front(), base::Duration::zero());
    }
  }
}

TEST(DeviceModel, TheTailEnds) {
  const LatencyShape shape{.median = milliseconds(1), .p99 = milliseconds(5)};
  EXPECT_LT(sample_latency(shape, UINT64_MAX), milliseconds(25));
  EXPECT_GT(sample_latency(shape, 0), base::Duration::zero());
}

// When the last of `count` operations that were all begun at once completes, less its latency.
double last_admitted(const DeviceProfile& profile, int count, std::uint64_t size_bytes) {
  DeviceModel model(profile);
  std::uint64_t state = 3;
  base::MonoTime last = start;
  for (int i = 0; i < count; ++i) {
    const std::uint64_t random = splitmix(state);
    last = model.completes_at(start, DeviceOperation::write, size_bytes, random) - sample_latency(profile.write, random);
  }
  return in_seconds(last - start);
}

TEST(DeviceModel, OperationsAreLimited) {
  const double burst = in_seconds(DeviceModel::burst_max);
  EXPECT_NEAR(last_admitted(*find_device_profile("fsx"), 10'240, 4096), 10 - burst, 0.01);
  EXPECT_NEAR(last_admitted(*find_device_profile("gp3"), 30'000, 4096), 10 - burst, 0.01);
  EXPECT_NEAR(last_admitted(*find_device_profile("io2"), 160'000, 4096), 10 - burst, 0.01);
}

TEST(DeviceModel, BytesAreLimited) {
  const double burst = in_seconds(DeviceModel::burst_max);
  EXPECT_NEAR(last_admitted(*find_device_profile("fsx"), 2'450, 1'000'000), 10 - burst, 0.01);
  EXPECT_NEAR(last_admitted(*find_device_profile("gp3"), 1'250, 1'000'000), 10 - burst, 0.01);
}

TEST(DeviceModel, LargeOperationsCountAsSeveral) {
  DeviceProfile profile = *find_device_profile("gp3");
  profile.bytes_per_second = UINT64_C(1) << 60U;
  EXPECT_NEAR(last_admitted(profile, 3000, 1U << 20U), 4 - in_seconds(DeviceModel::burst_max), 0.01);
}

TEST(DeviceModel, BelowItsLimitsNothingWaits) {
  const DeviceProfile& profile = *find_device_profile("fsx");
  DeviceModel model(profile);
  std::uint64_t state = 5;
  for (int i = 0; i < 1000; ++i) {  // 500 operations and 32 MB a second
    const base::MonoTime now = start + i * milliseconds(2);
    const std::uint64_t random = splitmix(state);
    EXPECT_EQ(model.completes_at(now, DeviceOperation::write, 64'000, random) - now, sample_latency(profile.write, random));
  }
}

TEST(DeviceModel, IdlenessIsNotSavedUp) {
  const DeviceProfile& profile = *find_device_profile("fsx");
  DeviceModel model(profile);
  std::uint64_t state = 3;
  (void)model.completes_at(start, DeviceOperation::write, 4096, 1);
  const base::MonoTime later = start + std::chrono::hours(1);
  base::MonoTime last;
  for (int i = 0; i < 1024; ++i) {
    const std::uint64_t random = splitmix(state);
    last = model.completes_at(later, DeviceOperation::write, 4096, random) - sample_latency(profile.write, random);
  }
  EXPECT_NEAR(in_seconds(last - later), 1 - in_seconds(DeviceModel::burst_max), 0.01);
}

}  // namespace
}  // namespace weir::runtime
