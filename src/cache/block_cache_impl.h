// cache/block_cache_impl.h: the one implementation of BlockCache: index, single flight, coalesced loads, adaptive read-ahead.
// Place:      L4, private to this room.
// Contract:   as block_cache.h. All state belongs to the shard that made it.
// Invariants: a block is in entries_ exactly when it is resident in policy_ (asserted); a key is in pending_ while one load
// owns it. Memory:     payloads of loads of several blocks are copied out of the range: a slice would keep the whole range
// alive after
//             its neighbours were evicted, and capacity would no longer be a number. A copy is 0.1 CPU-s/GB, in cache after the
//             check.
// Limits:     load_budget_bytes (capacity / 2) of loads in flight beside the capacity; coalesce (capacity / 8 at most).
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "cache/block_cache.h"
#include "cache/block_id.h"
#include "cache/core/s3_fifo.h"
#include "cache/disk_cache.h"
#include "runtime/scope.h"
#include "runtime/sync.h"

namespace weir::cache {

/// A load goes on to this time even when the reader that began it gives up earlier: others may have joined it.
inline constexpr base::Duration load_deadline_min = std::chrono::seconds(10);
/// One re-read of blocks that failed their check.
inline constexpr int load_attempts_max = 2;
/// Of a loaded range, checked (one block at least) or copied between two looks at everything else.
inline constexpr std::uint64_t verify_step_bytes_max = 256U << 10U;

class BlockCacheImpl final : public BlockCache {
 public:
  BlockCacheImpl(runtime::Runtime& runtime, store::ObjectStore& store, Options options);
  ~BlockCacheImpl() override;
  runtime::Task<base::Result<std::vector<bytes::Buffer>>> get(std::vector<BlockKey> blocks, std::size_t wanted,
                                                              base::MonoTime deadline,
                                                              std::vector<std::size_t>* waited = nullptr) override;
  [[nodiscard]] std::uint64_t used_bytes() const override { return policy_.used_bytes(); }
  runtime::Task<void> stop() override;
  /// Null without one; for tests.
  [[nodiscard]] DiskCache* disk() { return disk_.get(); }
  /// How far loads may go beyond what is wanted, now; for tests.
  [[nodiscard]] std::uint64_t readahead_bytes() const { return readahead_bytes_; }

 private:
  using Loaded = base::Result<bytes::Buffer>;
  using Pending = runtime::Completion<Loaded>;
  struct Entry {
    bytes::Buffer payload;
    object::BlockRef ref;
    model::TopicPartition partition;
    bool unread_readahead = false;
  };
  /// One range GET: adjacent blocks of one object, with whoever waits for each.
  struct Load {
    std::vector<BlockKey> blocks;
    std::vector<std::shared_ptr<Pending>> waiters;
    std::vector<bool> readahead;
    std::uint64_t range_bytes = 0;
    base::MonoTime deadline;
    bool budget_taken = false;
  };
  struct Cells {
    runtime::Counter& hits;
    runtime::Counter& joined;
    runtime::Counter& misses;
    runtime::Counter& loads;
    runtime::Counter& load_bytes;
    runtime::Counter& load_failures;
    runtime::Counter& readahead_blocks;
    runtime::Counter& readahead_wasted;
    runtime::Counter& corrupt;
    runtime::Counter& reread;
    runtime::Counter& paced;
    runtime::Gauge& loads_inflight;
    runtime::Gauge& used;
  };

  runtime::Task<base::Result<std::vector<bytes::Buffer>>> get_counted(std::vector<BlockKey> blocks, std::size_t wanted,
                                                                      base::MonoTime deadline,
                                                                      std::vector<std::size_t>* waited_for);
  /// The payload when it is here, with a use counted.
  [[nodiscard]] std::optional<Loaded> find(const BlockKey& key);
  [[nodiscard]] bool missing(const BlockKey& key) const;
  /// Missing, and the disk has it: no GET is spent on it, unless the disk then fails.
  [[nodiscard]] bool on_disk(const BlockKey& key) const;
  void start_from_disk(const BlockKey& key, base::MonoTime deadline);
  runtime::Task<void> run_from_disk(std::unique_ptr<Load> load);
  /// Splits the missing blocks of [from, to) into loads and starts them. `to` may exceed `wanted`: the rest is read-ahead.
  void start_loads(std::span<const BlockKey> blocks, std::size_t wanted, base::MonoTime deadline);
  void start_readahead(std::span<const BlockKey> blocks, std::size_t wanted, base::MonoTime deadline);
  [[nodiscard]] std::size_t readahead_end(std::span<const BlockKey> blocks, std::size_t wanted) const;
  void start(std::unique_ptr<Load> load);
  runtime::Task<void> run(std::unique_ptr<Load> load);
  /// Takes the load's share of the budget and waits for its turn; stopped or past the deadline: nothing is taken.
  runtime::Task<runtime::Wake> take_budget(Load& load);
  runtime::Task<runtime::Wake> wait_for_pace(std::uint64_t size_bytes, base::MonoTime deadline);
  runtime::Task<void> read_and_verify(Load& load);
  void finish(Load& load, std::size_t index, Loaded loaded);
  void admit(const BlockKey& key, const bytes::Buffer& payload, bool readahead);

  runtime::Runtime& runtime_;
  store::ObjectStore& store_;
  Options options_;
  std::uint64_t coalesce_bytes_;
  std::uint64_t readahead_bytes_;  ///< halves when read-ahead is wasted, grows when it is used
  Cells cells_;
  S3Fifo<BlockId, BlockIdHash> policy_;
  std::unordered_map<BlockId, Entry, BlockIdHash> entries_;
  std::unordered_map<BlockId, std::shared_ptr<Pending>, BlockIdHash> pending_;
  runtime::Semaphore load_slots_;
  runtime::Semaphore load_budget_;
  runtime::Scope scope_;
  std::unique_ptr<DiskCache> disk_;  ///< null: none
  std::size_t gets_ = 0;
  runtime::Event idle_;
};

}  // namespace weir::cache
