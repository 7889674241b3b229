// upload/core/trigger.h: when an upload starts, and when to look again. Pure.
// Why:        few large PUTs cost least, but age bounds what a takeover must recover, and the WAL is small: whichever comes
// first. Contract:   decide() is a function of its inputs; at equal causes the earlier in the enum is named. Tests:
// upload/core/trigger_test.cc (table).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/units.h"

namespace weir::upload {

enum class Cause : std::uint8_t {
  none,
  flush,     ///< a clean stop wants everything uploaded
  size,      ///< the backlog fills an object (or its share of the WAL)
  age,       ///< the oldest un-uploaded batch is old
  pressure,  ///< the WAL fills although the backlog is small: few old batches hold many segments
};
inline constexpr std::size_t cause_count = 5;
std::string_view to_string(Cause cause);

struct TriggerLimits {
  std::uint64_t size_bytes = 64U << 20U;          ///< weir.upload.size: payload of one object at most
  base::Duration age = std::chrono::seconds(60);  ///< weir.upload.age
  std::uint64_t backlog_bytes_max = 256U << 20U;  ///< what 0.5 s of the volume's read rate recovers
  std::uint64_t wal_size_bytes = 0;               ///< 0: not known
};

struct BacklogState {
  std::uint64_t backlog_bytes = 0;
  base::Duration oldest_age{};
  std::uint64_t wal_used_bytes = 0;
  bool flush = false;
};

/// The backlog at which an upload starts: an object's size, but never more than a quarter of the WAL or half of
/// backlog_bytes_max (while one object is on its way, the next one gathers).
[[nodiscard]] std::uint64_t start_bytes(const TriggerLimits& limits);
[[nodiscard]] Cause decide(const TriggerLimits& limits, const BacklogState& state);

inline constexpr base::Duration poll_min = std::chrono::milliseconds(10);
inline constexpr base::Duration poll_max = std::chrono::milliseconds(250);
/// How long to wait before looking again, from how fast the backlog grew since the last look.
[[nodiscard]] base::Duration next_look(const TriggerLimits& limits, const BacklogState& now, std::uint64_t backlog_before_bytes,
                                       base::Duration since_last_look);

inline constexpr base::Duration backoff_first = std::chrono::milliseconds(100);
inline constexpr base::Duration backoff_max = std::chrono::seconds(5);
/// The wait after the n-th failure in a row (1, 2, ...): doubled each time up to backoff_max, a random half of it taken off
/// (many brokers must not return to a recovering store in step).
[[nodiscard]] base::Duration backoff(std::uint32_t failures, std::uint64_t random);

}  // namespace weir::upload
