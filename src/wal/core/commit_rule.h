// wal/core/commit_rule.h: when a shard hands its open group to the lane: group commit without a timer.
// Why:        with an idle device a lone record must go out at once; with a busy one, fewer and larger writes cost less CPU and
//             fewer device operations. How many of a shard's groups are under way says how busy the device is for it.
// Contract:   pure. The more groups are under way, the larger the next one must be.
// Tests:      wal/core/commit_rule_test.cc
#pragma once

#include <cstdint>

namespace weir::wal {

inline constexpr std::uint32_t eager_groups_max = 2;      ///< under way: any size goes
inline constexpr std::uint32_t gathering_groups_max = 4;  ///< under way: from medium_group_bytes on
inline constexpr std::uint32_t medium_group_bytes = 128U << 10U;
inline constexpr std::uint32_t large_group_bytes = 1U << 20U;  ///< up to groups_max under way

[[nodiscard]] constexpr bool may_send_group(std::uint32_t under_way, std::uint64_t group_bytes, std::uint32_t groups_max) {
  if (under_way >= groups_max) return false;
  if (under_way < eager_groups_max) return true;
  if (under_way < gathering_groups_max) return group_bytes >= medium_group_bytes;
  return group_bytes >= large_group_bytes;
}

}  // namespace weir::wal
