// sim/run/plan.h: what one seed does: sizes, clients, and which faults it mixes.
// Why:        swarm testing: a run with every fault on meets few deep states; each seed draws its own mix, and a few have none.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/units.h"
#include "sim/rng.h"

namespace weir::sim {

/// What the nemesis does from time to time.
enum class Action : std::uint8_t {
  kill,
  power_loss,
  crash_at_io,  ///< kill or power loss at the n-th crash point from now
  clean_restart,
  pause,
  stall_shard,
  clock_jump,
  cut_connection,
  partition_network,
  flaky_network,
  disk_errors,
  disk_slow,
  disk_full,
  store_brownout,
  store_errors,
  store_lies,  ///< lost requests, lost replies, late puts
  keyspace_outage,
  keyspace_lies,
  bit_rot,
  seal_session,  ///< as a fleet's controller would: this session's owner must stop acknowledging
  count_
};
inline constexpr std::size_t action_count = static_cast<std::size_t>(Action::count_);

struct Plan {
  std::uint64_t seed = 0;
  base::Duration active = std::chrono::minutes(10);
  std::uint64_t acked_batches_least = 1'000;              ///< the active phase goes on until then
  base::Duration active_more = std::chrono::minutes(20);  ///< with faults; after that without
  std::array<std::uint32_t, action_count> weights{};      ///< 0: never
  base::Duration action_pause_least = std::chrono::seconds(1);
  base::Duration action_pause_tail = std::chrono::seconds(8);

  std::size_t shard_count = 2;
  std::uint32_t wal_segment_bytes = 512U << 10U;
  std::uint64_t wal_bytes = 8U << 20U;
  std::uint64_t cache_bytes = 16U << 20U;
  std::uint64_t upload_bytes = 256U << 10U;
  std::int64_t upload_age_ms = 5'000;
  std::uint64_t cache_blocks_bytes = 0;  ///< of cache_bytes, for blocks of objects; 0: the usual share
  std::uint64_t cache_disk_bytes = 0;    ///< 0: no disk cache
  std::uint32_t cache_disk_slab_bytes = 0;
  std::int64_t garbage_delay_ms = 90'000;
  std::int64_t first_offset = 0;            ///< of the first topics' partitions, as if they had been there for years
  std::uint64_t merge_bytes = 2U << 20U;    ///< of one merge
  std::uint64_t split_bytes = 256U << 10U;  ///< gathered of a partition, before it gets an object of its own
  std::uint32_t merge_inputs = 4;
  std::uint32_t merge_objects_max = 256;  ///< uploads wait at so many recent objects
  std::int64_t merge_interval_ms = 2'000;
  std::int64_t retention_check_ms = 60'000;
  std::uint64_t disk_bytes = 256U << 20U;

  std::size_t idempotent_producers = 2;
  std::size_t plain_producers = 1;
  bool acks_zero_producer = false;
  std::size_t consumers = 2;
  std::size_t transactional_producers = 0;
  std::size_t committed_consumers = 0;  ///< of the consumers, those that read committed
  std::size_t group_members = 4;
  bool topics_come_and_go = false;
  bool store_outage =
      false;               ///< the store is away for an hour while everything else goes on; the active phase is longer by that
  bool rest_long = false;  ///< hours of virtual time at the end, for what lands very late

  static Plan draw(std::uint64_t seed);
  [[nodiscard]] std::string describe() const;
};

}  // namespace weir::sim
