// api/producer_ids.h: producer ids, given out of blocks that the keyspace reserves; an id is never given twice, also after a crash.
// Place:      L7; one per broker, its work runs on shard 0.
// Limits:     producer_id_block_count ids per keyspace transaction; a crash wastes at most one block.
#pragma once

#include <cstdint>

#include "api/services.h"
#include "base/result.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::api {

inline constexpr std::int64_t producer_id_block_count = 1000;

class ProducerIds {
 public:
  explicit ProducerIds(Services& services) : services_(services) {}
  /// From any shard.
  runtime::Task<base::Result<model::ProducerId>> next();

 private:
  runtime::Task<base::Result<model::ProducerId>> next_here();
  Services& services_;
  std::int64_t next_ = 0;
  std::int64_t end_ = 0;
  runtime::Semaphore refill_{1};
};

}  // namespace weir::api
