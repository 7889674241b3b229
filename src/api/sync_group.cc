// api/sync_group.cc: SyncGroup (14): the leader brings the assignments, everybody gets its own once they are stored.
#include "wire/sync_group.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

using model::ErrorCode;

runtime::Task<Reply> handle_sync_group(Call call) {
  auto request = decode_body<wire::SyncGroupRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  constexpr std::int16_t protocol_version = 5;
  wire::SyncGroupResponse response;
  groups::SyncAnswer answer;
  if (!allowed(call, security::Operation::read, security::ResourceType::group, request->group_id)) {
    response.error_code = ErrorCode::group_authorization_failed;
  } else if (call.ctx.api_version >= protocol_version && (!request->protocol_type || !request->protocol_name)) {
    response.error_code = ErrorCode::inconsistent_group_protocol;
  } else {
    groups::Sync event;
    event.member_id = std::string(request->member_id);
    if (request->group_instance_id) event.instance_id = std::string(*request->group_instance_id);
    event.generation = request->generation_id;
    if (request->protocol_type) event.protocol_type = std::string(*request->protocol_type);
    if (request->protocol_name) event.protocol_name = std::string(*request->protocol_name);
    for (const auto& assignment : request->assignments) {
      event.assignments[std::string(assignment.member_id)] = bytes::Buffer::copy_of(assignment.assignment);
    }
    answer = co_await call.services.groups.sync(std::string(request->group_id), std::move(event));
    response.error_code = group_error(answer.error);
    if (answer.protocol_type) response.protocol_type = *answer.protocol_type;
    if (answer.protocol_name) response.protocol_name = *answer.protocol_name;
    response.assignment = answer.assignment.view();
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
