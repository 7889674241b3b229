// api/find_coordinator.cc: FindCoordinator (10): this broker coordinates every group. The topic of groups is made on first use.
#include "wire/find_coordinator.h"

#include <deque>

#include "api/access.h"
#include "api/endpoint.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using Coordinator = wire::FindCoordinatorResponse::Coordinator;

enum class KeyType : std::int8_t { group = 0, transaction = 1, share = 2 };
constexpr std::int16_t batched_version = 4;
constexpr std::int16_t share_version = 6;

struct Refusal {
  ErrorCode error = ErrorCode::none;
  std::string_view message;
};

// group:topic id:partition.
bool is_share_key(std::string_view key) {
  const std::size_t second = key.rfind(':');
  const std::size_t first = second == std::string_view::npos || second == 0 ? second : key.rfind(':', second - 1);
  if (first == std::string_view::npos || first == 0 || second + 1 >= key.size()) return false;
  const std::string_view partition = key.substr(second + 1);
  return model::Uuid::parse(key.substr(first + 1, second - first - 1)) &&
         partition.find_first_not_of("0123456789") == partition.npos;
}

runtime::Task<bool> ensure_topic(Call& call) {
  std::string name(groups::topic_name);
  if (call.services.topics.current()->by_name(name) != nullptr) {
    co_return (co_await call.topic_admin.wait_created(std::move(name))).has_value();
  }
  co_return (co_await call.topic_admin.create_automatically(std::move(name))).has_value();
}

runtime::Task<Refusal> judge(Call& call, std::int8_t type, std::string_view key) {
  switch (static_cast<KeyType>(type)) {
    case KeyType::group:
      if (!allowed(call, security::Operation::describe, security::ResourceType::group, key)) {
        co_return Refusal{.error = ErrorCode::group_authorization_failed};
      }
      if (!co_await ensure_topic(call)) co_return Refusal{.error = ErrorCode::coordinator_not_available};
      co_return Refusal{};
    case KeyType::transaction:
      if (!allowed(call, security::Operation::describe, security::ResourceType::transactional_id, key)) {
        co_return Refusal{.error = ErrorCode::transactional_id_authorization_failed};
      }
      // Not "not available": clients would ask again and again. librdkafka, which asks in the older versions, does so for every error but
      // a missing authorization, and then shows the message; the Java client, which asks in the newer ones, shows it for any.
      co_return Refusal{.error = call.ctx.api_version < batched_version ? ErrorCode::transactional_id_authorization_failed
                                                                        : ErrorCode::unsupported_version,
                        .message = "Transactions are not served by this version of weir."};
    case KeyType::share:
      if (call.ctx.api_version < share_version || !is_share_key(key)) co_return Refusal{.error = ErrorCode::invalid_request};
      co_return Refusal{.error = ErrorCode::unsupported_version, .message = "Share groups are not served by this version."};
  }
  co_return Refusal{.error = ErrorCode::invalid_request};
}

}  // namespace

runtime::Task<Reply> handle_find_coordinator(Call call) {
  auto request = decode_body<wire::FindCoordinatorRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const bool batched = call.ctx.api_version >= batched_version;
  const Endpoint endpoint = endpoint_for(call);
  const model::NodeId self(call.services.config.node_id);
  std::vector<std::string_view> keys;
  if (batched) {
    keys = request->coordinator_keys;
  } else {
    keys.push_back(request->key);
  }
  wire::FindCoordinatorResponse response;
  for (const std::string_view key : keys) {
    Coordinator out;
    out.key = key;
    const Refusal refusal = co_await judge(call, request->key_type, key);
    out.error_code = refusal.error;
    out.error_message = refusal.message;
    if (refusal.error == ErrorCode::none) {
      out.node_id = self;
      out.host = endpoint.host;
      out.port = endpoint.port;
    } else {
      out.node_id = model::NodeId(-1);
      out.port = -1;
      if (refusal.message.empty()) out.error_message = model::error_code_name(refusal.error);
    }
    response.coordinators.push_back(std::move(out));
  }
  if (!batched) {
    const Coordinator& only = response.coordinators.front();
    response.error_code = only.error_code;
    response.error_message = only.error_message;
    response.node_id = only.node_id;
    response.host = only.host;
    response.port = only.port;
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
