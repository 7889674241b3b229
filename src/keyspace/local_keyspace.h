// keyspace/local_keyspace.h: a keyspace inside this process: the map in memory, a Journal that makes its changes durable.
// Why:        memory and RocksDB differ only in the journal; judging, group commit, watches and deadlines are written once.
// Place:      L3; made by memory.h and rocksdb.h. State and queue live on one home reactor: calls from others hop there.
// Contract:   as keyspace.h. All transactions that wait while the journal is busy go out as one synced write (no timer); a
//             change is visible to ranges, watches and last_known_revision() only after its write succeeded.
// Failure:    a failed write: its transactions have an unknown outcome; the journal is reopened (not before
//             reopen_pause after the failure) by the next transaction and tells by its content what was applied. Until then
//             transactions fail with retry and ranges show the last durable state.
// Limits:     txns_queued_max waiting (then callers wait for room until their deadline), batch_txns_max in one write.
// Tests:      keyspace/testing/keyspace_conformance.h, local_keyspace_test.cc
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "keyspace/core/map_state.h"
#include "keyspace/keyspace.h"
#include "keyspace/watch_hub.h"
#include "runtime/runtime.h"
#include "runtime/scope.h"

namespace weir::keyspace {

inline constexpr std::size_t txns_queued_max = 1024;
inline constexpr std::size_t batch_txns_max = 256;
inline constexpr base::Duration reopen_pause = std::chrono::seconds(1);

/// Makes batches of changes durable, one at a time; used on the home reactor.
class Journal {
 public:
  /// The last state of each changed key; an empty optional: erased.
  using Changes = std::map<std::string, std::optional<core::Entry>, std::less<>>;
  virtual ~Journal() = default;
  /// Durable on success. On failure the outcome is unknown and nothing more is appended before reopen().
  virtual runtime::Task<base::Result<void>> append(Changes changes, Revision revision) = 0;
  /// After a failed append: the durable state, with whatever of the failed batch is in it.
  virtual runtime::Task<base::Result<core::MapState>> reopen() = 0;
  virtual runtime::Task<void> close() = 0;
};

class LocalKeyspace final : public Keyspace {
 public:
  /// `home` outlives the keyspace. `metrics` may be null.
  LocalKeyspace(runtime::Reactor& home, std::unique_ptr<Journal> journal, core::MapState state, std::string description,
                runtime::Metrics* metrics);
  ~LocalKeyspace() override;
  runtime::Task<base::Result<TxnResult>> txn(Txn txn, base::MonoTime deadline) override;
  runtime::Task<base::Result<RangeResult>> range(std::string from, std::string to, std::size_t limit,
                                                 base::MonoTime deadline) override;
  base::Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after_revision) override;
  [[nodiscard]] Revision last_known_revision() const override { return revision_.load(std::memory_order_acquire); }
  [[nodiscard]] std::string description() const override { return description_; }
  runtime::Task<void> stop() override;
  /// Forgets watchable history up to `revision` (tests).
  runtime::Task<bool> compact(Revision revision);

 private:
  struct Pending;
  runtime::Task<base::Result<TxnResult>> txn_at_home(Txn txn, base::MonoTime deadline);
  base::Result<RangeResult> range_at_home(const std::string& from, const std::string& to, std::size_t limit,
                                          base::MonoTime deadline) const;
  runtime::Task<void> stop_at_home();
  runtime::Task<void> write_loop();
  runtime::Task<void> write_batch(std::vector<std::shared_ptr<Pending>> taken);
  runtime::Task<base::Result<void>> heal();
  std::vector<std::shared_ptr<Pending>> take_batch();
  void finish(Pending& pending, base::Result<TxnResult> result);
  void publish(core::MapState::Batch batch);

  runtime::Reactor& home_;
  std::unique_ptr<Journal> journal_;
  core::MapState state_;
  std::string description_;
  std::shared_ptr<WatchHub> hub_;
  std::atomic<Revision> revision_;
  std::deque<std::shared_ptr<Pending>> queue_;
  runtime::Semaphore room_{txns_queued_max};
  runtime::Scope scope_;
  bool writing_ = false;
  bool stopped_ = false;
  bool broken_ = false;  ///< an append failed and the journal is not reopened yet
  std::string broken_text_;
  base::MonoTime heal_not_before_{};
  struct Cells;
  std::unique_ptr<Cells> cells_;
};

}  // namespace weir::keyspace
