// log/wait.h: a long poll over several partitions on several shards.
// Why:        a fetch that finds nothing costs nothing until something comes: no polling, O(1) per advance when nobody waits.
// Contract:   WaitState lives on the poll's home reactor and is touched only there; shards report into it (posted when
//             elsewhere). WaitNodes live on the partitions' shards and go away with their group.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "log/partition.h"
#include "runtime/sync.h"

namespace weir::log {

struct WaitState {
  runtime::Reactor* home = nullptr;
  std::uint64_t min_bytes = 0;
  runtime::Event event;
  std::vector<std::uint64_t> bytes;  ///< readable beyond each position, as last reported
  std::uint64_t total_bytes = 0;
  bool ended = false;  ///< an epoch changed, a partition went away, or the broker stops: look again

  void report(std::size_t index, std::uint64_t readable_bytes, bool end) {
    total_bytes = total_bytes - bytes[index] + readable_bytes;
    bytes[index] = readable_bytes;
    ended = ended || end;
    if (ended || total_bytes >= min_bytes) event.set();
  }
};

}  // namespace weir::log
