// The data path of the simulated disk: writes, syncs, reads. Names and directories are in disk_names.cc, crashes in disk_crash.cc.
#include "sim/disk.h"

#include <algorithm>
#include <cstring>

#include "base/ensure.h"

namespace weir::sim {

using base::ErrorKind;
using base::fail;
using std::chrono::milliseconds;
using std::chrono::seconds;

Disk::Disk(World& world, std::string label, std::uint64_t capacity_bytes)
    : world_(world),
      rng_(world.rng("disk:" + label)),
      label_(std::move(label)),
      capacity_bytes_(capacity_bytes),
      root_(new_inode(true)) {}

InodeRef Disk::new_inode(bool directory) {
  InodeRef inode = std::make_shared<Inode>();
  inode->id = world_.next_id();
  inode->is_directory = directory;
  inode->modified_ms = world_.wall_ms();
  return inode;
}

base::Duration Disk::transfer_time(std::size_t bytes) {
  return base::Duration(
      static_cast<std::int64_t>(static_cast<double>(bytes) * 1e9 / static_cast<double>(profile_.bytes_per_second)));
}

base::Duration Disk::data_latency(base::Duration least, base::Duration tail, std::size_t bytes) {
  busy_until_ = std::max(busy_until_, world_.now()) + transfer_time(bytes);
  base::Duration latency = (busy_until_ - world_.now()) + rng_.tailed(least, tail);
  if (rng_.chance_ppm(profile_.slow_ppm)) {
    world_.fire(Fault::disk_slow);
    latency += rng_.tailed(profile_.slow_least, profile_.slow_tail);
  }
  return latency;
}

// --- stored state ---

void Disk::grow(Inode& inode, std::uint64_t size_bytes) {
  if (size_bytes <= inode.seen.size()) return;
  inode.seen.resize(size_bytes);
  inode.dirty.resize((size_bytes + sector_bytes - 1) / sector_bytes);
  inode.allocated.resize((size_bytes + page_bytes - 1) / page_bytes);
  inode.length_dirty = true;
}

std::uint64_t Disk::new_pages(const Inode& inode, std::uint64_t offset, std::size_t size) const {
  std::uint64_t count = 0;
  for (std::uint64_t page = offset / page_bytes; page * page_bytes < offset + size; ++page) {
    if (page >= inode.allocated.size() || !inode.allocated[page]) ++count;
  }
  return count;
}

void Disk::store(Inode& inode, std::uint64_t offset, bytes::Bytes data) {
  if (data.empty()) return;
  const std::uint64_t end = offset + data.size();
  if (!inode.unlinked) used_bytes_ += new_pages(inode, offset, data.size()) * page_bytes;
  grow(inode, end);
  for (std::uint64_t page = offset / page_bytes; page * page_bytes < end; ++page) inode.allocated[page] = true;
  for (std::uint64_t sector = offset / sector_bytes; sector * sector_bytes < end; ++sector) {
    if (!inode.dirty[sector]) {
      inode.dirty[sector] = true;
      inode.touched.push_back(sector);
    } else if (rng_.percent(20)) {
      // The older unsynced content reached the medium before it was overwritten in the cache.
      world_.faults().fire(Fault::disk_old_version_written_back);
      settle_sector(inode, sector, true);
      inode.dirty[sector] = true;
      inode.touched.push_back(sector);
    }
  }
  std::memcpy(inode.seen.data() + offset, data.data(), data.size());
  inode.modified_ms = world_.wall_ms();
}

void Disk::flush_truncation(Inode& inode) {
  if (inode.length_low < inode.durable.size()) inode.durable.resize(inode.length_low);
  inode.length_low = no_truncation;
}

// keep: the cached content goes to the medium; otherwise the cache forgets it.
void Disk::settle_sector(Inode& inode, std::uint64_t sector, bool keep) {
  const std::uint64_t begin = sector * sector_bytes;
  const std::uint64_t end = std::min<std::uint64_t>(begin + sector_bytes, inode.seen.size());
  if (begin >= end) return;
  if (keep) {
    flush_truncation(inode);
    if (inode.durable.size() < end) inode.durable.resize(end);
    std::memcpy(inode.durable.data() + begin, inode.seen.data() + begin, end - begin);
  } else {
    const std::uint64_t stored_end = std::min<std::uint64_t>(end, inode.durable.size());
    if (begin < stored_end) std::memcpy(inode.seen.data() + begin, inode.durable.data() + begin, stored_end - begin);
    const std::uint64_t zero_from = std::max(begin, stored_end);
    if (zero_from < end) std::memset(inode.seen.data() + zero_from, 0, end - zero_from);
  }
  inode.dirty[sector] = false;
  inode.read_while_dirty.erase(sector);
}

// The data of [begin, end) and as much of the length as is needed to read it back.
void Disk::make_durable(Inode& inode, std::uint64_t begin, std::uint64_t end) {
  end = std::min<std::uint64_t>(end, inode.seen.size());
  flush_truncation(inode);
  if (inode.durable.size() < end) inode.durable.resize(end);
  for (std::uint64_t sector = begin / sector_bytes; sector * sector_bytes < end; ++sector) {
    if (inode.dirty[sector]) settle_sector(inode, sector, true);
  }
  if (inode.durable.size() == inode.seen.size()) inode.length_dirty = false;
  if (inode.touched.size() > 8'192) {
    std::erase_if(inode.touched,
                  [&inode](std::uint64_t sector) { return sector >= inode.dirty.size() || !inode.dirty[sector]; });
  }
}

// After an I/O error the kernel may mark cached pages clean although they never reached the medium: a later sync succeeds
// without them. revert: the pages are also evicted, so reads show the old content at once.
void Disk::drop_unsynced(Inode& inode, bool revert) {
  std::vector<std::uint64_t> touched = std::exchange(inode.touched, {});
  for (const std::uint64_t sector : touched) {
    if (sector >= inode.dirty.size() || !inode.dirty[sector]) continue;
    if (revert) {
      settle_sector(inode, sector, false);
    } else {
      inode.dirty[sector] = false;
      inode.read_while_dirty.erase(sector);
    }
  }
}

// --- writes ---

Disk::WriteFate Disk::draw_fate(const Inode& inode, std::uint64_t offset, std::size_t size) {
  const std::uint64_t pages = new_pages(inode, offset, size);
  if (pages > 0 && (profile_.full || pages * page_bytes > free_bytes() || rng_.chance_ppm(profile_.write_enospc_ppm))) {
    return WriteFate::no_space;
  }
  if (!rng_.chance_ppm(profile_.write_eio_ppm)) return WriteFate::good;
  static constexpr WriteFate damages[] = {WriteFate::eio_not_landed, WriteFate::eio_landed, WriteFate::eio_torn,
                                          WriteFate::eio_volatile, WriteFate::eio_late};
  return damages[rng_.below(std::size(damages))];
}

std::shared_ptr<Op<base::Result<void>>> Disk::begin_write(Incarnation& owner, InodeRef inode, std::uint64_t offset,
                                                          std::vector<bytes::Bytes> from, bool synced, bool direct) {
  WriteRef write = std::make_shared<WriteOp>();
  write->id = world_.next_id();
  write->owner_id = owner.id();
  write->owner = &owner;
  write->inode = std::move(inode);
  write->offset = offset;
  for (const bytes::Bytes& piece : from) write->data.insert(write->data.end(), piece.begin(), piece.end());
  write->from = std::move(from);
  write->synced = synced;
  write->direct = direct;
  write->op = begin_op<base::Result<void>>();
  write->fate = draw_fate(*write->inode, offset, write->data.size());
  world_.note(synced ? "disk.write_synced" : "disk.write", offset, write->data.size());
  writes_.push_back(write);
  const base::Duration latency = data_latency(profile_.write_least, profile_.write_tail, write->data.size());
  if (write->fate == WriteFate::good) {
    schedule_good(write, latency);
  } else {
    schedule_failed(write, latency);
  }
  world_.crash_point(owner, CrashPoint::write_issued);
  return write->op;
}

void Disk::schedule_good(const WriteRef& write, base::Duration latency) {
  // Readable at an instant of its own, so that a read, a crash or a power loss may fall between readable and durable.
  const base::Duration readable = base::Duration(
      static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 1)))));
  world_.after(readable, [this, write] {
    if (write->gone) return;
    land(*write, false);
    if (write->owner == nullptr) return;
    if (write->synced && overtook(*write)) world_.crash_point(*write->owner, CrashPoint::synced_write_passed);
    if (write->owner == nullptr) return;
    world_.crash_point(*write->owner, write->synced ? CrashPoint::synced_write_landed : CrashPoint::write_landed);
  });
  world_.after(latency, [this, write] {
    if (write->gone) return;
    if (!write->landed) land(*write, false);
    if (write->synced) {
      // A direct write that reports success is durable, whatever an error of a neighbour dropped from volatile memory meanwhile.
      store(*write->inode, write->offset, write->data);
      make_durable(*write->inode, write->offset, write->offset + write->data.size());
    }
    if (write->synced) {
      if (old_writes_.size() >= synced_writes_kept_max) old_writes_.pop_front();
      old_writes_.push_back(
          {write->inode, write->offset, write->data.size(), name_hash(bytes::as_text(write->data)), world_.now()});
    }
    if (write->owner != nullptr) world_.crash_point(*write->owner, CrashPoint::write_durable);
    finish(write, {});
  });
}

