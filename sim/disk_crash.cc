// What crashes leave on the simulated disk: kills with writes in flight, restarts at which late writes land, power loss.
#include <algorithm>

#include "base/ensure.h"
#include "sim/disk.h"

namespace weir::sim {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

void Disk::process_ended(Incarnation& process, bool exited) {
  for (const WriteRef& write : std::vector<WriteRef>(writes_)) {
    if (write->owner_id != process.id() || write->owner == nullptr) continue;
    ENSURE(!exited || write->op->done(), "a process exited with a write in flight");
    write->owner = nullptr;
    write->from.clear();
    if (write->fate == WriteFate::good) decide_after_kill(write);
  }
  // Locks belong to open files, which the kernel closes; now and then it gets to it later (a write still holds the file).
  const std::uint64_t dead = process.id();
  if (exited || !rng_.percent(10)) {
    release_locks(dead);
    return;
  }
  world_.fire(Fault::disk_lock_lingers);
  world_.after(rng_.between(milliseconds(1), seconds(3)), [this, dead] { release_locks(dead); });
}

void Disk::release_locks(std::uint64_t process) {
  for (const std::weak_ptr<Inode>& weak : locked_) {
    const InodeRef inode = weak.lock();
    if (inode && inode->lock_process == process) unlock(*inode, inode->lock_handle);
  }
}

void Disk::decide_after_kill(const WriteRef& write) {
  if (write->landed) {  // readable already: the rest of its way is the kernel's, which may take its time
    world_.fire(Fault::kill_write_lands);
    if (rng_.percent(profile_.kill_leaves_volatile_percent)) {
      world_.fire(Fault::kill_write_volatile);
      left_volatile_ = LeftVolatile{write->inode.get(), write->offset, write->offset + write->data.size()};
      forget(write);
    }
    return;
  }
  if (profile_.kill_loses_in_flight) {
    world_.fire(Fault::kill_write_never_lands);
    forget(write);
    return;
  }
  const std::uint64_t draw = rng_.below(100);
  if (draw < 30) {
    world_.fire(Fault::kill_write_lands);  // as planned
    return;
  }
  if (draw < 50) {
    world_.fire(Fault::kill_write_never_lands);
    forget(write);
    return;
  }
  if (draw < 65) {
    world_.fire(Fault::kill_write_torn);
    land(*write, true);
    if (write->synced) make_durable(*write->inode, write->offset, write->offset + write->data.size());
    forget(write);
    return;
  }
  // It sits in a queue on the way to the medium, and lands later than the planned events say.
  WriteRef late = std::make_shared<WriteOp>(*write);
  forget(write);
  writes_.push_back(late);
  late->lands_at_start = draw < 85 ? 1 : 2;
  late->late_kind = draw < 85 ? Fault::kill_write_lands_late : Fault::kill_write_lands_second;
}

void Disk::process_started() {
  for (const WriteRef& write : std::vector<WriteRef>(writes_)) {
    if (write->lands_at_start == 0 || --write->lands_at_start > 0) continue;
    const base::Duration delay = rng_.percent(60)   ? rng_.between(milliseconds(0), milliseconds(20))
                                 : rng_.percent(80) ? rng_.between(milliseconds(20), seconds(5))
                                                    : rng_.between(seconds(5), minutes(5));
    world_.after(delay, [this, write] {
      if (write->gone) return;
      world_.fire(write->late_kind);
      land(*write, false);
      if (rng_.percent(60)) make_durable(*write->inode, write->offset, write->offset + write->data.size());
      forget(write);
    });
  }
}

// --- power loss ---

void Disk::lose_power() {
  // Swarm: one loss keeps nearly all of the cache, another next to nothing, most something in between.
  static constexpr std::uint32_t keeps[] = {0, 10, 50, 50, 90, 100};
  const std::uint32_t keep_percent = keeps[rng_.below(std::size(keeps))];
  world_.note("disk.lose_power", keep_percent);
  ++power_epoch_;
  left_volatile_.reset();
  for (const WriteRef& write : writes_) {
    write->gone = true;
    write->owner = nullptr;
    if (write->landed || write->fate == WriteFate::no_space || write->fate == WriteFate::eio_not_landed) continue;
    if (write->lands_at_start > 0 && rng_.percent(50)) continue;
    // In flight: whatever sectors the medium had taken.
    world_.fire(Fault::power_write_torn);
    land(*write, true);
  }
  writes_.clear();
  lose_directory_state(keep_percent);
  rebuild_from_durable(root_, keep_percent);
  used_bytes_ = 0;
  for (const std::string& path : files_below("")) {
    const auto inode = find(path);
    if (inode) used_bytes_ += static_cast<std::uint64_t>(std::ranges::count((*inode)->allocated, true)) * page_bytes;
  }
  busy_until_ = world_.now();
}

void Disk::lose_directory_state(std::uint32_t keep_percent) {
  std::set<std::pair<std::uint64_t, std::string>> lost;
  for (const DirectoryOp& op : unsynced_operations_) {
    const bool builds_on_lost =
        std::ranges::any_of(op, [&lost](const Touch& touch) { return lost.contains({touch.directory->id, touch.name}); });
    if (!builds_on_lost && rng_.percent(keep_percent)) {
      world_.faults().fire(Fault::power_entry_kept);
      apply_durable(op);
      continue;
    }
    world_.faults().fire(Fault::power_entry_lost);
    for (const Touch& touch : op) lost.emplace(touch.directory->id, touch.name);
  }
  unsynced_operations_.clear();
}

void Disk::lose_file_state(Inode& inode, std::uint32_t keep_percent) {
  std::vector<std::uint64_t> touched = std::exchange(inode.touched, {});
  std::ranges::sort(touched);
  touched.erase(std::ranges::unique(touched).begin(), touched.end());
  for (const std::uint64_t sector : touched) {
    if (sector >= inode.dirty.size() || !inode.dirty[sector]) continue;
    const bool keep = rng_.percent(keep_percent);
    world_.faults().fire(keep ? Fault::power_sector_kept : Fault::power_sector_lost);
    if (!keep && inode.read_while_dirty.contains(sector)) world_.faults().fire(Fault::power_read_taken_back);
    settle_sector(inode, sector, keep);
  }
  if (inode.length_low != no_truncation && rng_.percent(keep_percent)) flush_truncation(inode);
  if (inode.length_dirty && inode.durable.size() != inode.seen.size()) {
    if (rng_.percent(keep_percent)) {
      inode.durable.resize(inode.seen.size());
    } else {
      world_.faults().fire(Fault::power_size_lost);
    }
  }
  // Also takes back pages that an I/O error had marked clean without storing them.
  inode.seen = inode.durable;
  inode.dirty.assign((inode.seen.size() + sector_bytes - 1) / sector_bytes, false);
  inode.allocated.resize((inode.seen.size() + page_bytes - 1) / page_bytes);
  inode.read_while_dirty.clear();
  inode.length_dirty = false;
  inode.length_low = no_truncation;
  inode.unlinked = false;
  inode.lock_handle = 0;
  inode.lock_process = 0;
}

void Disk::rebuild_from_durable(const InodeRef& directory, std::uint32_t keep_percent) {
  directory->entries = directory->durable_entries;
  for (const auto& [name, inode] : directory->entries) {
    if (inode->is_directory) {
      rebuild_from_durable(inode, keep_percent);
    } else {
      lose_file_state(*inode, keep_percent);
    }
  }
}

}  // namespace weir::sim
