// api/services.h: everything that handlers may use, borrowed from the broker; and who the broker is to its clients.
// Contract:   made by app once the log is open; outlives the dispatcher. Handlers run on any shard.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/client_telemetry.h"
#include "api/live_config.h"
#include "config/broker_config.h"
#include "groups/coordinator.h"
#include "log/log.h"
#include "meta/meta.h"
#include "meta/topic_table.h"
#include "model/ids.h"
#include "runtime/runtime.h"
#include "security/authorizer.h"

namespace weir::api {

/// One listener as clients are told of it.
struct AdvertisedListener {
  std::string name;        ///< upper case, as RequestContext::listener
  std::string host;        ///< empty: the address that the client connected to
  std::uint16_t port = 0;  ///< 0: the port that the client connected to
};

/// What every request of a kind asks of the settings, which are looked up by name.
struct RequestLimits {
  base::Duration timeout_max;        ///< request.timeout.ms
  std::int64_t fetch_bytes_max = 0;  ///< fetch.max.bytes

  static RequestLimits of(const config::Settings& settings) {
    return {.timeout_max = std::chrono::milliseconds(settings.integer("request.timeout.ms")),
            .fetch_bytes_max = settings.integer("fetch.max.bytes")};
  }
};

struct Services {
  runtime::Runtime& runtime;
  log::Log& log;
  meta::Meta& meta;
  meta::TopicTable& topics;
  groups::Coordinator& groups;
  const config::BrokerConfig& config;  ///< as started; what may change is in `live`
  LiveConfig& live;
  ClientTelemetry& telemetry;
  security::Authorizer& authorizer;
  model::ClusterId cluster;
  std::vector<AdvertisedListener> advertised;
  std::function<std::uint64_t()> wal_used_bytes;  ///< on shard 0
  std::function<void()> space_freed;              ///< a topic was deleted: its objects may go; on shard 0
  RequestLimits limits;
};

}  // namespace weir::api
