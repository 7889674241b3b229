// sim/faults.h: every fault and every crash point that the simulator can produce, by name, and how often each fired.
// Why:        a simulator whose faults silently stopped firing proves nothing: a multi-seed run fails when one never did.
// Contract:   a new fault gets a line in the list below; fire() where it happens. Recovery cases of the broker are counted
//             from its own metrics and required by name (require_case).
// Tests:      sim/faults_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::sim {

// X(identifier, name)
#define WEIR_SIM_FAULTS(X)                                                \
  X(disk_slow, "disk.slow")                                               \
  X(disk_write_eio_not_landed, "disk.write_eio.not_landed")               \
  X(disk_write_eio_landed, "disk.write_eio.landed")                       \
  X(disk_write_eio_torn, "disk.write_eio.torn")                           \
  X(disk_write_eio_volatile, "disk.write_eio.readable_but_not_durable")   \
  X(disk_write_eio_lands_late, "disk.write_eio.lands_late")               \
  X(disk_eio_drops_unsynced, "disk.eio_drops_unsynced_data")              \
  X(disk_sync_eio, "disk.sync_eio")                                       \
  X(disk_read_eio, "disk.read_eio")                                       \
  X(disk_metadata_eio, "disk.metadata_eio")                               \
  X(disk_full, "disk.full")                                               \
  X(disk_old_version_written_back, "disk.old_version_written_back")       \
  X(disk_bit_rot, "disk.bit_rot")                                         \
  X(disk_cache_rot, "disk.bit_rot_in_the_cache")                          \
  X(disk_cache_removed, "disk.cache_files_removed")                       \
  X(disk_lock_lingers, "disk.lock_lingers_after_kill")                    \
  X(kill_write_lands, "kill.write_in_flight_lands")                       \
  X(kill_write_never_lands, "kill.write_in_flight_never_lands")           \
  X(kill_write_volatile, "kill.write_in_flight_stays_volatile")           \
  X(kill_write_torn, "kill.write_in_flight_torn")                         \
  X(kill_write_lands_late, "kill.write_lands_after_restart")              \
  X(kill_write_lands_second, "kill.write_lands_after_second_restart")     \
  X(kill_metadata_never_applied, "kill.metadata_operation_never_applied") \
  X(power_loss, "power.loss")                                             \
  X(power_sector_lost, "power.unsynced_sector_lost")                      \
  X(power_sector_kept, "power.unsynced_sector_kept")                      \
  X(power_write_torn, "power.write_in_flight_torn")                       \
  X(power_entry_lost, "power.unsynced_directory_entry_lost")              \
  X(power_entry_kept, "power.unsynced_directory_entry_kept")              \
  X(power_size_lost, "power.unsynced_length_lost")                        \
  X(power_read_taken_back, "power.data_already_read_taken_back")          \
  X(power_after_restart, "power.soon_after_volatile_write_was_recovered") \
  X(process_kill, "process.kill")                                         \
  X(crash_after_void, "process.crash_soon_after_a_void")                  \
  X(kill_behind_a_hole, "process.kill_behind_a_hole")                     \
  X(crash_after_a_hole, "process.crash_soon_after_a_hole_was_recovered")  \
  X(process_pause, "process.pause")                                       \
  X(shard_stall, "process.one_shard_stalls")                              \
  X(clock_jump, "process.wall_clock_jumps")                               \
  X(net_refused, "net.refused")                                           \
  X(net_cut, "net.connection_cut")                                        \
  X(net_half_open, "net.half_open")                                       \
  X(net_partition, "net.partition")                                       \
  X(net_fragmented, "net.fragmented_read")                                \
  X(net_backpressure, "net.writer_waits_for_reader")                      \
  X(store_slow, "store.slow")                                             \
  X(store_refused, "store.error_not_applied")                             \
  X(store_lost_request, "store.timeout_not_applied")                      \
  X(store_lost_reply, "store.timeout_applied")                            \
  X(store_applied_late, "store.timeout_applied_late")                     \
  X(store_put_conflict, "store.put_meets_an_object")                      \
  X(store_brownout, "store.brownout")                                     \
  X(store_outage, "store.outage_of_an_hour")                              \
  X(store_keys_refused, "store.credentials_refused")                      \
  X(store_damaged_put, "store.put_damaged_on_the_way")                    \
  X(store_stale_list, "store.stale_list")                                 \
  X(store_clock_off, "store.clock_off")                                   \
  X(store_damaged_read, "store.damaged_read")                             \
  X(store_remove_partial, "store.remove_partial")                         \
  X(keyspace_slow, "keyspace.slow")                                       \
  X(keyspace_refused, "keyspace.error_not_applied")                       \
  X(keyspace_lost_request, "keyspace.timeout_not_applied")                \
  X(keyspace_lost_reply, "keyspace.timeout_applied")                      \
  X(keyspace_applied_late, "keyspace.timeout_applied_after_reread")       \
  X(keyspace_outage, "keyspace.outage")                                   \
  X(session_sealed, "keyspace.session_sealed_by_another")                 \
  X(crash_before_manifest, "split.crash_between_puts_and_commit")         \
  X(crash_after_manifest, "split.crash_soon_after_the_commit")            \
  X(keyspace_watch_broken, "keyspace.watch_broken")                       \
  X(keyspace_watch_compacted, "keyspace.watch_compacted")

