// runtime/runtime.h: all doors of one broker process, handed to its constructor. The real set is made by make_real_runtime(),
// the simulated one by sim/.
#pragma once

#include <memory>
#include <vector>

#include "runtime/blocking.h"
#include "runtime/file.h"
#include "runtime/log.h"
#include "runtime/metrics.h"
#include "runtime/net.h"
#include "runtime/reactor.h"

namespace weir::runtime {

/// Borrowed doors; whoever made them outlives the broker.
struct Runtime {
  std::vector<Reactor*> shards;  ///< index = ShardId; at least one. Shard 0 runs the WAL lane and the broker's own loops.
  FileSystem* files = nullptr;
  Network* network = nullptr;
  BlockingPool* blocking = nullptr;
  Logger* log = nullptr;
  Metrics* metrics = nullptr;
  [[nodiscard]] Reactor& shard(ShardId id) const { return *shards.at(id.value()); }
};

}  // namespace weir::runtime
