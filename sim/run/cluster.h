// sim/run/cluster.h: the simulated machine room of one run: a broker's host and process, its supervisor, the clients' host, the
// object store and the keyspace.
// Contract:   keep_running(true) starts the broker and starts it again a moment after each end. A start that is refused is
//             tried again; the reason is kept for the judgement at the end.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/broker_config.h"
#include "sim/disk.h"
#include "sim/keyspace.h"
#include "sim/network.h"
#include "sim/process.h"
#include "sim/run/plan.h"
#include "sim/run/transactions.h"
#include "sim/store.h"
#include "sim/world.h"

namespace weir::sim {

class Cluster {
 public:
  Cluster(World& world, const Plan& plan);
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  void keep_running(bool keep);
  /// Asks the broker for its clean stop; it is started again if keep_running.
  void request_stop();
  [[nodiscard]] bool ready() const { return broker_process.running() && ready_; }
  [[nodiscard]] bool last_stop_uploaded_everything() const { return uploaded_everything_; }
  [[nodiscard]] const std::string& last_refusal() const { return last_refusal_; }
  [[nodiscard]] std::uint64_t refused_starts() const { return refused_starts_; }
  [[nodiscard]] runtime::Address address() const { return {broker_host.address(), 9092}; }

  World& world;
  Fabric fabric;
  Host broker_host;
  Host client_host;
  Process broker_process;
  Bucket bucket;
  KeyspaceState keyspace;
  std::vector<std::unique_ptr<TransactionWriter>> transactions;  ///< they work in the broker's process, over all its runs

 private:
  runtime::Task<void> run_broker(runtime::Runtime* doors);
  void supervise();
  [[nodiscard]] config::BrokerConfig broker_config() const;
  const Plan& plan_;
  Rng rng_;
  bool keep_ = false;
  bool start_pending_ = false;
  bool ready_ = false;
  bool uploaded_everything_ = false;
  std::string last_refusal_;
  std::uint64_t refused_starts_ = 0;
  runtime::Event* stop_event_ = nullptr;  ///< of the running incarnation
};

}  // namespace weir::sim