/// Instants at which an armed crash may strike a process (World::arm_crash).
#define WEIR_SIM_CRASH_POINTS(X)                               \
  X(write_issued, "crash.disk_write.issued")                   \
  X(write_landed, "crash.disk_write.readable")                 \
  X(synced_write_landed, "crash.disk_synced_write.readable")   \
  X(synced_write_passed, "crash.disk_synced_write.overtook")   \
  X(write_durable, "crash.disk_write.durable_not_reported")    \
  X(sync_issued, "crash.disk_sync.issued")                     \
  X(sync_of_read, "crash.disk_sync.of_what_was_read")          \
  X(sync_durable, "crash.disk_sync.durable_not_reported")      \
  X(file_created, "crash.file.created")                        \
  X(file_removed, "crash.file.removed")                        \
  X(file_renamed, "crash.file.renamed")                        \
  X(directory_synced, "crash.directory.synced")                \
  X(file_truncated, "crash.file.truncated")                    \
  X(store_put_issued, "crash.store_put.issued")                \
  X(store_put_applied, "crash.store_put.applied_not_reported") \
  X(store_remove_applied, "crash.store_remove.applied")        \
  X(keyspace_txn_issued, "crash.keyspace_txn.issued")          \
  X(keyspace_txn_applied, "crash.keyspace_txn.applied_not_reported")

enum class Fault : std::uint8_t {
#define WEIR_SIM_X(identifier, name) identifier,
  WEIR_SIM_FAULTS(WEIR_SIM_X)
#undef WEIR_SIM_X
      count_
};
enum class CrashPoint : std::uint8_t {
#define WEIR_SIM_X(identifier, name) identifier,
  WEIR_SIM_CRASH_POINTS(WEIR_SIM_X)
#undef WEIR_SIM_X
      count_
};
inline constexpr std::size_t fault_count = static_cast<std::size_t>(Fault::count_);
inline constexpr std::size_t crash_point_count = static_cast<std::size_t>(CrashPoint::count_);
std::string_view to_string(Fault fault);
std::string_view to_string(CrashPoint point);

/// Counts of one run, or of many added together.
class FaultTable {
 public:
  void fire(Fault fault, std::uint64_t times = 1) { faults_[static_cast<std::size_t>(fault)] += times; }
  void strike(CrashPoint point) { ++crashes_[static_cast<std::size_t>(point)]; }
  /// Adds to a recovery case or another counter of the broker; it appears in the table by this name.
  void count_case(std::string_view name, std::uint64_t times) { cases_[std::string(name)] += times; }
  /// The run fails when this case never happened.
  void require_case(std::string_view name) { cases_.try_emplace(std::string(name), 0); }
  [[nodiscard]] std::uint64_t fired(Fault fault) const { return faults_[static_cast<std::size_t>(fault)]; }
  [[nodiscard]] std::uint64_t struck(CrashPoint point) const { return crashes_[static_cast<std::size_t>(point)]; }
  [[nodiscard]] std::uint64_t cases(std::string_view name) const;
  void add(const FaultTable& other);
  /// Names that never happened.
  [[nodiscard]] std::vector<std::string> missing() const;
  /// One "name count" line each.
  [[nodiscard]] std::string render() const;
  /// The inverse of render(), for results that cross a process border; unknown lines are cases.
  static FaultTable parse(std::string_view text);

 private:
  std::array<std::uint64_t, fault_count> faults_{};
  std::array<std::uint64_t, crash_point_count> crashes_{};
  std::map<std::string, std::uint64_t> cases_;
};

}  // namespace weir::sim
