// sim/keyspace.h: a simulated keyspace: linearizable memory whose replies may be lost and whose transactions may be applied late.
// Why:        "a lost reply means unknown, and an unknown transaction may be applied after any later read" (docs/protocols.md, 1):
//             code that re-reads once and believes it must fail here.
// Contract:   KeyspaceState is the data of a run and survives every process; SimKeyspace is one process's keyspace::Keyspace.
//             Compares are judged when a transaction is applied, whenever that is. A transaction of a process that died may
//             still be applied.
// Limits:     late_txn_max: the longest a transaction may linger; watch_history_max revisions before they are compacted.
// Tests:      sim/keyspace_test.cc, keyspace/testing conformance
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "keyspace/keyspace.h"
#include "sim/op.h"
#include "sim/world.h"

namespace weir::sim {

inline constexpr base::Duration late_txn_max = std::chrono::minutes(5);
inline constexpr std::size_t watch_history_max = 4096;

struct KeyspaceProfile {
  base::Duration latency_least = std::chrono::microseconds(200);
  base::Duration latency_tail = std::chrono::microseconds(600);
  base::Duration timeout = std::chrono::seconds(2);
  std::uint32_t slow_ppm = 0;
  base::Duration slow_least = std::chrono::milliseconds(100);
  base::Duration slow_tail = std::chrono::seconds(1);
  std::uint32_t refuse_ppm = 0;
  std::uint32_t lose_request_ppm = 0;
  std::uint32_t lose_reply_ppm = 0;
  std::uint32_t apply_late_ppm = 0;
  std::uint32_t break_watch_ppm = 0;  ///< per delivery
};

class SimWatch;

class KeyspaceState {
 public:
  explicit KeyspaceState(World& world);
  KeyspaceState(const KeyspaceState&) = delete;
  KeyspaceState& operator=(const KeyspaceState&) = delete;
  KeyspaceProfile& profile() { return profile_; }
  /// Every call fails until then.
  void outage(base::Duration duration);
  void heal() { outage_until_ = {}; }
  /// Forgets the history up to the revision: watches from before must range anew.
  void compact(keyspace::Revision revision);
  struct Entry {
    std::string value;
    keyspace::Revision mod_revision = 0;
    base::MonoTime changed_at{};
  };
  [[nodiscard]] const std::map<std::string, Entry>& entries() const { return entries_; }
  [[nodiscard]] keyspace::Revision revision() const { return revision_; }
  /// As somebody else's transaction.
  void put_from_outside(std::string key, std::string value);
  [[nodiscard]] std::size_t late_transactions() const { return late_count_; }

 private:
  friend class SimKeyspace;
  friend class SimWatch;
  enum class Fate : std::uint8_t { good, refused, request_lost, reply_lost, late };
  struct Change {
    keyspace::Revision revision = 0;
    std::vector<keyspace::WatchEvent> events;
  };
  Fate draw_fate(bool may_be_late);
  base::Duration latency();
  keyspace::TxnResult apply(const keyspace::Txn& txn);
  keyspace::RangeResult range(const std::string& from, const std::string& to, std::size_t limit) const;

  World& world_;
  Rng rng_;
  KeyspaceProfile profile_;
  base::MonoTime outage_until_{};
  std::map<std::string, Entry> entries_;
  keyspace::Revision revision_ = 0;
  keyspace::Revision compacted_to_ = 0;
  std::deque<Change> history_;
  std::map<std::uint64_t, SimWatch*> watches_;  ///< by id: waking them has an order
  std::size_t late_count_ = 0;
};

class SimKeyspace final : public keyspace::Keyspace {
 public:
  explicit SimKeyspace(KeyspaceState& state) : state_(state) {}
  runtime::Task<base::Result<keyspace::TxnResult>> txn(keyspace::Txn txn, base::MonoTime deadline) override;
  runtime::Task<base::Result<keyspace::RangeResult>> range(std::string from, std::string to, std::size_t limit,
                                                           base::MonoTime deadline) override;
  base::Result<std::unique_ptr<keyspace::Watch>> watch(std::string prefix, keyspace::Revision after_revision) override;
  [[nodiscard]] keyspace::Revision last_known_revision() const override { return last_known_; }
  [[nodiscard]] std::string description() const override { return "simulated keyspace"; }
  runtime::Task<void> stop() override;

 private:
  KeyspaceState& state_;
  keyspace::Revision last_known_ = 0;
  bool stopped_ = false;
};

}  // namespace weir::sim
