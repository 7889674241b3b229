#include "api/client_telemetry.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "bytes/compression.h"
#include "bytes/crc32c.h"

namespace weir::api {
namespace {

using model::ErrorCode;

constexpr std::size_t matched_text_bytes_max = 256;  // of a client's own words: a pattern costs at most this times its length

std::string text_of(const TelemetryClient& client, std::string_view selector) {
  if (selector == "client_id") return client.client_id;
  if (selector == "client_instance_id") return client.instance.to_string();
  if (selector == "client_software_name") return client.software_name;
  if (selector == "client_software_version") return client.software_version;
  if (selector == "client_source_address") return client.address;
  return std::to_string(client.port);
}

// Ids that Kafka keeps for itself: all zero, and zero but for a last byte of one.
bool is_reserved(const model::Uuid& id) {
  const bool zero_before_last =
      std::all_of(id.bytes.begin(), id.bytes.end() - 1, [](auto byte) { return static_cast<int>(byte) == 0; });
  return zero_before_last && static_cast<int>(id.bytes.back()) <= 1;
}

}  // namespace

TelemetryClient TelemetryClient::of(const model::RequestContext& ctx, const model::Uuid& instance) {
  return {.instance = instance,
          .client_id = ctx.client_id,
          .software_name = ctx.software_name,
          .software_version = ctx.software_version,
          .address = ctx.peer_host,
          .port = ctx.peer_port};
}

bool subscription_matches(const config::ClientMetricsConfig& subscription, const TelemetryClient& client) {
  return std::ranges::all_of(subscription.match, [&](const config::ClientMetricsConfig::Match& match) {
    const std::string text = text_of(client, match.selector).substr(0, matched_text_bytes_max);
    return std::regex_match(text, std::regex(match.pattern, config::client_pattern_flags));
  });
}

void ClientTelemetry::renew_offer(Instance& instance, const ConfigView& view) {
  if (instance.offered && instance.version == view.version) return;
  std::set<std::string> metrics;
  std::int32_t interval_ms = telemetry_interval_ms_default;
  for (const auto& [key, record] : view.records) {
    if (key.first != meta::ConfigKind::client_metrics) continue;
    const auto subscription = config::parse_client_metrics(record.values);
    if (!subscription || !subscription_matches(*subscription, instance.sample.client)) continue;
    metrics.insert(subscription->metrics.begin(), subscription->metrics.end());
    interval_ms = std::min(interval_ms, subscription->interval_ms);
  }
  if (metrics.contains("*")) metrics = {"*"};
  TelemetryOffer& offer = instance.offer;
  offer.instance = instance.sample.client.instance;
  offer.metrics.assign(metrics.begin(), metrics.end());
  offer.push_interval_ms = interval_ms;
  std::string identity = fmt::format("{} {}", offer.instance.to_string(), interval_ms);
  for (const std::string& metric : offer.metrics) identity += " " + metric;
  offer.subscription_id = static_cast<std::int32_t>(bytes::crc32c(bytes::as_bytes(identity)));
  instance.version = view.version;
  instance.offered = true;
}

ClientTelemetry::Instance& ClientTelemetry::instance_of(const TelemetryClient& client, const ConfigView& view) {
  auto at = instances_.find(client.instance);
  if (at == instances_.end()) {
    if (instances_.size() >= telemetry_instances_max) {
      const auto oldest = instances_.find(by_use_.front());
      drop_metrics(oldest->second);
      by_use_.pop_front();
      instances_.erase(oldest);
    }
    at = instances_.emplace(client.instance, Instance()).first;
    at->second.sample.client = client;
    at->second.used = by_use_.insert(by_use_.end(), client.instance);
  }
  by_use_.splice(by_use_.end(), by_use_, at->second.used);
  renew_offer(at->second, view);
  return at->second;
}

TelemetryOffer ClientTelemetry::subscribe(const TelemetryClient& client, const ConfigView& view, std::int64_t now_ms,
                                          const model::Uuid& fresh) {
  TelemetryClient named = client;
  if (named.instance == model::Uuid()) named.instance = fresh;
  Instance& instance = instance_of(named, view);
  const std::int64_t last = std::max(instance.last_get_ms.value_or(INT64_MIN), instance.last_push_ms.value_or(INT64_MIN));
  const bool heard = instance.last_get_ms || instance.last_push_ms;
  if (heard && !instance.may_ask_at_once && now_ms - last < instance.offer.push_interval_ms) {
    TelemetryOffer refused;
    refused.error = ErrorCode::throttling_quota_exceeded;
    return refused;
  }
  instance.last_get_ms = now_ms;
  instance.may_ask_at_once = false;
  return instance.offer;
}

ErrorCode ClientTelemetry::push(const TelemetryClient& client, const TelemetryPush& pushed, const ConfigView& view,
                                std::int64_t now_ms, std::int64_t wall_ms) {
  constexpr std::int8_t compression_max = 4;
  if (is_reserved(client.instance)) return ErrorCode::invalid_request;
  Instance& instance = instance_of(client, view);
  if (instance.terminating) return ErrorCode::invalid_request;
  const bool first_after_get =
      instance.last_get_ms && instance.last_get_ms.value_or(0) >= instance.last_push_ms.value_or(INT64_MIN);
  const bool due = !instance.last_push_ms || now_ms - *instance.last_push_ms >= instance.offer.push_interval_ms;
  if (!first_after_get && !due && !pushed.terminating) return ErrorCode::throttling_quota_exceeded;
  instance.last_push_ms = now_ms;
  instance.last_get_ms.reset();
  instance.terminating = pushed.terminating;
  if (pushed.subscription_id != instance.offer.subscription_id) {
    instance.may_ask_at_once = true;
    return ErrorCode::unknown_subscription_id;
  }
  if (pushed.metrics.size() > static_cast<std::size_t>(view.settings.integer("telemetry.max.bytes"))) {
    return ErrorCode::telemetry_too_large;
  }
  if (pushed.compression < 0 || pushed.compression > compression_max) {
    instance.may_ask_at_once = true;
    return ErrorCode::unsupported_compression_type;
  }
  if (pushed.metrics.empty()) return ErrorCode::none;
  if (pushed.compression == 0) {
    keep(instance, std::string(bytes::as_text(pushed.metrics)), wall_ms);
    return ErrorCode::none;
  }
  auto plain = bytes::decompress(static_cast<bytes::Codec>(pushed.compression), pushed.metrics, telemetry_expanded_bytes_max);
  if (!plain) return ErrorCode::invalid_record;
  keep(instance, std::string(bytes::as_text(plain->view())), wall_ms);
  return ErrorCode::none;
}

void ClientTelemetry::drop_metrics(Instance& instance) {
  memory_bytes_ -= instance.sample.metrics.size();
  instance.sample.metrics = std::string();
}

void ClientTelemetry::keep(Instance& instance, std::string metrics, std::int64_t wall_ms) {
  drop_metrics(instance);
  memory_bytes_ += metrics.size();
  instance.sample.metrics = std::move(metrics);
  instance.sample.received_ms = wall_ms;
  for (const model::Uuid& id : by_use_) {  // this instance is the last of them and larger than the limit never
    if (memory_bytes_ <= telemetry_memory_bytes_max) break;
    drop_metrics(instances_.at(id));
  }
}

std::vector<ClientTelemetry::Sample> ClientTelemetry::samples() const {
  std::vector<Sample> all;
  for (auto id = by_use_.rbegin(); id != by_use_.rend(); ++id) {
    const Instance& instance = instances_.at(*id);
    if (!instance.sample.metrics.empty()) all.push_back(instance.sample);
  }
  return all;
}

}  // namespace weir::api
