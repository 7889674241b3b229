// app/broker.h: one broker from its doors: what a process runs and what the simulator runs by the dozen.
// Why:        the order of start and stop is where promises are kept: recovery before service, service before readiness, WAL
//             flushed before the end (docs/architecture.md).
// Place:      L10; made on shard 0 by the weir command and by sim/.
// Contract:   start() gives a serving broker or the reason, with nothing left running. stop() is the clean stop: accept no
//             more, answer what is in work, upload for at most shutdown_timeout, leave the rest in the WAL.
// Failure:    a refused start names what is wrong and what to do; nothing was changed that a next start could not take up.
// Limits:     those of its parts; named in their headers.
// Tests:      sim/, tests/system.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/dispatch.h"
#include "api/services.h"
#include "config/broker_config.h"
#include "groups/coordinator.h"
#include "keyspace/keyspace.h"
#include "runtime/emulated_files.h"
#include "runtime/runtime.h"
#include "security/authorizer.h"
#include "server/server.h"
#include "store/store.h"
#include "upkeep/upkeep.h"
#include "upload/uploader.h"

namespace weir::app {

/// How long connections may finish what is in work when the broker stops.
inline constexpr base::Duration connections_patience = std::chrono::seconds(10);

/// Tells a person how far a long step is; called at most once a second.
using Progress = std::function<void(std::string_view what, std::uint64_t done, std::uint64_t total)>;

/// What is not all right, for /v1/status/ready; empty: ready.
struct Readiness {
  std::vector<std::string> problems;
};

class Broker {
 public:
  /// All outlive the broker, which is made, used and destroyed on shard 0.
  /// Without an authorizer everybody may do everything.
  Broker(runtime::Runtime& runtime, config::BrokerConfig config, keyspace::Keyspace& keyspace, store::ObjectStore& store,
         security::Authorizer* authorizer = nullptr);
  ~Broker();
  Broker(const Broker&) = delete;
  Broker& operator=(const Broker&) = delete;

  runtime::Task<base::Result<void>> start(Progress progress);
  /// Whether everything was uploaded: then wal/ and cache/ hold nothing that is needed.
  runtime::Task<bool> stop(Progress progress);

  [[nodiscard]] model::ClusterId cluster() const { return cluster_.id; }
  [[nodiscard]] std::vector<runtime::Address> addresses() const { return server_->addresses(); }
  /// Writes to the WAL when no write became durable lately, then judges.
  runtime::Task<Readiness> readiness();
  [[nodiscard]] log::Log& log() { return *log_; }
  [[nodiscard]] meta::TopicTable& topics() { return *topics_; }
  [[nodiscard]] wal::Wal& wal() { return *wal_; }
  /// What clients pushed of their own metrics (KIP-714).
  [[nodiscard]] const api::ClientTelemetry& telemetry() const { return telemetry_; }

 private:
  runtime::Task<base::Result<void>> start_parts(Progress progress);
  runtime::Task<base::Result<void>> open_cluster();
  void emulate_wal_device();
  runtime::Task<base::Result<void>> recover(const Progress& progress);
  runtime::Task<base::Result<void>> serve();
  runtime::Task<base::Result<void>> register_segments(std::uint32_t count);
  /// Uploads and upkeep: only once the store is known to be ours.
  void begin_background();
  runtime::Task<void> claim_later();
  void take_over(const config::Settings& settings);
  void seal(const std::string& why);
  runtime::Task<void> watch_session();
  runtime::Task<void> stop_parts();
  runtime::Task<void> drop_unneeded(model::SessionId session);

  runtime::Runtime& runtime_;
  std::unique_ptr<runtime::EmulatedFiles> emulated_files_;  ///< of the WAL, when asked for
  runtime::Runtime wal_doors_;                              ///< as runtime_, with those files
  config::BrokerConfig config_;
  keyspace::Keyspace& keyspace_;
  store::ObjectStore& store_;
  meta::ClusterRecord cluster_;
  std::unique_ptr<meta::Meta> meta_;
  std::unique_ptr<meta::TopicTable> topics_;
  std::unique_ptr<api::LiveConfig> live_;
  api::ClientTelemetry telemetry_;
  std::unique_ptr<wal::Wal> wal_;
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<upload::Uploader> uploader_;
  std::unique_ptr<upkeep::Upkeep> upkeep_;
  security::AllowAll allow_all_;
  security::Authorizer& authorizer_;
  std::unique_ptr<groups::Coordinator> groups_;
  std::unique_ptr<api::Services> services_;
  std::unique_ptr<api::Dispatcher> dispatcher_;
  std::unique_ptr<server::Server> server_;
  runtime::Scope scope_;
  model::SessionId session_;
  std::vector<model::SessionId> former_;  ///< sealed sessions whose WAL may still hold un-uploaded records
  bool session_begun_ = false;
  bool store_claimed_ = false;
  bool recovered_ = false;
  bool wal_started_ = false;
  bool background_started_ = false;  ///< uploader and upkeep
  std::string sealed_reason_;        ///< set once this session is known to be sealed
};

}  // namespace weir::app