// An older synced write of the same process and file is still under way: what this one holds lies behind a hole.
bool Disk::overtook(const WriteOp& write) const {
  return std::ranges::any_of(writes_, [&write](const WriteRef& other) {
    return other->id < write.id && other->owner == write.owner && other->inode == write.inode && other->synced &&
           !other->landed;
  });
}

void Disk::schedule_failed(const WriteRef& write, base::Duration latency) {
  world_.after(latency, [this, write] {
    if (write->gone) return;
    Inode& inode = *write->inode;
    const auto end = write->offset + write->data.size();
    const std::string where = "simulated device " + label_;
    if (write->fate == WriteFate::no_space) {
      world_.fire(Fault::disk_full);
      finish(write, fail(ErrorKind::exhausted, "no space left on " + where));
      return;
    }
    switch (write->fate) {
      case WriteFate::eio_landed:
        world_.fire(Fault::disk_write_eio_landed);
        land(*write, false);
        make_durable(inode, write->offset, end);
        break;
      case WriteFate::eio_torn:
        world_.fire(Fault::disk_write_eio_torn);
        land(*write, true);
        break;
      case WriteFate::eio_volatile:
        world_.fire(Fault::disk_write_eio_volatile);
        land(*write, false);
        if (!write->direct) drop_unsynced(inode, false);  // a device's own cache stays dirty: a later flush stores it
        break;
      case WriteFate::eio_late: {
        world_.fire(Fault::disk_write_eio_lands_late);
        write->op->complete(fail(ErrorKind::io, "write failed on " + where));
        check_memory(*write);
        write->from.clear();  // the device has its copy; the memory belongs to the process again
        const bool soon = rng_.percent(70);
        world_.after(soon ? rng_.between(milliseconds(1), seconds(2)) : rng_.between(seconds(2), std::chrono::minutes(10)),
                     [this, write] {
                       if (write->gone) return;
                       land(*write, false);
                       make_durable(*write->inode, write->offset, write->offset + write->data.size());
                       finish(write, {});
                     });
        return;
      }
      default: world_.fire(Fault::disk_write_eio_not_landed); break;
    }
    if (!write->direct && rng_.percent(50)) {
      world_.fire(Fault::disk_eio_drops_unsynced);
      drop_unsynced(inode, rng_.percent(50));
    }
    finish(write, fail(ErrorKind::io, "write failed on " + where));
  });
}

