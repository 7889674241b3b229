// api/delete_groups.cc: DeleteGroups (42): groups without members, with all their offsets.
#include "wire/delete_groups.h"

#include <deque>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {

using model::ErrorCode;

runtime::Task<Reply> handle_delete_groups(Call call) {
  auto request = decode_body<wire::DeleteGroupsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::DeleteGroupsResponse response;
  std::deque<std::string> texts;
  std::set<std::string_view> seen;
  for (const std::string_view group : request->groups_names) {
    if (!seen.insert(group).second) continue;
    wire::DeleteGroupsResponse::Outcome out;
    out.group_id = group;
    if (!allowed(call, security::Operation::remove, security::ResourceType::group, group)) {
      out.error_code = ErrorCode::group_authorization_failed;
    } else {
      out.error_code = group_error((co_await call.services.groups.remove(std::string(group))).error);
      if (out.error_code == ErrorCode::group_id_not_found) {
        out.error_message = texts.emplace_back(fmt::format("Group {} not found.", group));
      }
    }
    response.results.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
