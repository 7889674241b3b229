// keyspace/testing/faulty_keyspace.h: a keyspace that loses replies, delays and refuses transactions on command.
// Why:        "a lost reply means unknown, and an unknown transaction may be applied after any later read" (protocols.md, 1):
//             code that builds on transactions is tested under exactly that.
// Contract:   wraps a keyspace that outlives it. The hook chooses a fault per transaction; transactions are counted from 1.
//             After crash_at(n), transaction n and everything later fails as if the process were gone.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "keyspace/keyspace.h"

namespace weir::keyspace::testing {

enum class TxnFault : std::uint8_t {
  none,
  refuse,      ///< not applied, and said so (retry)
  drop,        ///< not applied, outcome unknown
  lose_reply,  ///< applied, outcome unknown
  hold,        ///< outcome unknown; applied or refused when apply_held() is called
};

class FaultyKeyspace final : public Keyspace {
 public:
  explicit FaultyKeyspace(Keyspace& inner) : inner_(inner) {}

  /// Asked before every transaction; empty: none.
  std::function<TxnFault(std::uint64_t number, const Txn& txn)> choose;
  /// While set, ranges fail with retry.
  bool ranges_fail = false;

  /// Transaction `number` and all later calls are never begun (cancelled); `applied_first`: `number` itself is applied, unseen.
  void crash_at(std::uint64_t number, bool applied_first) {
    crash_at_ = number;
    crash_applied_ = applied_first;
  }
  [[nodiscard]] std::uint64_t txn_count() const { return count_; }
  [[nodiscard]] bool crashed() const { return crash_at_ != 0 && count_ >= crash_at_; }
  [[nodiscard]] std::size_t held_count() const { return held_.size(); }
  /// Sends what was held, in order; how many succeeded.
  runtime::Task<std::size_t> apply_held();

  runtime::Task<base::Result<TxnResult>> txn(Txn txn, base::MonoTime deadline) override;
  runtime::Task<base::Result<RangeResult>> range(std::string from, std::string to, std::size_t limit,
                                                 base::MonoTime deadline) override;
  base::Result<std::unique_ptr<Watch>> watch(std::string prefix, Revision after_revision) override {
    return inner_.watch(std::move(prefix), after_revision);
  }
  [[nodiscard]] Revision last_known_revision() const override { return inner_.last_known_revision(); }
  [[nodiscard]] std::string description() const override { return "faulty " + inner_.description(); }
  runtime::Task<void> stop() override { co_return; }

 private:
  Keyspace& inner_;
  std::uint64_t count_ = 0;
  std::uint64_t crash_at_ = 0;
  bool crash_applied_ = false;
  std::vector<Txn> held_;
};

}  // namespace weir::keyspace::testing