// torn: an arbitrary subset of its sectors.
void Disk::land(WriteOp& write, bool torn) {
  check_memory(write);
  write.landed = true;
  world_.note("disk.landed", write.offset, write.data.size());
  if (!torn) {
    store(*write.inode, write.offset, write.data);
    return;
  }
  const std::uint64_t end = write.offset + write.data.size();
  for (std::uint64_t at = write.offset; at < end;) {
    const std::uint64_t next = std::min((at / sector_bytes + 1) * sector_bytes, end);
    if (rng_.percent(50)) store(*write.inode, at, bytes::Bytes(write.data).subspan(at - write.offset, next - at));
    at = next;
  }
}

void Disk::check_memory(const WriteOp& write) const {
  if (write.owner == nullptr) return;
  std::size_t at = 0;
  for (const bytes::Bytes& piece : write.from) {
    ENSURE(piece.empty() || std::memcmp(piece.data(), write.data.data() + at, piece.size()) == 0,
           "memory of a write in flight was changed: inode {} offset {}", write.inode->id, write.offset);
    at += piece.size();
  }
}

void Disk::finish(const WriteRef& write, base::Result<void> result) {
  check_memory(*write);
  write->op->complete(std::move(result));
  forget(write);
}

void Disk::forget(const WriteRef& write) {
  const WriteRef keep = write;
  keep->gone = true;
  std::erase(writes_, keep);
}

// --- sync and read ---

