// api/push_telemetry.cc: PushTelemetry (72): a client's metrics, kept for the console.
#include "wire/push_telemetry.h"

#include <chrono>

#include "api/errors.h"
#include "api/handler.h"
#include "runtime/submit.h"

namespace weir::api {

runtime::Task<Reply> handle_push_telemetry(Call call) {
  auto request = decode_body<wire::PushTelemetryRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const TelemetryClient client = TelemetryClient::of(call.ctx, request->client_instance_id);
  const TelemetryPush pushed{.subscription_id = request->subscription_id,
                             .terminating = request->terminating,
                             .compression = request->compression_type,
                             .metrics = request->metrics};
  wire::PushTelemetryResponse response;
  response.error_code = co_await runtime::submit_to(*call.services.runtime.shards[0], [&call, &client, &pushed] {
    runtime::Reactor& reactor = runtime::Reactor::current();
    const std::int64_t now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(reactor.now().time_since_epoch()).count();
    return call.services.telemetry.push(client, pushed, *call.services.live.current(), now_ms, reactor.wall_now_ms());
  });
  co_return make_reply(call, response);
}

}  // namespace weir::api
