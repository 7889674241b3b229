// api/leave_group.cc: LeaveGroup (13): several members at once from version 3 on, static ones by their instance id.
#include "wire/leave_group.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

runtime::Task<Reply> handle_leave_group(Call call) {
  auto request = decode_body<wire::LeaveGroupRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  constexpr std::int16_t batched_version = 3;
  const bool batched = call.ctx.api_version >= batched_version;
  wire::LeaveGroupResponse response;
  if (!allowed(call, security::Operation::read, security::ResourceType::group, request->group_id)) {
    response.error_code = model::ErrorCode::group_authorization_failed;
    co_return make_reply(call, response);
  }
  groups::Leave event;
  if (batched) {
    for (const auto& member : request->members) {
      groups::Leave::Leaving leaving{.member_id = std::string(member.member_id)};
      if (member.group_instance_id) leaving.instance_id = std::string(*member.group_instance_id);
      event.members.push_back(std::move(leaving));
    }
  } else {
    event.members.push_back({.member_id = std::string(request->member_id)});
  }
  const groups::ListAnswer answer = co_await call.services.groups.leave(std::string(request->group_id), std::move(event));
  response.error_code = group_error(answer.error);
  if (answer.error == groups::Errc::none && !batched) response.error_code = group_error(answer.each.front());
  if (answer.error == groups::Errc::none && batched) {
    for (std::size_t i = 0; i < request->members.size(); ++i) {
      wire::LeaveGroupResponse::Member member;
      member.member_id = request->members[i].member_id;
      member.group_instance_id = request->members[i].group_instance_id;
      member.error_code = group_error(answer.each[i]);
      response.members.push_back(std::move(member));
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
