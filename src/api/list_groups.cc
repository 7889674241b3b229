// api/list_groups.cc: ListGroups (16): all groups of this broker, by state and type where the client asks so.
#include "wire/list_groups.h"

#include <algorithm>
#include <string>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

std::string_view type_name(groups::GroupType type) {
  switch (type) {
    case groups::GroupType::classic: return "classic";
    case groups::GroupType::consumer: return "consumer";
    case groups::GroupType::share: return "share";
    case groups::GroupType::streams: return "streams";
  }
  return "unknown";
}

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, [&](char x, char y) { return lower(x) == lower(y); });
}

bool passes(const std::vector<std::string_view>& filter, std::string_view value) {
  return filter.empty() || std::ranges::any_of(filter, [&](std::string_view wanted) { return same_word(wanted, value); });
}

}  // namespace

runtime::Task<Reply> handle_list_groups(Call call) {
  auto request = decode_body<wire::ListGroupsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::ListGroupsResponse response;
  groups::Coordinator::List list = co_await call.services.groups.list();
  if (list.loading) {
    response.error_code = model::ErrorCode::coordinator_load_in_progress;
    co_return make_reply(call, response);
  }
  std::ranges::sort(list.groups, {}, &groups::Listed::group);
  const bool may_see_all = allowed_on_cluster(call, security::Operation::describe);
  for (const groups::Listed& group : list.groups) {
    if (!passes(request->states_filter, groups::to_string(group.state))) continue;
    if (!passes(request->types_filter, type_name(group.type))) continue;
    if (!may_see_all && !allowed(call, security::Operation::describe, security::ResourceType::group, group.group)) continue;
    wire::ListGroupsResponse::Group out;
    out.group_id = group.group;
    out.protocol_type = group.protocol_type;
    out.group_state = groups::to_string(group.state);
    out.group_type = type_name(group.type);
    response.groups.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
