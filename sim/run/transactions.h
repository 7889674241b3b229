// sim/run/transactions.h: transactional producers and their coordinator in one, driving the log's internal calls.
// Why:        clients are refused transactions until there is a coordinator; the log's part of them must be right before that.
// Contract:   the writers outlive the broker's incarnations, as clients and a coordinator's log do. run() works in the process of
//             one incarnation and may die in any call: what was under way is then of unknown outcome, and is sent again or given
//             up with a raised epoch. A decision is made before the first marker and never changed. Everything is reported to the
//             history before it is sent.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/log.h"
#include "runtime/runtime.h"
#include "sim/rng.h"
#include "sim/workload.h"

namespace weir::sim {

class TransactionWriter {
 public:
  TransactionWriter(Workload& workload, std::size_t number);
  /// Until `stop` is set, or all is ended after wind_up().
  runtime::Task<void> run(log::Log* log, const bool* stop);
  /// No new transaction; the one under way is ended.
  void wind_up() { winding_up_ = true; }
  [[nodiscard]] bool ended() const { return winding_up_ && phase_ == Phase::idle; }

 private:
  enum class Phase : std::uint8_t { idle, writing, ending };
  struct Place {
    TopicInfo* topic = nullptr;
    std::int32_t index = 0;
    [[nodiscard]] model::TopicPartition id() const { return Workload::partition_of(*topic, index); }
  };
  /// A batch until it is acked or given up.
  struct Item {
    BatchNumber number = 0;
    Place place;
    bytes::Buffer batch;
    std::int32_t count = 0;
    model::Sequence sequence;
    base::MonoTime made;
  };
  void begin();
  void choose_item();
  Item make_item(const Place& place, model::ProducerEpoch epoch, std::int32_t sequence);
  runtime::Task<log::ProduceOutcome> append(log::Log* log, const Item* item, model::ProducerEpoch epoch);
  runtime::Task<void> write(log::Log* log);
  void settle(const log::ProduceOutcome& outcome);
  void decide(bool commit, bool bump);
  runtime::Task<void> end_one(log::Log* log);
  runtime::Task<void> tempt(log::Log* log, Place place);
  void finish();
  void touch(const Place& place);
  [[nodiscard]] base::MonoTime deadline() const;

  Workload& workload_;
  std::string name_;
  Rng rng_;
  const model::ProducerId producer_;
  model::ProducerEpoch epoch_{0};
  std::int32_t coordinator_epoch_ = 1;
  std::map<model::TopicPartition, std::int32_t> next_sequence_;  ///< of this epoch
  Phase phase_ = Phase::idle;
  TransactionNumber current_ = 0;
  std::size_t batches_left_ = 0;
  std::vector<Place> places_;  ///< with a batch of this transaction, in order of the first
  std::optional<Item> item_;
  bool bump_ = false;  ///< the markers raise the epoch (transaction version 2, or to fence a batch whose outcome is unknown)
  bool commit_ = false;
  std::vector<Place> markers_left_;
  bool winding_up_ = false;
};

}  // namespace weir::sim
