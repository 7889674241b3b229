// api/unregister_broker.cc: UnregisterBroker (64): this broker cannot be taken out of its own cluster while it serves, and no other is
// registered.
#include "wire/unregister_broker.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_unregister_broker(Call call) {
  auto request = decode_body<wire::UnregisterBrokerRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::UnregisterBrokerResponse response;
  std::string message;
  if (!allowed_on_cluster(call, security::Operation::alter)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    message = "Authorization failed.";
  } else if (request->broker_id.value() == call.services.config.node_id) {
    response.error_code = model::ErrorCode::invalid_request;
    message = fmt::format("Broker ID {} is running and serves this cluster; stop it first.", request->broker_id.value());
  } else {
    response.error_code = model::ErrorCode::broker_id_not_registered;
    message = fmt::format("Broker ID {} is not currently registered", request->broker_id.value());
  }
  response.error_message = message;
  co_return make_reply(call, response);
}

}  // namespace weir::api
