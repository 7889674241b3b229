// upkeep/core/merge_plan.h: which recent objects are merged next, and which partitions get objects of their own. Pure.
// Why:        an upload holds a little of every partition. Reading one partition's history out of uploads costs a call per few
//             MiB, and the keyspace one key per upload for ever. Two rewrites make runs long enough for large objects of one
//             partition, at few calls per byte (docs/merging.md has the arithmetic).
// Contract:   objects stand in the order of their commits; a tier job takes neighbours only, so that each partition's ranges
//             still follow one another in that order. A split job takes partitions' whole ranges up to an object's end; what a
//             partition's covers_to has passed counts no more, and an object of which nothing counts is dead.
// Invariants: a job holds at most memory_bytes of its inputs (one object's at least); live and gathered
//             bytes are sums over the entries that count (asserted).
// Limits:     MergeLimits. Memory: 24 bytes per entry of an object that is not dead.
// Tests:      upkeep/core/merge_plan_test.cc; bench/merge_plan runs it over virtual days.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/units.h"
#include "model/ids.h"

namespace weir::upkeep {

/// Sizes of tiers lie this far apart; as many neighbours of one tier make one of the next.
inline constexpr std::size_t tier_factor = 16;
inline constexpr std::size_t tier_count = 4;
/// Two ranges of one object that lie closer are fetched by one GET.
inline constexpr std::uint64_t range_gap_bytes_max = 1U << 20U;
/// An object of which at least one part in this many is live is read whole.
inline constexpr std::uint64_t read_whole_share = 2;
/// Once a partition has left an object, those that are at most one part in this many short of a split follow: the object is read while
/// its neighbours are, and is dead when all have left it.
inline constexpr std::uint64_t along_share = 3;
/// An object of which at least one part in this many is not live has been begun.
inline constexpr std::uint64_t begun_share = 128;

struct MergeLimits {
  std::size_t fan_in_max = tier_factor;            ///< inputs of a tier job
  std::uint64_t memory_bytes = 768ULL << 20U;      ///< what a job holds
  std::uint64_t split_bytes = 256ULL << 20U;       ///< gathered, from which a partition gets an object of its own
  std::uint64_t split_min_bytes = 16ULL << 20U;    ///< the same while there are too many objects
  std::uint64_t split_object_max = 512ULL << 20U;  ///< at most this much in one object of one partition
  std::size_t objects_max = 256;                   ///< from three quarters of it on merging is under pressure
  bool splits = true;
};

/// The partition's number is the caller's; within an object entries ascend by it, and so do their bytes in the object.
struct MergeEntry {
  std::uint32_t partition = 0;
  model::Offset end;
  std::uint64_t bytes = 0;
  bool stays = false;  ///< it can not be split off now, nor what follows it: a transaction that began in it is open
};

struct MergeObject {
  model::ObjectId id;
  std::uint64_t size_bytes = 0;
  std::vector<MergeEntry> entries;
  bool refused = false;  ///< it was found damaged: no job takes it, and nothing is merged or split across it
};

struct MergeJob {
  enum class Kind : std::uint8_t { tier, split } kind = Kind::tier;
  std::vector<model::ObjectId> inputs;  ///< in order; of a split those that hold something of its partitions
  std::uint64_t bytes = 0;              ///< live bytes that it moves
  std::uint64_t get_count = 0;          ///< GETs that read them
  struct Part {
    std::uint32_t partition = 0;
    std::uint64_t bytes = 0;
    model::Offset covers_to;  ///< once the job is committed
  };
  std::vector<Part> parts;  ///< of a split
};

class MergePlanner {
 public:
  explicit MergePlanner(MergeLimits limits) : limits_(limits) {}

  /// The newest object. Entries without bytes do not count.
  void add(MergeObject object);
  /// A tier job is done: `merged` stands where its inputs stood.
  void replaced(const std::vector<model::ObjectId>& inputs, MergeObject merged);
  /// Everything of the partition below `to` counts no more: a manifest holds it, or the log start passed it.
  void covered(std::uint32_t partition, model::Offset to);
  /// Takes the objects out of which nothing counts any more: they can be unlinked.
  std::vector<model::ObjectId> take_dead();

  [[nodiscard]] std::optional<MergeJob> next() const;
  /// Too many objects: merging goes before uploads; at objects_max uploads wait.
  [[nodiscard]] bool under_pressure() const { return items_.size() > limits_.objects_max / 4 * 3; }
  [[nodiscard]] std::size_t object_count() const { return items_.size(); }
  [[nodiscard]] std::uint64_t live_bytes() const { return live_bytes_; }
  [[nodiscard]] std::size_t entry_count() const { return entry_count_; }

 private:
  struct Item {
    MergeObject object;
    std::uint64_t live_bytes = 0;
    bool ripe = false;  ///< tiers have finished with it: it was at least half of a job when it came
  };
  struct Run {
    std::size_t first = 0;
    std::size_t count = 0;
    std::uint64_t bytes = 0;
  };
  [[nodiscard]] std::uint64_t ripe_bytes() const { return limits_.memory_bytes / 2; }
  [[nodiscard]] Item make_item(MergeObject object) const;
  void account(const Item& item, bool add);
  [[nodiscard]] std::size_t ripe_end() const;
  /// What could be split off of a partition.
  struct Gathered {
    std::uint64_t bytes = 0;
    bool over = false;   ///< something of it stays: what follows stays too
    bool begun = false;  ///< some of it lies in an object that other partitions have left
  };
  [[nodiscard]] std::vector<Gathered> gathered(std::size_t ripe_end) const;
  /// Read whole: an object is in memory with what is dead in it.
  [[nodiscard]] static std::uint64_t held_bytes(const Item& item);
  [[nodiscard]] Run fitting(std::size_t first, std::size_t end) const;
  [[nodiscard]] std::optional<Run> tier_run() const;
  [[nodiscard]] std::optional<Run> any_run() const;
  [[nodiscard]] MergeJob tier_job(const Run& run) const;
  [[nodiscard]] std::optional<MergeJob> split_job(std::uint64_t min_bytes) const;
  [[nodiscard]] MergeJob make_split(const std::vector<std::uint32_t>& chosen, std::size_t ripe_end) const;
  [[nodiscard]] MergeJob::Part first_part(std::uint32_t partition, std::size_t ripe_end) const;

  MergeLimits limits_;
  std::vector<Item> items_;
  std::uint64_t live_bytes_ = 0;
  std::size_t entry_count_ = 0;
  std::vector<std::uint64_t> bytes_of_;  ///< per partition, over all items: a bound that spares most looks at splits
};

}  // namespace weir::upkeep
