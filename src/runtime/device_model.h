// runtime/device_model.h: how long an emulated device takes: a latency distribution, and limits of operations and bytes a second.
// Why:        "what would I get on FSx, on gp3?" must be answered on any machine; the answer is a model, and says so (docs/emulation.md).
// Place:      pure; used by emulated_files.h and by the store's emulation.
// Contract:   completes_at() is asked when an operation begins, in the order of their beginnings. Latency is log-normal with the given
//             median and 99th percentile. Each operation takes its tokens first: one for each io_bytes of it, and its bytes; a device that
//             was idle has burst_max worth of them. What an operation waits for tokens comes on top of its latency.
// Invariants: over any span, operations and bytes admitted <= limit x (span + burst_max), plus the one operation that is under way.
// Limits:     latency_quantile_max cuts the distribution's tail, which has no end.
// Tests:      runtime/device_model_test.cc
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/units.h"

namespace weir::runtime {

struct LatencyShape {
  base::Duration median{};
  base::Duration p99{};
};

/// A sample; `random` are 64 random bits.
[[nodiscard]] base::Duration sample_latency(const LatencyShape& shape, std::uint64_t random);

struct DeviceProfile {
  std::string_view name;
  LatencyShape read;
  LatencyShape write;
  std::uint64_t operations_per_second = 0;
  std::uint64_t bytes_per_second = 0;
  std::uint64_t io_bytes = 0;  ///< larger operations count as several
};

/// What weir.wal's emulate= may name.
[[nodiscard]] std::span<const DeviceProfile> device_profiles();
/// nullptr: there is none of this name.
[[nodiscard]] const DeviceProfile* find_device_profile(std::string_view name);

enum class DeviceOperation : std::uint8_t { read, write };

class DeviceModel {
 public:
  static constexpr base::Duration burst_max = std::chrono::milliseconds(10);
  static constexpr double latency_quantile_max = 0.99999;

  explicit DeviceModel(const DeviceProfile& profile) : profile_(profile) {}
  [[nodiscard]] base::MonoTime completes_at(base::MonoTime now, DeviceOperation operation, std::uint64_t size_bytes,
                                            std::uint64_t random);

 private:
  /// Takes `amount` of what comes at `per_second`; the time when it is there.
  static base::MonoTime take(base::MonoTime& paid_until, base::MonoTime now, std::uint64_t amount, std::uint64_t per_second);

  DeviceProfile profile_;
  base::MonoTime operations_paid_until_{};
  base::MonoTime bytes_paid_until_{};
};

}  // namespace weir::runtime
