// keyspace/core/map_state.h: an ordered map with revisions: judging transactions, ranges, and the recent changes for watches.
// Why:        metadata is small (O(brokers + partitions + recent objects)), so one node holds it in memory whole; the disk
//             only has to make changes durable. The judging is pure and the same for every local implementation.
// Contract:   pure, single-threaded. A Batch judges transactions in order against the map and the batch's own earlier effects;
//             nothing is visible in the map until apply(), which comes after the changes are durable.
// Invariants: revision() grows by one with every transaction that changes a key; a batch is applied to the state that it was
//             begun on (asserted). history holds each txn's events together, contiguous from compacted_to() + 1 on.
// Limits:     history_events_max, history_bytes_max: past them the oldest txns are compacted away.
// Tests:      keyspace/map_state_test.cc, the conformance suite.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "keyspace/keyspace.h"

namespace weir::keyspace::core {

inline constexpr std::size_t history_events_max = 4096;
inline constexpr std::size_t history_bytes_max = 1024 * 1024;

struct Entry {
  std::string value;
  Revision mod_revision = 0;
};
using EntryMap = std::map<std::string, Entry, std::less<>>;

/// One applied transaction's changes; shared with every watcher.
struct Applied {
  Revision revision = 0;
  std::vector<WatchEvent> events;
};

class MapState {
 public:
  MapState() = default;
  /// A state as it was loaded: nothing of its past can be watched.
  MapState(EntryMap entries, Revision revision) : entries_(std::move(entries)), revision_(revision), compacted_to_(revision) {}

  class Batch {
   public:
    explicit Batch(const MapState& base) : base_(&base), begun_at_(base.revision_), revision_(base.revision_) {}
    TxnResult judge(const Txn& txn);
    [[nodiscard]] bool changes_anything() const { return !applied_.empty(); }
    [[nodiscard]] Revision revision() const { return revision_; }
    /// The last state of each changed key, in order of key (an empty optional: erased): what must become durable.
    [[nodiscard]] const std::map<std::string, std::optional<Entry>, std::less<>>& overlay() const { return overlay_; }

   private:
    friend class MapState;
    [[nodiscard]] Revision mod_revision(std::string_view key) const;
    const MapState* base_;
    Revision begun_at_;
    Revision revision_;
    std::map<std::string, std::optional<Entry>, std::less<>> overlay_;
    std::vector<std::shared_ptr<const Applied>> applied_;
  };

  /// Makes the batch's changes the state; returns what watchers must be told, in order.
  std::vector<std::shared_ptr<const Applied>> apply(Batch batch);
  [[nodiscard]] RangeResult range(std::string_view from, std::string_view to, std::size_t limit) const;
  [[nodiscard]] Revision revision() const { return revision_; }
  /// Changes at or below this revision can no longer be watched.
  [[nodiscard]] Revision compacted_to() const { return compacted_to_; }
  [[nodiscard]] const std::deque<std::shared_ptr<const Applied>>& history() const { return history_; }
  [[nodiscard]] const EntryMap& entries() const { return entries_; }
  /// Forgets the history up to `revision` (tests; a bound does it otherwise).
  void compact(Revision revision);

 private:
  void remember(std::shared_ptr<const Applied> applied);
  void forget_oldest();
  EntryMap entries_;
  Revision revision_ = 0;
  Revision compacted_to_ = 0;
  std::deque<std::shared_ptr<const Applied>> history_;
  std::size_t history_events_ = 0;
  std::size_t history_bytes_ = 0;
};

/// Asserts the limits of keyspace.h: a txn past them is a programmer's error, the same on every implementation.
void ensure_within_limits(const Txn& txn);

}  // namespace weir::keyspace::core
