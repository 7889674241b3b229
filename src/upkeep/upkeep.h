// upkeep/upkeep.h: retention, garbage, the sweep of orphans, merges and splits: one loop on shard 0, one job at a time.
// Why:        space is freed by whole objects; an object is deleted last, long after the last reader could have begun (P4).
// Place:      L6, one per broker (later: the controller's). Called by app; kick() by api through app.
// Contract:   protocols.md, 7. Retention raises log starts through the log (durable first). An object whose footer proves it
//             dead is unlinked (obj/ -> gc/), deleted garbage_wait after *this* process first saw gc/, then gc/ is dropped. Names under
//             the cluster's prefix that no commit references and none can any more are deleted garbage_wait after they were
//             first seen.
// Invariants: nothing is deleted in the store that obj/ references (by the order of reads, see garbage.h).
// Failure:    everything is idempotent and repeated; the store or keyspace down costs space, never data. Session sealed:
//             on_fenced is called, and it stops.
// Limits:     Options; footers_per_round_max, orphans_seen_max below.
// Tests:      upkeep/upkeep_test.cc, upkeep/core/*_test.cc, sim.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "log/log.h"
#include "meta/meta.h"
#include "model/topic_config.h"
#include "runtime/runtime.h"
#include "store/store.h"
#include "upkeep/core/merge_plan.h"

namespace weir::upkeep {

/// Footers read to prove objects dead, in one round; the rest waits for the next.
inline constexpr std::size_t footers_per_round_max = 1000;
/// Names that wait for garbage_wait before they are swept; the rest waits for the next sweep.
inline constexpr std::size_t orphans_seen_max = 10000;
/// An upload in parts is left alone for so many garbage waits (half an hour by default): it may be a slow restore of a lost object.
inline constexpr int upload_waits = 6;
/// Log starts raised at the same time: they share the keyspace's commits.
inline constexpr std::size_t raises_inflight_max = 16;
/// Changes of one partition's manifest in one round, each of which drops up to object::edit_drops_max objects.
inline constexpr std::size_t trims_per_round_max = 1000;
/// After a kick: the log lets go of a deleted topic's partitions a moment after the topic is gone.
inline constexpr base::Duration kick_settle = std::chrono::seconds(1);
/// Between two rounds that were asked for; a burst of deletions is one round.
inline constexpr base::Duration kick_pause = std::chrono::seconds(10);
/// Partitions looked at in one turn of a shard.
inline constexpr std::size_t partitions_per_turn_max = 64;

/// What is never merged because it was found damaged, at most.
inline constexpr std::size_t merge_refused_max = 1000;
/// One GET of a merge fetches at most this much (and one block); a larger input is read in several.
inline constexpr std::uint64_t merge_get_bytes_max = 512U << 20U;
/// How long a merge steps aside for uploads that wait, at most: this often, this long. As short as an upload, so that a short queue
/// costs merging no more than it lasts.
inline constexpr std::size_t foreground_waits_max = 600;
inline constexpr base::Duration foreground_wait = std::chrono::milliseconds(100);

struct MergeOptions {
  MergeLimits limits;
  std::uint64_t bytes_per_second = 64U << 20U;         ///< read and written together, grows with their number; 0: no merging
  base::Duration interval = std::chrono::seconds(10);  ///< between two looks when there was nothing to merge
};

struct Options {
  MergeOptions merge;
  base::Duration retention_interval = std::chrono::minutes(5);  ///< log.retention.check.interval.ms
  base::Duration garbage_wait = std::chrono::minutes(5);        ///< G: above any request's deadline plus the view's lag
  base::Duration sweep_interval =
      std::chrono::hours(1);  ///< each lists the cluster's names: one request per 1,000, 16 at least
  base::Duration store_deadline = std::chrono::seconds(30);  ///< of one request
};

struct Naming {
  model::ClusterId cluster;
  std::uint64_t incarnation = 1;
};

/// What upkeep needs of the log.
struct LogDoor {
  std::vector<log::Shard*> shards;  ///< in shard order
  std::function<runtime::Task<log::Errc>(model::TopicPartition, model::Offset)> raise_log_start;
  std::function<runtime::Task<base::Result<log::PartitionState>>(model::TopicPartition)> state;
  static LogDoor of(log::Log& log, std::size_t shard_count);
};

struct Doors {
  runtime::Runtime& runtime;
  meta::Meta& meta;
  store::ObjectStore& store;
  std::function<bool()> foreground_busy = {};              ///< uploads wait for the store: merging steps aside
  std::function<void(const base::Error&)> on_fenced = {};  ///< called once, when a transaction says that this session is sealed
};

/// A topic's settings in effect; empty when the topic is not known (any more).
using ConfigOf = std::function<std::optional<model::TopicConfig>(model::TopicId)>;

/// All calls on shard 0.
class Upkeep {
 public:
  virtual ~Upkeep() = default;
  virtual void start() = 0;
  /// A topic or records were deleted, or a retention setting changed: look now instead of at the next interval.
  virtual void kick() = 0;
  virtual runtime::Task<void> stop() = 0;
  /// There are MergeLimits::objects_max objects, and merging them is under way: an upload would only add to them.
  [[nodiscard]] virtual bool uploads_wait() const = 0;
};

std::unique_ptr<Upkeep> make_upkeep(Doors doors, LogDoor log, Naming naming, ConfigOf config_of, Options options);

}  // namespace weir::upkeep
