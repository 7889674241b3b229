// sim/disk.h: a host's file system with volatile and durable state, down to the 512-byte sector and the directory entry.
// Why:        what a crash leaves is the whole question of a WAL; a real disk answers it once a month, this one every seed.
// Place:      one per Host; files.h is its door for processes. Survives its processes.
// Contract:   a file has what reads see and what is durable. A write becomes readable at one instant and, when synced, durable
//             at a later one, both inside its latency. Unsynced sectors may be written back at any time, in any subset.
//             - kill: what is readable stays. A write in flight lands, never lands, lands torn, or lands much later: after the
//               restart or after the second one. Locks go (sometimes a little later). Unfinished metadata calls may be applied.
//             - power loss: any subset of unsynced sectors survives (torn at 512 B); so do unsynced lengths and directory
//               operations (per name in order, otherwise in any subset). Nothing lands afterwards.
//             - EIO: the write landed or not, or torn, or is readable without being durable (its page marked clean), or
//               lands later; the file's other unsynced data may be dropped.
//             - ENOSPC: a write that needs a new block, the disk being full.
// Invariants: memory handed to a write does not change until it completes (asserted when it lands and when it completes).
// Limits:     unsynced_operations_max directory operations are held back before the oldest are written back.
// Tests:      sim/disk_test.cc, runtime/testing/file_conformance.h
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "runtime/file.h"
#include "sim/op.h"
#include "sim/world.h"

namespace weir::sim {

inline constexpr std::size_t sector_bytes = 512;
inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t unsynced_operations_max = 256;
inline constexpr std::size_t synced_writes_kept_max = 2048;  ///< for rot_old_write

/// Chances in millionths per operation, and times. The scenario changes them during a run.
struct DiskProfile {
  base::Duration write_least = std::chrono::microseconds(60);
  base::Duration write_tail = std::chrono::microseconds(80);
  base::Duration read_least = std::chrono::microseconds(40);
  base::Duration read_tail = std::chrono::microseconds(40);
  base::Duration metadata_least = std::chrono::microseconds(20);
  base::Duration metadata_tail = std::chrono::microseconds(60);
  std::uint64_t bytes_per_second = 800'000'000;
  std::uint32_t slow_ppm = 0;  ///< this operation takes slow_least and more
  base::Duration slow_least = std::chrono::milliseconds(50);
  base::Duration slow_tail = std::chrono::milliseconds(400);
  std::uint32_t write_eio_ppm = 0;  ///< the kind of damage is drawn then
  std::uint32_t sync_eio_ppm = 0;
  std::uint32_t read_eio_ppm = 0;
  std::uint32_t metadata_eio_ppm = 0;
  std::uint32_t write_enospc_ppm = 0;               ///< as if another user had taken the last block for a moment
  bool full = false;                                ///< every write that needs a new block fails
  std::uint32_t kill_leaves_volatile_percent = 50;  ///< of the writes that are readable and not yet durable when a kill comes
  bool kill_loses_in_flight = false;                ///< no write that is not readable when a kill comes ever lands
};

inline constexpr std::uint64_t no_truncation = ~std::uint64_t{0};

/// A file or a directory. Held by directory entries, open handles and pending operations.
struct Inode {
  std::uint64_t id = 0;
  bool is_directory = false;
  std::int64_t modified_ms = 0;
  // directory
  std::map<std::string, std::shared_ptr<Inode>> entries;
  std::map<std::string, std::shared_ptr<Inode>> durable_entries;
  // file
  std::vector<std::byte> seen;
  std::vector<std::byte> durable;
  std::vector<bool> dirty;      ///< per sector: seen is newer than durable
  std::vector<bool> allocated;  ///< per page
  std::set<std::uint64_t> read_while_dirty;
  bool length_dirty = false;
  std::uint64_t length_low = no_truncation;  ///< shortest length since the last sync: what was beyond must not come back
  bool unlinked = false;                     ///< no name any more: its space counts as free
  std::uint64_t lock_handle = 0;             ///< handle that holds the flock; 0: none
  std::uint64_t lock_process = 0;            ///< its incarnation
  std::vector<std::uint64_t> touched;        ///< since the last sync: lets power loss look at few sectors
};
using InodeRef = std::shared_ptr<Inode>;

/// A bit that was flipped, for flipping it back.
struct RotPlace {
  InodeRef inode;
  std::uint64_t offset = 0;
  std::byte rotten{};
  std::byte good{};
};

/// Which synced write a bit is flipped in.
struct RotAim {
  base::Duration age_min{};
  std::size_t later_writes_min = 0;  ///< that many synced writes came after it
  std::size_t among_newest = synced_writes_kept_max;
};

class Disk {
 public:
  Disk(World& world, std::string label, std::uint64_t capacity_bytes);
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  DiskProfile& profile() { return profile_; }
  [[nodiscard]] World& world() const { return world_; }
  void set_capacity(std::uint64_t bytes) { capacity_bytes_ = bytes; }
  [[nodiscard]] std::uint64_t used_bytes() const { return used_bytes_; }
  [[nodiscard]] std::uint64_t free_bytes() const { return used_bytes_ >= capacity_bytes_ ? 0 : capacity_bytes_ - used_bytes_; }

