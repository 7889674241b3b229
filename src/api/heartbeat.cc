// api/heartbeat.cc: Heartbeat (12).
#include "wire/heartbeat.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_heartbeat(Call call) {
  auto request = decode_body<wire::HeartbeatRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::HeartbeatResponse response;
  if (!allowed(call, security::Operation::read, security::ResourceType::group, request->group_id)) {
    response.error_code = model::ErrorCode::group_authorization_failed;
    co_return make_reply(call, response);
  }
  groups::Heartbeat event;
  event.member_id = std::string(request->member_id);
  if (request->group_instance_id) event.instance_id = std::string(*request->group_instance_id);
  event.generation = request->generation_id;
  const groups::PlainAnswer answer = co_await call.services.groups.heartbeat(std::string(request->group_id), std::move(event));
  response.error_code = group_error(answer.error);
  co_return make_reply(call, response);
}

}  // namespace weir::api