std::shared_ptr<Op<base::Result<void>>> Disk::begin_sync(Incarnation& owner, InodeRef inode) {
  auto op = begin_op<base::Result<void>>();
  world_.note("disk.sync", inode->id);
  // Only what was readable when the sync began is promised.
  std::vector<std::uint64_t> sectors;
  for (const std::uint64_t sector : inode->touched) {
    if (sector < inode->dirty.size() && inode->dirty[sector]) sectors.push_back(sector);
  }
  const std::uint64_t length = inode->seen.size();
  const base::Duration latency = data_latency(profile_.write_least, profile_.write_tail, sectors.size() * sector_bytes);
  const bool fails = rng_.chance_ppm(profile_.sync_eio_ppm);
  Incarnation* const process = &owner;
  world_.after(latency, [this, op, inode, sectors = std::move(sectors), length, fails, process, epoch = power_epoch_] {
    if (epoch != power_epoch_ || (process->dead() && rng_.percent(50))) return;
    if (fails) {
      world_.fire(Fault::disk_sync_eio);
      for (const std::uint64_t sector : sectors) {
        if (sector < inode->dirty.size() && inode->dirty[sector] && rng_.percent(50)) settle_sector(*inode, sector, true);
      }
      const bool left = std::any_of(inode->dirty.begin(), inode->dirty.end(), [](bool dirty) { return dirty; });
      if (left) world_.fire(Fault::disk_eio_drops_unsynced);
      drop_unsynced(*inode, rng_.percent(50));
      op->complete(fail(ErrorKind::io, "sync failed on simulated device " + label_));
      return;
    }
    for (const std::uint64_t sector : sectors) {
      if (sector < inode->dirty.size() && inode->dirty[sector]) settle_sector(*inode, sector, true);
    }
    std::erase_if(inode->touched,
                  [&inode](std::uint64_t sector) { return sector >= inode->dirty.size() || !inode->dirty[sector]; });
    flush_truncation(*inode);
    if (inode->seen.size() == length && inode->length_dirty) {
      inode->durable.resize(length);
      inode->length_dirty = false;
    }
    world_.crash_point(*process, CrashPoint::sync_durable);
    op->complete({});
  });
  world_.crash_point(owner, inode->read_while_dirty.empty() ? CrashPoint::sync_issued : CrashPoint::sync_of_read);
  return op;
}

std::shared_ptr<Op<base::Result<std::size_t>>> Disk::begin_read(Incarnation& owner, InodeRef inode, std::uint64_t offset,
                                                                bytes::MutableBytes into) {
  auto op = begin_op<base::Result<std::size_t>>();
  world_.note("disk.read", offset, into.size());
  const base::Duration latency = data_latency(profile_.read_least, profile_.read_tail, into.size());
  const bool fails = rng_.chance_ppm(profile_.read_eio_ppm);
  Incarnation* const process = &owner;
  world_.after(latency, [this, op, inode, offset, into, fails, process] {
    if (process->dead()) return;
    if (fails) {
      world_.fire(Fault::disk_read_eio);
      op->complete(fail(ErrorKind::io, "read failed on simulated device " + label_));
      return;
    }
    const std::uint64_t size = inode->seen.size();
    const std::size_t count =
        offset >= size ? 0 : static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), size - offset));
    if (count > 0) std::memcpy(into.data(), inode->seen.data() + offset, count);
    if (left_volatile_ && left_volatile_->inode == inode.get() && offset < left_volatile_->end &&
        offset + count > left_volatile_->begin) {
      left_volatile_->read = true;
    }
    if (!inode->touched.empty()) {
      for (std::uint64_t sector = offset / sector_bytes; sector * sector_bytes < offset + count; ++sector) {
        if (inode->dirty[sector]) inode->read_while_dirty.insert(sector);
      }
    }
    op->complete(count);
  });
  return op;
}

base::Duration Disk::metadata_latency() {
  base::Duration latency = rng_.tailed(profile_.metadata_least, profile_.metadata_tail);
  if (rng_.chance_ppm(profile_.slow_ppm)) {
    world_.fire(Fault::disk_slow);
    latency += rng_.tailed(profile_.slow_least, profile_.slow_tail);
  }
  return latency;
}

bool Disk::metadata_fails() {
  if (!rng_.chance_ppm(profile_.metadata_eio_ppm)) return false;
  world_.fire(Fault::disk_metadata_eio);
  return true;
}

}  // namespace weir::sim
