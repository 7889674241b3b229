// cache/disk_cache.h: object blocks on a local disk, below the memory cache of one shard (docs/cache.md).
// Why:        a disk holds what memory cannot: groups far behind one another, and restarts, read old data once from the store.
// Place:      L4, private to this room; made and used by BlockCacheImpl on its shard.
// Contract:   read() gives a block that has passed its check, or nothing: then the caller asks the store. It never fails and never
//             takes longer than read_timeout. offer() takes a block that leaves memory; it may drop it. Nothing here is ever needed.
// Layout:     slab files of one size, filled one after the other by one writer; when the ring is full the oldest is used again.
// Invariants: S1 a slab is written anew only when no read of it is under way (pins; asserted when a read ends: its generation is
//                what it was). S2 a slab's blocks leave the index before its header changes, and the header is durable before
//                anything else of the new lap is written. S3 nothing is served that is not, byte for byte, what the index and the
//                reader's footer say it is. S4 files never hold more than size_bytes.
// Failure:    any error of the disk, a lock that another process holds, files that vanished, slow_reads_max slow reads in a row: the
//             cache steps aside (logged once), and tries again after a pause. A disk that has no room for a further slab: it goes on
//             with those that it has. A damaged block is dropped and counted.
// Limits:     size_bytes; memory for the index: about 80 bytes per block, at most one block per slab::bytes_per_entry of disk;
//             disk_queue_bytes_max, disk_write_bytes_max, disk_reads_inflight_max.
// Tests:      cache/disk_cache_test.cc, tests/system/test_disk_cache.py, sim (disk faults), mutant free_a_cache_block_while_it_is_read.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cache/block_cache.h"
#include "cache/block_id.h"
#include "cache/core/slab_format.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"
#include "runtime/sync.h"

namespace weir::cache {

inline constexpr std::size_t disk_reads_inflight_max = 8;         ///< also those that were given up; past it the store is asked
inline constexpr std::uint64_t disk_queue_bytes_max = 8U << 20U;  ///< offered and not yet written; past it blocks are dropped
inline constexpr std::uint64_t disk_write_bytes_max = 2U << 20U;  ///< in one write; a larger block goes alone
inline constexpr std::uint32_t disk_slow_reads_max = 4;           ///< in a row, or failed ones: the disk is no help any more
inline constexpr base::Duration disk_look_period = std::chrono::seconds(5);  ///< whether the files are still there
inline constexpr std::uint32_t disk_spare_slabs = 1;  ///< room for so many stays free on the disk when a slab is made
inline constexpr base::Duration disk_pause_least = std::chrono::seconds(1);
inline constexpr base::Duration disk_pause_most = std::chrono::seconds(60);

class DiskCache {
 public:
  DiskCache(runtime::Runtime& runtime, DiskOptions options);
  ~DiskCache();
  DiskCache(const DiskCache&) = delete;
  DiskCache& operator=(const DiskCache&) = delete;

  /// Whether read() would try.
  [[nodiscard]] bool has(const BlockId& id) const { return in_use_ && index_.contains(id); }
  /// The payload, when it is here, whole, and comes within the timeout.
  runtime::Task<std::optional<bytes::Buffer>> read(BlockKey key);
  /// A verified block that leaves memory.
  void offer(const BlockId& id, const object::BlockRef& ref, const bytes::Buffer& payload);
  [[nodiscard]] bool in_use() const { return in_use_; }
  [[nodiscard]] std::size_t block_count() const { return index_.size(); }
  /// Joins everything; what is queued and not written is dropped.
  runtime::Task<void> stop();

