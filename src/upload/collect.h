// upload/collect.h: takes runs from the shards, fills in what has left memory, and builds one object of them.
// Place:      private to upload/.
// Contract:   collect_from() runs on the shard; everything it gives back may cross to shard 0. A run with a WAL place that
// cannot be
//             read comes back with its error and without batches.
// Limits:     reads_inflight_max WAL reads at a time on a shard; the payload of one collection is held in memory.
#pragma once

#include <optional>
#include <vector>

#include "log/log.h"
#include "object/format.h"
#include "runtime/runtime.h"

namespace weir::upload {

struct FilledRun {
  object::PartitionEntry entry;
  std::vector<object::InputBatch> batches;
  std::uint64_t bytes = 0;             ///< of all its batches, also when they could not be read
  std::optional<base::Error> failure;  ///< the WAL could not be read: nothing of this run may go into the object
};

struct ShardCollection {
  std::vector<FilledRun> runs;
  std::uint64_t wal_read_bytes = 0;
};

struct CollectOptions {
  std::uint64_t bytes_max = 0;
  std::uint32_t reads_inflight_max = 1;
  bool all_from_wal = false;  ///< memory is not trusted: every batch is read back, verified
};

/// On the shard.
runtime::Task<ShardCollection> collect_from(log::Shard* shard, CollectOptions options);

struct BuiltObject {
  object::Builder::Finished object;
  std::vector<std::vector<object::PartitionEntry>> entries_by_shard;  ///< index = shard
};
struct BuildIdentity {
  object::Identity identity;
  model::SessionId session;
  model::CommitNumber commit;
};
/// Merges the readable runs in order of partition; empty when there is none. Gives way in between: an object of 64 MiB of small
/// batches takes tens of milliseconds, for which no request of the shard would be looked at.
runtime::Task<std::optional<BuiltObject>> build(BuildIdentity identity, std::vector<ShardCollection> collections,
                                                bool copy_payloads);

/// The same bytes in slabs of their own; what they came from is let go piece by piece.
bytes::BufferList copied(bytes::BufferList body);

}  // namespace weir::upload
