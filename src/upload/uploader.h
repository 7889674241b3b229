// upload/uploader.h: moves un-uploaded batches of all shards into objects: one loop, one object at a time, in commit order.
// Why:        one object for all partitions means few large PUTs whatever the number of partitions; the WAL is freed by commits
// only. Place:      L6, one per broker, on shard 0. Called by app and admin. Contract:   protocols.md, 3, steps 6 to 8: collect
// from all shards, PUT (If-None-Match) under a fresh name, commit k, then tell
//             the shards. The shards are told only after the commit is known to be applied.
// Invariants: at most one object is between collect and commit; commit numbers are dense (asserted by meta).
// Failure:    store down or slow: the same bytes go to the same name again, for ever, with backoff; memory stays at one object,
// and
//             that is copied out of the group buffers so that produces keep their memory. Commit unknown: sent again unchanged.
//             Session sealed: on_fenced is called once, nothing more is uploaded, the object is left for the sweep. A WAL place
//             that cannot be read leaves its partition out (retried after stuck_retry_after), the others go on. Held: the WAL
//             fills, and producers wait for its room.
// Limits:     Options; one object of TriggerLimits::size_bytes (plus one batch) in memory; wal_reads_inflight_max per shard.
// Tests:      upload/uploader_test.cc (each failure order), upload/core/trigger_test.cc, sim.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "log/log.h"
#include "meta/meta.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "upload/core/trigger.h"
#include "wal/wal.h"

namespace weir::upload {

struct Options {
  TriggerLimits limits;
  base::Duration put_deadline =
      std::chrono::seconds(5);                ///< no further attempt of one put() call begins after it; the loop goes on
  std::uint32_t wal_reads_inflight_max = 16;  ///< per shard
  base::Duration stuck_retry_after = std::chrono::seconds(30);
};

/// Where this broker's objects are named.
struct Naming {
  model::ClusterId cluster;
  std::uint64_t incarnation = 1;
};

struct Status {
  std::uint64_t backlog_bytes = 0;
  base::Duration oldest_age{};
  std::uint32_t failures_in_row = 0;  ///< of the object under way; 0: healthy
  std::string last_error;             ///< empty when healthy
  bool fenced = false;
  std::size_t stuck_partitions = 0;  ///< whose WAL place cannot be read
  std::size_t former_sessions = 0;   ///< whose WAL is not yet empty
};

struct FlushOutcome {
  std::uint64_t left_bytes = 0;  ///< still only in the WAL; 0 = everything is in objects
  std::uint64_t uploaded_bytes = 0;
};

/// All calls on shard 0.
class Uploader {
 public:
  virtual ~Uploader() = default;
  /// Begins the loop. `former`: sealed sessions of this volume; each is dropped once its WAL holds nothing that is needed.
  virtual void start(std::vector<model::SessionId> former) = 0;
  /// Uploads everything confirmed, without waiting for size or age, until the deadline. `progress` is called after each object
  /// with (bytes done, bytes left). No more produces should be admitted meanwhile, or it may not end before the deadline.
  virtual runtime::Task<FlushOutcome> flush(base::MonoTime deadline,
                                            std::function<void(std::uint64_t, std::uint64_t)> progress) = 0;
  /// Ends the loop; an attempt that is on its way is waited for (the store bounds it), what is not committed stays in the WAL.
  virtual runtime::Task<void> stop() = 0;
  [[nodiscard]] virtual Status status() const = 0;
};

/// What the uploader works on; all outlive it.
struct Doors {
  runtime::Runtime& runtime;
  wal::Wal& wal;
  meta::Meta& meta;
  store::ObjectStore& store;
  std::function<bool()> hold = {};  ///< true: there are too many objects until some are merged; only a flush uploads then
};

/// `shards` in shard order (log.shard(id) of each). `on_fenced` is called once, on shard 0, when a commit finds this session
/// sealed.
std::unique_ptr<Uploader> make_uploader(Doors doors, std::vector<log::Shard*> shards, Naming naming, Options options,
                                        std::function<void(const base::Error&)> on_fenced);
/// The same with the shards of a Log.
std::unique_ptr<Uploader> make_uploader(Doors doors, log::Log& log, Naming naming, Options options,
                                        std::function<void(const base::Error&)> on_fenced);

}  // namespace weir::upload
