// api/join_group.cc: JoinGroup (11): answered when the group's rebalance is over.
#include "wire/join_group.h"

#include <fmt/format.h>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;

constexpr std::int16_t known_member_version = 4;
constexpr std::int16_t nullable_protocol_version = 7;
constexpr std::int16_t skip_assignment_version = 9;

// A random UUID in its common text form, as clients know it in member ids.
std::string random_uuid() {
  runtime::Reactor& reactor = runtime::Reactor::current();
  const std::uint64_t high = (reactor.random() & 0xFFFFFFFFFFFF0FFFULL) | 0x4000ULL;
  const std::uint64_t low = (reactor.random() & 0x3FFFFFFFFFFFFFFFULL) | 0x8000000000000000ULL;
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU, high & 0xFFFFU, low >> 48U,
                     low & 0xFFFFFFFFFFFFULL);
}

groups::Join make_event(const Call& call, const wire::JoinGroupRequest& request) {
  groups::Join event;
  event.member_id = std::string(request.member_id);
  if (request.group_instance_id) event.instance_id = std::string(*request.group_instance_id);
  event.client_id = call.ctx.client_id;
  event.client_host = "/" + call.ctx.peer_host;  // as Java prints an address
  event.session_timeout_ms = request.session_timeout_ms;
  event.rebalance_timeout_ms = call.ctx.api_version == 0 ? request.session_timeout_ms : request.rebalance_timeout_ms;
  event.protocol_type = std::string(request.protocol_type);
  for (const auto& protocol : request.protocols) {
    event.protocols.push_back({.name = std::string(protocol.name), .metadata = bytes::Buffer::copy_of(protocol.metadata)});
  }
  event.id_required = call.ctx.api_version >= known_member_version;
  event.skip_supported = call.ctx.api_version >= skip_assignment_version;
  if (event.member_id.empty()) event.fresh_id = event.instance_id.value_or(event.client_id) + "-" + random_uuid();
  return event;
}

}  // namespace

runtime::Task<Reply> handle_join_group(Call call) {
  auto request = decode_body<wire::JoinGroupRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  groups::JoinAnswer answer;
  wire::JoinGroupResponse response;
  response.protocol_name = std::nullopt;
  if (!allowed(call, security::Operation::read, security::ResourceType::group, request->group_id)) {
    response.error_code = ErrorCode::group_authorization_failed;
    if (call.ctx.api_version < nullable_protocol_version) response.protocol_name = "";
    co_return make_reply(call, response);
  }
  answer = co_await call.services.groups.join(std::string(request->group_id), make_event(call, *request));
  response.error_code = group_error(answer.error);
  response.generation_id = answer.generation;
  if (answer.protocol_type) response.protocol_type = *answer.protocol_type;
  if (answer.protocol_name) {
    response.protocol_name = *answer.protocol_name;
  } else if (call.ctx.api_version < nullable_protocol_version) {
    response.protocol_name = "";
  }
  response.leader = answer.leader;
  response.skip_assignment = answer.skip_assignment;
  response.member_id = answer.member_id;
  for (const groups::JoinAnswer::Peer& peer : answer.members) {
    wire::JoinGroupResponse::Member member;
    member.member_id = peer.member_id;
    if (peer.instance_id) member.group_instance_id = *peer.instance_id;
    member.metadata = peer.metadata.view();
    response.members.push_back(std::move(member));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