 private:
  struct Slab {
    std::unique_ptr<runtime::File> file;  ///< null: not made yet
    std::uint64_t generation = 0;
    std::uint32_t pins = 0;  ///< reads under way
    std::vector<slab::Entry> entries;
  };
  struct Place {
    std::uint32_t slab = 0;
    slab::Entry entry;
  };
  struct Offered {
    BlockId id;
    std::uint32_t payload_crc = 0;
    bytes::Buffer payload;
  };
  struct Reading {
    Place place;
    std::uint64_t generation = 0;
    base::MonoTime began;
    std::optional<bytes::Buffer> payload;
    runtime::Event done;
  };
  struct Cells {
    explicit Cells(runtime::Metrics& metrics);
    runtime::Counter& hits;
    runtime::Counter& hit_bytes;
    runtime::Counter& written_blocks;
    runtime::Counter& written_bytes;
    runtime::Counter& dropped;
    runtime::Counter& damaged;
    runtime::Counter& read_failures;
    runtime::Counter& timeouts;
    runtime::Counter& busy;
    runtime::Counter& recycled;
    runtime::Counter& aside;
    runtime::Counter& full;
    runtime::Counter& found;
    runtime::Gauge& in_use;
    runtime::Gauge& used;
  };

  [[nodiscard]] std::string path_of(std::uint32_t slab) const;
  [[nodiscard]] slab::SlabName name_of(std::uint32_t slab) const {
    return {.cluster = options_.cluster, .index = slab, .generation = slabs_[slab].generation};
  }
  [[nodiscard]] base::MonoTime now() const { return runtime::Reactor::current().now(); }
  [[nodiscard]] bool leaving_soon(std::uint32_t slab) const;

  // --- life ---
  runtime::Task<void> run();
  runtime::Task<base::Result<void>> open();
  runtime::Task<base::Result<void>> open_slab(std::uint32_t slab);
  runtime::Task<base::Result<void>> remove_strangers();
  void take_in(std::uint32_t slab, bytes::Bytes head);
  /// Until something is wrong (an error) or the stop.
  runtime::Task<base::Result<void>> serve();
  runtime::Task<base::Result<void>> look_whether_it_is_there();
  void step_aside(const base::Error& why);
  void leave();
  runtime::Task<void> close();

  // --- reads ---
  runtime::Task<void> read_block(std::shared_ptr<Reading> reading);
  void read_went_wrong(const char* how);
  void forget(const BlockId& id);

  // --- the writer ---
  [[nodiscard]] bool has_room(std::uint64_t payload_bytes) const;
  runtime::Task<base::Result<void>> write_some();
  runtime::Task<base::Result<void>> write_index(std::uint32_t first_page);
  runtime::Task<base::Result<void>> begin_slab();
  [[nodiscard]] std::optional<std::uint32_t> oldest(bool also_unmade) const;
  runtime::Task<base::Result<void>> make_slab(std::uint32_t slab);
  runtime::Task<base::Result<void>> recycle(std::uint32_t slab);

  runtime::Runtime& runtime_;
  const DiskOptions options_;
  const std::uint32_t slab_bytes_;
  const std::uint32_t slab_count_;
  Cells cells_;
  std::unique_ptr<runtime::File> lock_;
  std::vector<Slab> slabs_;
  std::unordered_map<BlockId, Place, BlockIdHash> index_;  ///< looked up, never iterated
  std::deque<Offered> queue_;
  std::uint64_t queue_bytes_ = 0;
  std::optional<std::uint32_t> current_;  ///< the slab that is being filled
  std::uint32_t current_end_ = 0;         ///< where its next block goes
  std::uint64_t newest_generation_ = 0;
  std::uint64_t used_bytes_ = 0;  ///< payload of what the index names
  base::MonoTime may_grow_at_{};  ///< the disk was full: no new slab before then
  std::uint32_t bad_reads_ = 0;   ///< in a row
  bool in_use_ = false;
  bool told_ = false;                 ///< that it stands aside
  bool told_full_ = false;            ///< that the disk is full
  std::optional<base::Error> fault_;  ///< what reads found; it has stepped aside already
  runtime::Event wanted_;             ///< pulsed: something was offered, or is wrong
  runtime::Event unpinned_;
  runtime::Semaphore reads_{disk_reads_inflight_max};
  runtime::Scope scope_;
};

}  // namespace weir::cache
