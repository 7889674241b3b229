#include "sim/run/plan.h"

#include <iterator>

#include <fmt/format.h>

namespace weir::sim {

Plan Plan::draw(std::uint64_t seed) {
  Rng rng(seed ^ name_hash("plan"));
  Plan plan;
  plan.seed = seed;
  // One seed in sixteen is calm: what fails there needs no fault.
  const bool calm = seed % 16 == 0;
  for (std::uint32_t& weight : plan.weights)
    weight = calm || !rng.percent(45) ? 0 : static_cast<std::uint32_t>(rng.between(1, 10));
  // Crashes at a certain instant meet what a crash at any time hardly ever meets.
  plan.weights[static_cast<std::size_t>(Action::crash_at_io)] *= 2;
  plan.action_pause_tail = std::chrono::milliseconds(rng.between(2'000, 30'000));
  plan.shard_count = rng.between(1, 3);
  plan.wal_segment_bytes = static_cast<std::uint32_t>(rng.between(3, 16)) << 16U;
  plan.wal_bytes = rng.between(6, 32) * plan.wal_segment_bytes;
  plan.cache_bytes = rng.between(8, 32) << 20U;
  plan.upload_bytes = rng.between(32, 1024) << 10U;
  plan.upload_age_ms = static_cast<std::int64_t>(rng.between(1'000, 40'000));
  plan.retention_check_ms = static_cast<std::int64_t>(rng.between(5'000, 60'000));
  plan.idempotent_producers = rng.between(1, 3);
  plan.plain_producers = rng.between(0, 2);
  plan.acks_zero_producer = rng.percent(15);
  plan.consumers = rng.between(1, 3);
  plan.topics_come_and_go = rng.percent(40);
  plan.rest_long = rng.percent(6);
  // Drawn last, so that older plans keep their other draws.
  plan.transactional_producers = rng.percent(70) ? rng.between(1, 3) : 0;
  if (plan.transactional_producers > 0) plan.committed_consumers = rng.between(1, plan.consumers);
  plan.group_members = rng.between(0, 6);
  // Counted by each process anew: a long one ends only where nothing crashes for that long.
  plan.garbage_delay_ms = static_cast<std::int64_t>(rng.between(20'000, 60'000));
  plan.store_outage = !calm && rng.percent(5);
  if (plan.store_outage) plan.active += std::chrono::minutes(70);
  // Just below what 32 bits hold, signed and unsigned.
  if (rng.percent(30)) {
    plan.first_offset = (rng.percent(50) ? 1LL << 31U : 1LL << 32U) - static_cast<std::int64_t>(rng.below(2'000));
  }
  // Small and often: a run merges what it has merged before.
  plan.merge_bytes = rng.between(1, 8) << 20U;
  plan.merge_inputs = static_cast<std::uint32_t>(rng.between(2, 6));
  plan.merge_objects_max = static_cast<std::uint32_t>(rng.percent(50) ? rng.between(4, 12) : 256);
  plan.merge_interval_ms = static_cast<std::int64_t>(rng.between(500, 8'000));
  // Little memory above a small disk: blocks leave memory, are read from the disk, and slabs are used again, all the time.
  if (seed % 4 == 0) {
    plan.cache_blocks_bytes = rng.between(32, 256) << 10U;
    plan.cache_disk_slab_bytes = static_cast<std::uint32_t>(rng.between(1, 4)) << 16U;
    plan.cache_disk_bytes = plan.shard_count * rng.between(2, 6) * plan.cache_disk_slab_bytes;
  }
  plan.split_bytes = rng.between(8, 128) << 10U;
  // Objects that tiers have finished with come early, or only uploads that are as large.
  if (rng.percent(70)) plan.merge_bytes = rng.between(64, 1024) << 10U;
  return plan;
}

std::string Plan::describe() const {
  static constexpr const char* names[] = {
      "kill",           "power_loss",        "crash_at_io",     "clean_restart", "pause",     "stall_shard", "clock_jump",
      "cut_connection", "partition_network", "flaky_network",   "disk_errors",   "disk_slow", "disk_full",   "store_brownout",
      "store_errors",   "store_lies",        "keyspace_outage", "keyspace_lies", "bit_rot",   "seal_session"};
  static_assert(std::size(names) == action_count);
  std::string text = fmt::format(
      "shards {}, WAL {} x {} KiB, cache {} MiB, upload {} KiB or {} ms, producers {}+{}{}+{} transactional, consumers {} ({} "
      "read committed), group members {}{}{}{}{}; faults:",
      shard_count, wal_bytes / wal_segment_bytes, wal_segment_bytes >> 10U, cache_bytes >> 20U, upload_bytes >> 10U,
      upload_age_ms, idempotent_producers, plain_producers, acks_zero_producer ? "+acks=0" : "", transactional_producers,
      consumers, committed_consumers, group_members,
      cache_disk_bytes == 0 ? ""
                            : fmt::format(", blocks {} KiB, cache disk {} x {} KiB", cache_blocks_bytes >> 10U,
                                          cache_disk_bytes / cache_disk_slab_bytes, cache_disk_slab_bytes >> 10U),
      topics_come_and_go ? ", topics come and go" : "", store_outage ? ", the store away for an hour" : "",
      rest_long ? ", long rest" : "");
  bool any = false;
  for (std::size_t i = 0; i < action_count; ++i) {
    if (weights[i] == 0) continue;
    text += fmt::format(" {}:{}", names[i], weights[i]);
    any = true;
  }
  return any ? text : text + " none";
}

}  // namespace weir::sim
