// store/s3/hedge.h: how long a get is waited for before the same is asked once more beside it.
// Why:        one request in some hundreds takes ten times as long as the others for no reason of ours; asking again costs a GET and
//             takes seconds off a reader's worst case.
// Contract:   pure; one per shard. Patience is learned per class of size from the last answers: what 19 of 20 stayed under, at least
//             hedge_medians medians (an even store is never hedged) and hedge_patience_min. Unknown until a class has answers.
// Invariants: none for hedge_pause after the store asked for less load.
// Limits:     hedge_samples per class; hedge_bytes_max.
// Tests:      store/s3/hedge_test.cc, store/s3_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/units.h"

namespace weir::store::s3 {

inline constexpr std::uint64_t hedge_bytes_max = std::uint64_t{8} << 20U;  ///< larger gets are bound by bandwidth, not by luck
inline constexpr std::size_t hedge_samples = 64;
inline constexpr std::size_t hedge_samples_min = 20;
inline constexpr int hedge_medians = 3;
inline constexpr base::Duration hedge_patience_min = std::chrono::milliseconds(20);
inline constexpr base::Duration hedge_pause = std::chrono::seconds(10);

class HedgeClock {
 public:
  /// A get took that long; one that was given up counts with what it had waited.
  void record(std::uint64_t size_bytes, base::Duration took);
  /// The store asked for less load.
  void slow_down(base::MonoTime now) { paused_until_ = now + hedge_pause; }
  [[nodiscard]] bool paused(base::MonoTime now) const { return now < paused_until_; }
  /// Nothing: do not hedge.
  [[nodiscard]] std::optional<base::Duration> patience(std::uint64_t size_bytes, base::MonoTime now) const;

 private:
  struct Class {
    std::array<base::Duration, hedge_samples> took{};
    std::size_t count = 0;  ///< ever
  };
  static constexpr std::size_t class_count = 3;
  static std::size_t class_of(std::uint64_t size_bytes);
  std::array<Class, class_count> classes_;
  base::MonoTime paused_until_{};
};

}  // namespace weir::store::s3
