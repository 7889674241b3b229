// api/get_telemetry_subscriptions.cc: GetTelemetrySubscriptions (71): which metrics this client is asked for.
#include "wire/get_telemetry_subscriptions.h"

#include <array>
#include <chrono>

#include "api/errors.h"
#include "api/handler.h"
#include "runtime/submit.h"

namespace weir::api {

runtime::Task<Reply> handle_get_telemetry_subscriptions(Call call) {
  constexpr std::array<std::int8_t, 4> best_first = {4, 3, 1, 2};  // zstd, lz4, gzip, snappy
  auto request = decode_body<wire::GetTelemetrySubscriptionsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const TelemetryClient client = TelemetryClient::of(call.ctx, request->client_instance_id);
  const TelemetryOffer offer = co_await runtime::submit_to(*call.services.runtime.shards[0], [&call, &client] {
    runtime::Reactor& reactor = runtime::Reactor::current();
    const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(reactor.now().time_since_epoch()).count();
    const model::Uuid fresh = model::Uuid::from_random(reactor.random(), reactor.random());
    return call.services.telemetry.subscribe(client, *call.services.live.current(), now_ms, fresh);
  });
  wire::GetTelemetrySubscriptionsResponse response;
  response.error_code = offer.error;
  if (offer.error == model::ErrorCode::none) {
    response.client_instance_id = offer.instance;
    response.subscription_id = offer.subscription_id;
    response.accepted_compression_types.assign(best_first.begin(), best_first.end());
    response.push_interval_ms = offer.push_interval_ms;
    response.telemetry_max_bytes = static_cast<std::int32_t>(call.services.config.settings.integer("telemetry.max.bytes"));
    response.delta_temporality = true;
    for (const std::string& metric : offer.metrics) response.requested_metrics.emplace_back(metric);
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
