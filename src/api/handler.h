// api/handler.h: what every handler gets, and how it answers.
// Contract:   a handler is a free coroutine in the file of its API, listed in registry.cc. The call's frame keeps everything that a
//             decoded request borrows alive; encode before returning, then nothing borrows from the handler's frame.
//             It asks allowed() (api/access.h) for every resource before it tells anything of it: whoever may not describe a
//             topic must not learn from the error whether it exists.
// Tests:      tests/gates has a case for every registered API and fails for one without.
#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include "api/config_admin.h"
#include "api/dispatch.h"
#include "api/producer_ids.h"
#include "api/services.h"
#include "api/topic_admin.h"
#include "wire/framing.h"

namespace weir::api {

class FetchSessionCache;

/// State that handlers of one shard share.
struct ShardState {
  FetchSessionCache* sessions = nullptr;
};

struct Call {
  Services& services;
  TopicAdmin& topic_admin;
  ConfigAdmin& config_admin;
  ProducerIds& producer_ids;
  ShardState shard;
  ConnectionState& state;
  model::RequestContext& ctx;
  bytes::Buffer frame;
  std::size_t body_offset = 0;  ///< of the message behind the request header

  [[nodiscard]] wire::Reader reader() const { return wire::Reader(frame.view().subspan(body_offset)); }
};

using HandlerFunction = runtime::Task<Reply> (*)(Call call);

[[nodiscard]] inline Reply close_reply(std::string reason) {
  Reply reply;
  reply.send = false;
  reply.close = true;
  reply.close_reason = std::move(reason);
  return reply;
}

/// Decodes the whole body; bytes behind the message are malformed too.
template <class Request>
[[nodiscard]] base::Result<Request> decode_body(const Call& call) {
  wire::Reader reader = call.reader();
  auto request = Request::decode(reader, call.ctx.api_version);
  if (request && reader.left() != 0) {
    return base::fail(base::ErrorKind::invalid, fmt::format("{} bytes behind the message", reader.left()));
  }
  return request;
}

/// What a request moved, for the byte quotas: Produce's and Fetch's batches.
struct Charged {
  std::uint64_t bytes = 0;
};

/// Encodes the answer. The charge is made here, so that no handler can forget it: the answer tells the throttle time where its
/// version has the field, and the connection is muted for it in every version (KIP-219).
template <class Response>
[[nodiscard]] Reply make_reply(const Call& call, Response&& response, Charged charged = {}) {
  const std::int32_t throttle_ms = call.services.authorizer.charge(call.ctx, charged.bytes);
  base::Result<bytes::BufferList> frame;
  if constexpr (!requires { response.throttle_time_ms; }) {
    frame = wire::encode_response(response, call.ctx.api_version, call.ctx.correlation_id);
  } else if constexpr (std::is_const_v<std::remove_reference_t<Response>>) {
    std::remove_cvref_t<Response> copy = response;
    copy.throttle_time_ms = throttle_ms;
    frame = wire::encode_response(copy, call.ctx.api_version, call.ctx.correlation_id);
  } else {
    response.throttle_time_ms = throttle_ms;
    frame = wire::encode_response(response, call.ctx.api_version, call.ctx.correlation_id);
  }
  if (!frame) return close_reply(fmt::format("the answer cannot be encoded: {}", frame.error().text));
  Reply reply;
  reply.body = std::move(*frame);
  reply.throttle_ms = throttle_ms;
  return reply;
}

// One per API, in its own file.
runtime::Task<Reply> handle_api_versions(Call call);
runtime::Task<Reply> handle_metadata(Call call);
runtime::Task<Reply> handle_create_topics(Call call);
runtime::Task<Reply> handle_delete_topics(Call call);
runtime::Task<Reply> handle_produce(Call call);
runtime::Task<Reply> handle_fetch(Call call);
runtime::Task<Reply> handle_list_offsets(Call call);
runtime::Task<Reply> handle_init_producer_id(Call call);
runtime::Task<Reply> handle_find_coordinator(Call call);
runtime::Task<Reply> handle_join_group(Call call);
runtime::Task<Reply> handle_sync_group(Call call);
runtime::Task<Reply> handle_heartbeat(Call call);
runtime::Task<Reply> handle_leave_group(Call call);
runtime::Task<Reply> handle_offset_commit(Call call);
runtime::Task<Reply> handle_offset_fetch(Call call);
runtime::Task<Reply> handle_offset_delete(Call call);
runtime::Task<Reply> handle_describe_groups(Call call);
runtime::Task<Reply> handle_list_groups(Call call);
runtime::Task<Reply> handle_delete_groups(Call call);
runtime::Task<Reply> handle_delete_records(Call call);
runtime::Task<Reply> handle_offset_for_leader_epoch(Call call);
runtime::Task<Reply> handle_describe_producers(Call call);
runtime::Task<Reply> handle_describe_configs(Call call);
runtime::Task<Reply> handle_alter_configs(Call call);
runtime::Task<Reply> handle_create_partitions(Call call);
runtime::Task<Reply> handle_incremental_alter_configs(Call call);
runtime::Task<Reply> handle_describe_cluster(Call call);
runtime::Task<Reply> handle_list_config_resources(Call call);
runtime::Task<Reply> handle_describe_topic_partitions(Call call);
runtime::Task<Reply> handle_describe_log_dirs(Call call);
runtime::Task<Reply> handle_describe_quorum(Call call);
runtime::Task<Reply> handle_update_features(Call call);
runtime::Task<Reply> handle_elect_leaders(Call call);
runtime::Task<Reply> handle_alter_partition_reassignments(Call call);
runtime::Task<Reply> handle_list_partition_reassignments(Call call);
runtime::Task<Reply> handle_alter_replica_log_dirs(Call call);
runtime::Task<Reply> handle_unregister_broker(Call call);
runtime::Task<Reply> handle_get_telemetry_subscriptions(Call call);
runtime::Task<Reply> handle_push_telemetry(Call call);

}  // namespace weir::api
