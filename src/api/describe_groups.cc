// api/describe_groups.cc: DescribeGroups (15).
#include "wire/describe_groups.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using Response = wire::DescribeGroupsResponse;

constexpr std::int16_t not_found_version = 6;

void show(const groups::Description& found, Response::Group& out) {
  out.group_state = groups::to_string(found.state);
  out.protocol_type = found.protocol_type;
  out.protocol_data = found.protocol;
  for (const groups::Description::MemberView& member : found.members) {
    Response::Member one;
    one.member_id = member.id;
    if (member.instance_id) one.group_instance_id = *member.instance_id;
    one.client_id = member.client_id;
    one.client_host = member.client_host;
    one.member_metadata = member.metadata.view();
    one.member_assignment = member.assignment.view();
    out.members.push_back(std::move(one));
  }
}

}  // namespace

runtime::Task<Reply> handle_describe_groups(Call call) {
  auto request = decode_body<wire::DescribeGroupsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  Response response;
  std::deque<groups::Description> found;  // what the answer borrows
  std::deque<std::string> texts;
  for (const std::string_view group : request->groups) {
    Response::Group out;
    out.group_id = group;
    if (!allowed(call, security::Operation::describe, security::ResourceType::group, group)) {
      out.error_code = ErrorCode::group_authorization_failed;
      response.groups.push_back(std::move(out));
      continue;
    }
    const groups::Description& one = found.emplace_back(co_await call.services.groups.describe(std::string(group)));
    if (one.error == groups::Errc::none || one.error == groups::Errc::group_id_not_found) {
      // A group that is not there is shown as dead; newer clients are told so plainly.
      show(one, out);
      if (one.error != groups::Errc::none && call.ctx.api_version >= not_found_version) {
        out.error_code = ErrorCode::group_id_not_found;
        out.error_message = texts.emplace_back(fmt::format("Group {} not found.", group));
      }
    } else {
      out.error_code = group_error(one.error);
    }
    if (request->include_authorized_operations && out.error_code == ErrorCode::none) {
      out.authorized_operations = authorized_operations(call, security::ResourceType::group, group);
    }
    response.groups.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
