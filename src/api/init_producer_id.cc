// api/init_producer_id.cc: InitProducerId (22): an id for an idempotent producer. Transactional producers need the coordinator.
#include "wire/init_producer_id.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_init_producer_id(Call call) {
  auto request = decode_body<wire::InitProducerIdRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::InitProducerIdResponse response;
  response.producer_epoch = model::no_producer_epoch;
  if ((request->producer_id.value() < 0) != (request->producer_epoch.value() < 0)) {
    response.error_code = model::ErrorCode::invalid_request;  // an epoch belongs to an id
    co_return make_reply(call, response);
  }
  if (request->transactional_id) {
    const std::string_view id = *request->transactional_id;
    if (!allowed(call, security::Operation::write, security::ResourceType::transactional_id, id)) {
      response.error_code = model::ErrorCode::transactional_id_authorization_failed;
    } else {
      response.error_code = id.empty() ? model::ErrorCode::invalid_request : model::ErrorCode::unsupported_version;
    }
    co_return make_reply(call, response);
  }
  // Whoever may write to some topic may do so idempotently.
  if (!allowed_on_cluster(call, security::Operation::idempotent_write) &&
      !call.services.authorizer.authorize_any(call.ctx, security::Operation::write, security::ResourceType::topic)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    co_return make_reply(call, response);
  }
  auto id = co_await call.producer_ids.next();
  if (!id) {
    response.error_code = id.kind() == base::ErrorKind::fenced ? model::ErrorCode::not_controller
                                                               : model::ErrorCode::coordinator_load_in_progress;
    co_return make_reply(call, response);
  }
  response.producer_id = *id;
  response.producer_epoch = model::ProducerEpoch(0);
  co_return make_reply(call, response);
}

}  // namespace weir::api
