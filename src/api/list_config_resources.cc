// api/list_config_resources.cc: ListConfigResources (74): which resources have settings; version 0 lists client metrics only.
#include "wire/list_config_resources.h"

#include <algorithm>
#include <array>
#include <deque>

#include "api/access.h"
#include "api/config_changes.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

// In the order of Kafka's answer.
constexpr std::array<ConfigResource, 5> all_types = {ConfigResource::group, ConfigResource::client_metrics,
                                                     ConfigResource::broker_logger, ConfigResource::broker,
                                                     ConfigResource::topic};

std::vector<std::string> names_of(const Call& call, ConfigResource type) {
  std::vector<std::string> names;
  const auto recorded = [&](meta::ConfigKind kind) {
    for (const auto& [key, record] : call.services.live.current()->records) {
      if (key.first == kind) names.push_back(key.second);
    }
  };
  switch (type) {
    case ConfigResource::group: recorded(meta::ConfigKind::group); break;
    case ConfigResource::client_metrics: recorded(meta::ConfigKind::client_metrics); break;
    case ConfigResource::broker:
    case ConfigResource::broker_logger: names.push_back(std::to_string(call.services.config.node_id)); break;
    case ConfigResource::topic:
      for (const auto& entry : call.services.topics.current()->in_order_of_name()) names.push_back(entry->record.name);
      break;
  }
  return names;
}

}  // namespace

runtime::Task<Reply> handle_list_config_resources(Call call) {
  auto request = decode_body<wire::ListConfigResourcesRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::ListConfigResourcesResponse response;
  if (!allowed_on_cluster(call, security::Operation::describe_configs)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    co_return make_reply(call, response);
  }
  const bool known = std::ranges::all_of(request->resource_types, [](std::int8_t type) {
    return std::ranges::find(all_types, static_cast<ConfigResource>(type)) != all_types.end();
  });
  if (!known) {
    response.error_code = model::ErrorCode::unsupported_version;
    co_return make_reply(call, response);
  }
  std::deque<std::string> texts;
  for (const ConfigResource type : all_types) {
    const bool wanted =
        call.ctx.api_version == 0
            ? type == ConfigResource::client_metrics
            : request->resource_types.empty() ||
                  std::ranges::find(request->resource_types, static_cast<std::int8_t>(type)) != request->resource_types.end();
    if (!wanted) continue;
    for (std::string& name : names_of(call, type)) {
      wire::ListConfigResourcesResponse::ConfigResource out;
      out.resource_name = texts.emplace_back(std::move(name));
      out.resource_type = static_cast<std::int8_t>(type);
      response.config_resources.push_back(std::move(out));
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
