// groups/core/types.h: words that the whole room uses: time, errors, limits, what a member brings.
// Contract:   pure values. api/ turns Errc into Kafka's codes; the names are Kafka's in lower case where Kafka has one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/units.h"
#include "bytes/buffer.h"
#include "model/ids.h"

namespace weir::groups {

/// Both clocks: deadlines live on the monotonic one, what is stored on the wall's.
struct Now {
  base::MonoTime mono{};
  base::WallMs wall = 0;
};

/// Names a request that waits for its answer; 0: nobody waits.
using Ticket = std::uint64_t;
/// Names a write of a group's records until its outcome is known; 0: none.
using WriteId = std::uint64_t;

enum class Errc : std::uint8_t {
  none,
  loading,          ///< the group's partition is being read
  not_coordinator,  ///< not here (any more): find the coordinator again
  unavailable,      ///< not now; whether records of this request were stored is not known
  too_large,        ///< a record does not fit into the log
  invalid_group_id,
  invalid_session_timeout,
  unknown_member_id,
  member_id_required,
  illegal_generation,
  rebalance_in_progress,
  fenced_instance_id,
  inconsistent_protocol,
  group_max_size_reached,
  group_id_not_found,
  non_empty_group,
  subscribed_to_topic,
  offset_metadata_too_large,
  unstable_offset,
};
std::string_view to_string(Errc errc);

/// How long a member that has not got its id yet may wait in a rebalance: its client may be gone, and nothing would tell.
inline constexpr base::Duration new_member_wait_max = std::chrono::minutes(5);
/// Groups of one partition of the topic of groups; past it new ones are refused.
inline constexpr std::size_t groups_per_partition_max = 100'000;

/// Settings, by Kafka's names.
struct Limits {
  std::int32_t session_timeout_min_ms = 6000;      ///< group.min.session.timeout.ms
  std::int32_t session_timeout_max_ms = 1800000;   ///< group.max.session.timeout.ms
  std::int32_t initial_rebalance_delay_ms = 3000;  ///< group.initial.rebalance.delay.ms
  std::size_t size_max = 2147483647;               ///< group.max.size
  std::size_t metadata_length_max = 4096;          ///< offset.metadata.max.bytes
  std::int64_t offsets_retention_ms = 604800000;   ///< offsets.retention.minutes
};

/// One of the protocols that a member can use, with what it says under it (its subscription).
struct Protocol {
  std::string name;
  bytes::Buffer metadata;
};
inline bool same(const bytes::Buffer& a, const bytes::Buffer& b) { return a.text() == b.text(); }

/// What groups.topic stores: one key and its value, or a tombstone.
struct Record {
  bytes::Buffer key;
  std::optional<bytes::Buffer> value;
};

struct TopicIndex {
  std::string topic;
  model::PartitionIndex partition;
  auto operator<=>(const TopicIndex&) const = default;
};

}  // namespace weir::groups
