#include "upload/core/trigger.h"

#include <algorithm>

namespace weir::upload {
namespace {
// A nearly full WAL uploads what there is, but not object after object of a few bytes.
constexpr base::Duration pressure_age_min = std::chrono::seconds(1);
constexpr std::uint64_t pressure_share_min = 8;
}  // namespace

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::none: return "none";
    case Cause::flush: return "flush";
    case Cause::size: return "size";
    case Cause::age: return "age";
    case Cause::pressure: return "pressure";
  }
  return "unknown";
}

std::uint64_t start_bytes(const TriggerLimits& limits) {
  std::uint64_t start = std::min(limits.size_bytes, limits.backlog_bytes_max / 2);
  if (limits.wal_size_bytes > 0) start = std::min(start, limits.wal_size_bytes / 4);
  return std::max<std::uint64_t>(start, 1);
}

Cause decide(const TriggerLimits& limits, const BacklogState& state) {
  if (state.backlog_bytes == 0) return Cause::none;
  if (state.flush) return Cause::flush;
  const std::uint64_t start = start_bytes(limits);
  if (state.backlog_bytes >= start) return Cause::size;
  if (state.oldest_age >= limits.age) return Cause::age;
  const bool nearly_full = limits.wal_size_bytes > 0 && state.wal_used_bytes >= limits.wal_size_bytes / 4 * 3;
  const bool worth_it = state.backlog_bytes >= start / pressure_share_min || state.oldest_age >= pressure_age_min;
  if (nearly_full && worth_it) return Cause::pressure;
  return Cause::none;
}

base::Duration next_look(const TriggerLimits& limits, const BacklogState& now, std::uint64_t backlog_before_bytes,
                         base::Duration since_last_look) {
  base::Duration wait = poll_max;
  if (now.backlog_bytes > 0) wait = std::min(wait, std::max(limits.age - now.oldest_age, base::Duration::zero()));
  const std::uint64_t start = start_bytes(limits);
  if (now.backlog_bytes > backlog_before_bytes && since_last_look > base::Duration::zero() && now.backlog_bytes < start) {
    const double grown = static_cast<double>(now.backlog_bytes - backlog_before_bytes);
    const double until_start =
        static_cast<double>(start - now.backlog_bytes) / grown * static_cast<double>(since_last_look.count());
    if (until_start < static_cast<double>(wait.count())) wait = base::Duration(static_cast<std::int64_t>(until_start));
  }
  return std::clamp(wait, poll_min, poll_max);
}

base::Duration backoff(std::uint32_t failures, std::uint64_t random) {
  const std::uint32_t doublings = std::min<std::uint32_t>(failures > 0 ? failures - 1 : 0, 16);
  const base::Duration whole = std::min(backoff_first * (std::int64_t{1} << doublings), base::Duration(backoff_max));
  const std::int64_t half = whole.count() / 2;
  return base::Duration(half + static_cast<std::int64_t>(random % static_cast<std::uint64_t>(half + 1)));
}

}  // namespace weir::upload