  // --- what happens to processes (called by Host and Process) ---
  void process_started();
  void process_ended(Incarnation& process, bool exited);
  void lose_power();

  // --- timed operations of files.cc ---
  std::shared_ptr<Op<base::Result<void>>> begin_write(Incarnation& owner, InodeRef inode, std::uint64_t offset,
                                                      std::vector<bytes::Bytes> from, bool synced, bool direct = false);
  std::shared_ptr<Op<base::Result<void>>> begin_sync(Incarnation& owner, InodeRef inode);
  std::shared_ptr<Op<base::Result<std::size_t>>> begin_read(Incarnation& owner, InodeRef inode, std::uint64_t offset,
                                                            bytes::MutableBytes into);
  /// How long a metadata call takes, and whether it fails with EIO before it does anything.
  base::Duration metadata_latency();
  bool metadata_fails();
  /// Counts power losses: nothing begun before one is applied after it.
  [[nodiscard]] std::uint64_t power_epoch() const { return power_epoch_; }
  Rng& rng() { return rng_; }

  // --- the name space; instant, called at the moment a metadata call is applied ---
  base::Result<InodeRef> find(std::string_view path) const;
  base::Result<InodeRef> create_file(std::string_view path, bool exclusive);
  base::Result<void> create_directories(std::string_view path);
  base::Result<void> remove(std::string_view path, bool directory);
  base::Result<void> rename(std::string_view from, std::string_view to, bool replace);
  base::Result<void> sync_directory(std::string_view path);
  base::Result<void> truncate(Inode& inode, std::uint64_t size_bytes);
  bool try_lock(const InodeRef& inode, std::uint64_t handle, std::uint64_t process);
  void unlock(Inode& inode, std::uint64_t handle);

  // --- for scenarios and tests ---
  /// Flips one stored bit of the sector that holds the offset; false when the file has no such place.
  bool rot(std::string_view path, std::uint64_t offset);
  /// Flips one bit inside a synced write below the directory that is at least `age_min` old, has `later_writes_min` after it and
  /// is still in place.
  std::optional<RotPlace> rot_old_write(std::string_view below, const RotAim& aim);
  /// A bit in the last write before the newest change from one file to another, when the new file took its first write between
  /// age_min and age_max ago and has later_writes_min of them: what states that write's records stands in another file.
  std::optional<RotPlace> rot_before_switch(std::string_view below, base::Duration age_min, base::Duration age_max,
                                            std::size_t later_writes_min);
  /// Flips it back if the place has not been written since.
  void unrot(const RotPlace& place);
  /// The readable content of a file.
  base::Result<std::vector<std::byte>> peek(std::string_view path) const;
  /// Full paths of all files below the directory, in order.
  [[nodiscard]] std::vector<std::string> files_below(std::string_view path) const;
  [[nodiscard]] std::size_t unsynced_sectors(std::string_view path) const;
  /// The newest write that a kill left readable but not durable was read by a later process, and no power was lost since.
  [[nodiscard]] bool volatile_write_was_read() const { return left_volatile_ && left_volatile_->read; }
  /// Writes in flight, also those of dead processes that will land later.
  [[nodiscard]] std::size_t writes_pending() const { return writes_.size(); }

