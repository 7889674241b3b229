// cli/offset_spec.h: where to begin and end reading, in the words of `weir consume -o` and `weir group seek --to`.
// Why:        people ask for times, for the last few records, for a piece in the middle; kcat and rpk have taught them how.
// Contract:   pure: the clock is an argument. start|end, N, +N (after the start), -N (before the end), A:B, :B, @TIME, @TIME:TIME,
//             @TIME:LENGTH, @TIME:end, and kcat's beginning, s@TIME, e@TIME. A time is 13 digits (ms), 9 or 10 digits (s),
//             YYYY-MM-DD[THH:MM[:SS[.mmm]]][Z|+HH:MM], or -LENGTH before now; a length is like 90s, 1h30m, 2d, 1w. Times without
//             a zone are UTC.
// Tests:      cli/offset_spec_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace weir::cli {

struct OffsetBound {
  enum class From : std::uint8_t { zero, start, end, time };
  From from = From::start;
  std::int64_t value = 0;  ///< added to the partition's start or end; the offset itself; or milliseconds since 1970
  bool operator==(const OffsetBound&) const = default;
};

struct OffsetSpec {
  OffsetBound begin;
  std::optional<OffsetBound> end;  ///< the first offset that is not wanted; the end as it is when the command starts
  bool operator==(const OffsetSpec&) const = default;
};

/// Several words are allowed where each gives another side (kcat's `-o s@T1 -o e@T2`).
[[nodiscard]] base::Result<OffsetSpec> parse_offset_spec(const std::vector<std::string>& words, std::int64_t now_ms);
/// A single place, without a range.
[[nodiscard]] base::Result<OffsetBound> parse_offset_bound(std::string_view word, std::int64_t now_ms);
/// A time in milliseconds since 1970.
[[nodiscard]] base::Result<std::int64_t> parse_time(std::string_view text, std::int64_t now_ms);
/// A length of time in milliseconds: 1h30m, 250ms; a unit is needed.
[[nodiscard]] std::optional<std::int64_t> parse_length_ms(std::string_view text);

/// The offset that a bound means in a partition with this start and end; `at_time`: what ListOffsets said (-1: nothing so late,
/// which means the end).
[[nodiscard]] std::int64_t resolve(const OffsetBound& bound, std::int64_t start, std::int64_t end, std::int64_t at_time);

}  // namespace weir::cli
