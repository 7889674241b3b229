// cache/block_cache.h: verified object blocks in memory, one cache per shard, shared by all readers of the shard.
// Why:        several consumer groups read the same old data once from the store; a backlog scan must not evict the tail.
// Contract:   get() gives a block's payload after its checks; concurrent gets of one block share one load; adjacent blocks of
//             one request are fetched in one range GET (coalesced up to coalesce_bytes_max).
// Invariants: an entry is found only by (object id, position): a hit never crosses objects. used <= capacity + what is pinned
//             by loads (asserted).
// Failure:    the store's kinds; corrupt when a block fails its check (after one re-read from the store).
// Budget:     everything that it reads from the store is catch-up: at most loads_inflight_max GETs and half of the capacity in bytes
//             are in flight beside the cache, begun no faster than `pace` allows. Nothing else waits for any of the three.
// Limits:     capacity_bytes, loads_inflight_max, coalesce_bytes_max, pace.
// Tests:      cache/*_test.cc (eviction core against a model; single flight; corruption).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "bytes/buffer.h"
#include "cache/core/pace.h"
#include "object/format.h"
#include "runtime/runtime.h"
#include "store/store.h"

namespace weir::cache {

/// One block of a committed object, as its footer lists it.
struct BlockKey {
  object::Identity identity;
  std::string object_key;  ///< in the store
  model::TopicPartition partition;
  object::BlockRef ref;
};

/// The part of the cache that lies on a local disk; of one shard.
struct DiskOptions {
  std::string directory;         ///< of this shard alone; made when missing
  std::uint64_t size_bytes = 0;  ///< 0: none
  std::uint32_t slab_bytes = 0;  ///< 0: chosen from the size
  model::ClusterId cluster;
  base::Duration read_timeout = std::chrono::milliseconds(100);  ///< a slower read is given up and the store is asked
};

struct Options {
  std::uint64_t capacity_bytes = 64U << 20U;
  std::uint32_t loads_inflight_max = 16;
  std::uint32_t coalesce_bytes_max = 8U << 20U;
  Pace* pace = nullptr;  ///< shared by all shards, borrowed; none: no limit
  DiskOptions disk;
};

class BlockCache {
 public:
  virtual ~BlockCache() = default;
  /// Payloads of `blocks` (ascending positions of one object), in order. Those beyond `wanted` are read-ahead: they may be
  /// loaded with the same GET and kept, but are not waited for and not returned. `waited` (borrowed until the task is done) gets
  /// the indices, ascending, of those that were not in memory.
  virtual runtime::Task<base::Result<std::vector<bytes::Buffer>>> get(std::vector<BlockKey> blocks, std::size_t wanted,
                                                                      base::MonoTime deadline,
                                                                      std::vector<std::size_t>* waited = nullptr) = 0;
  [[nodiscard]] virtual std::uint64_t used_bytes() const = 0;
  virtual runtime::Task<void> stop() = 0;
};

/// On the current shard. Runtime and store outlive it.
std::unique_ptr<BlockCache> make_block_cache(runtime::Runtime& runtime, store::ObjectStore& store, Options options);

}  // namespace weir::cache
