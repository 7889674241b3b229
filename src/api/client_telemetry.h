// api/client_telemetry.h: the metrics that clients push (KIP-714): who is asked for what, and what came last from whom.
// Why:        client-side latency belongs beside the broker's own, without a plug-in; the console reads it from here.
// Place:      L7; one per broker, all state on shard 0; called by GetTelemetrySubscriptions, PushTelemetry and the console.
// Contract:   a client is asked for the metrics of all subscriptions that match it, at the shortest of their intervals. Its pushes
//             are decompressed and kept as they are (OpenTelemetry's protobuf), the newest per client instance.
// Failure:    Kafka's errors, chosen here because every one of them is part of the protocol's conversation.
// Limits:     telemetry_instances_max clients (the one unheard of longest goes), telemetry_memory_bytes_max of metrics (the oldest go),
//             telemetry.max.bytes per push as sent, telemetry_expanded_bytes_max once decompressed.
// Tests:      api/client_telemetry_test.cc
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/live_config.h"
#include "bytes/buffer.h"
#include "config/effective.h"
#include "model/error_code.h"
#include "model/ids.h"
#include "model/request_context.h"

namespace weir::api {

inline constexpr std::size_t telemetry_instances_max = 16'384;
inline constexpr std::size_t telemetry_memory_bytes_max = 64U << 20U;
inline constexpr std::size_t telemetry_expanded_bytes_max = 8U << 20U;
inline constexpr std::int32_t telemetry_interval_ms_default = 300'000;

/// What subscriptions match on and a console shows.
struct TelemetryClient {
  model::Uuid instance;
  std::string client_id;
  std::string software_name;
  std::string software_version;
  std::string address;
  std::uint16_t port = 0;
  static TelemetryClient of(const model::RequestContext& ctx, const model::Uuid& instance);
};

struct TelemetryOffer {
  model::ErrorCode error = model::ErrorCode::none;
  model::Uuid instance;
  std::int32_t subscription_id = 0;
  std::int32_t push_interval_ms = telemetry_interval_ms_default;
  std::vector<std::string> metrics;  ///< prefixes; "*" alone: all; none: nothing is wanted
};

struct TelemetryPush {
  std::int32_t subscription_id = 0;
  bool terminating = false;
  std::int8_t compression = 0;
  bytes::Bytes metrics;  ///< borrowed for the call
};

class ClientTelemetry {
 public:
  /// The newest metrics of one client.
  struct Sample {
    TelemetryClient client;
    std::int64_t received_ms = 0;
    std::string metrics;
  };

  // All on shard 0. `now_ms` is monotonic, `fresh` an id for a client that brings none.
  TelemetryOffer subscribe(const TelemetryClient& client, const ConfigView& view, std::int64_t now_ms,
                           const model::Uuid& fresh);
  model::ErrorCode push(const TelemetryClient& client, const TelemetryPush& pushed, const ConfigView& view, std::int64_t now_ms,
                        std::int64_t wall_ms);
  /// For the console: every client that pushed, the one heard of last first.
  [[nodiscard]] std::vector<Sample> samples() const;
  [[nodiscard]] std::size_t instance_count() const { return instances_.size(); }
  [[nodiscard]] std::size_t memory_bytes() const { return memory_bytes_; }

 private:
  struct Instance {
    Sample sample;
    std::optional<std::int64_t> last_get_ms;
    std::optional<std::int64_t> last_push_ms;
    bool may_ask_at_once = false;  ///< the last push was refused with an error that a new subscription mends
    bool terminating = false;
    std::uint64_t version = 0;  ///< of the settings that the offer was made from; with `offer`
    bool offered = false;
    TelemetryOffer offer;
    std::list<model::Uuid>::iterator used;
  };
  Instance& instance_of(const TelemetryClient& client, const ConfigView& view);
  void renew_offer(Instance& instance, const ConfigView& view);
  void keep(Instance& instance, std::string metrics, std::int64_t wall_ms);
  void drop_metrics(Instance& instance);
  std::map<model::Uuid, Instance> instances_;
  std::list<model::Uuid> by_use_;  ///< heard of last at the end
  std::size_t memory_bytes_ = 0;
};

/// Whether all of a subscription's patterns match the client.
[[nodiscard]] bool subscription_matches(const config::ClientMetricsConfig& subscription, const TelemetryClient& client);

}  // namespace weir::api