 private:
  enum class WriteFate : std::uint8_t { good, eio_not_landed, eio_landed, eio_torn, eio_volatile, eio_late, no_space };
  struct WriteOp {
    std::uint64_t id = 0;
    std::uint64_t owner_id = 0;
    Incarnation* owner = nullptr;  ///< null once it died
    InodeRef inode;
    std::uint64_t offset = 0;
    std::vector<std::byte> data;
    std::vector<bytes::Bytes> from;
    bool synced = false;
    bool direct = false;  ///< around the page cache: an error leaves nothing clean that is not stored
    bool landed = false;
    bool gone = false;  ///< never lands (any more), or landed and done
    WriteFate fate = WriteFate::good;
    int lands_at_start = 0;  ///< > 0: lands a moment after that many further process starts
    Fault late_kind = Fault::kill_write_lands_late;
    std::shared_ptr<Op<base::Result<void>>> op;
  };
  using WriteRef = std::shared_ptr<WriteOp>;
  struct LeftVolatile {
    const Inode* inode = nullptr;  ///< compared, never followed
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    bool read = false;
  };
  struct OldWrite {
    std::weak_ptr<Inode> inode;
    std::uint64_t offset = 0;
    std::size_t size = 0;
    std::uint64_t content_hash = 0;
    base::MonoTime when;
  };
  struct Touch {
    InodeRef directory;
    std::string name;
    InodeRef after;  ///< null: the entry is gone
  };
  using DirectoryOp = std::vector<Touch>;
  struct ParentAndName {
    InodeRef parent;
    std::string name;
  };

  base::Duration transfer_time(std::size_t bytes);
  base::Duration data_latency(base::Duration least, base::Duration tail, std::size_t bytes);
  WriteFate draw_fate(const Inode& inode, std::uint64_t offset, std::size_t size);
  void schedule_good(const WriteRef& write, base::Duration latency);
  [[nodiscard]] bool overtook(const WriteOp& write) const;
  void schedule_failed(const WriteRef& write, base::Duration latency);
  void land(WriteOp& write, bool torn);
  void finish(const WriteRef& write, base::Result<void> result);
  void check_memory(const WriteOp& write) const;
  void decide_after_kill(const WriteRef& write);
  void forget(const WriteRef& write);
  void store(Inode& inode, std::uint64_t offset, bytes::Bytes data);
  void make_durable(Inode& inode, std::uint64_t begin, std::uint64_t end);
  void settle_sector(Inode& inode, std::uint64_t sector, bool keep);
  void drop_unsynced(Inode& inode, bool revert);
  void grow(Inode& inode, std::uint64_t size_bytes);
  std::uint64_t new_pages(const Inode& inode, std::uint64_t offset, std::size_t size) const;
  void lose_file_state(Inode& inode, std::uint32_t keep_percent);
  void lose_directory_state(std::uint32_t keep_percent);
  void rebuild_from_durable(const InodeRef& directory, std::uint32_t keep_percent);
  base::Result<ParentAndName> locate(std::string_view path) const;
  void record(DirectoryOp op);
  void write_back_operations(std::size_t count);
  static void apply_durable(const DirectoryOp& op);
  static void flush_truncation(Inode& inode);
  void release_locks(std::uint64_t process);
  void release_space(const InodeRef& inode);
  [[nodiscard]] std::set<const Inode*> inodes_below(std::string_view below) const;
  std::optional<RotPlace> rot_write(const OldWrite& write, const InodeRef& inode);
  InodeRef new_inode(bool directory);

  World& world_;
  Rng rng_;
  std::string label_;
  std::uint64_t capacity_bytes_;
  std::uint64_t used_bytes_ = 0;
  DiskProfile profile_;
  InodeRef root_;
  base::MonoTime busy_until_{};
  std::uint64_t power_epoch_ = 0;
  std::vector<WriteRef> writes_;  ///< in flight, in order of issue
  std::vector<DirectoryOp> unsynced_operations_;
  std::vector<std::weak_ptr<Inode>> locked_;
  std::optional<LeftVolatile> left_volatile_;
  std::deque<OldWrite> old_writes_;  ///< completed synced writes, oldest first
};

}  // namespace weir::sim
