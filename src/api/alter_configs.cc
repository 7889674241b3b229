// api/alter_configs.cc: AlterConfigs (33): all settings of a resource at once.
#include "api/alter_configs.h"

#include <map>

#include "wire/alter_configs.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;

AlterOutcome refused(ErrorCode error, std::string message) {
  return {.error = error, .message = message.empty() ? std::nullopt : std::optional(std::move(message))};
}

}  // namespace

security::Resource resource_of(ConfigResource type, std::string_view name) {
  if (type == ConfigResource::topic) return {.type = security::ResourceType::topic, .name = name};
  if (type == ConfigResource::group) return {.type = security::ResourceType::group, .name = name};
  return security::cluster_resource;
}

ErrorCode authorization_error(security::ResourceType type) {
  switch (type) {
    case security::ResourceType::topic: return ErrorCode::topic_authorization_failed;
    case security::ResourceType::group: return ErrorCode::group_authorization_failed;
    case security::ResourceType::transactional_id: return ErrorCode::transactional_id_authorization_failed;
    case security::ResourceType::cluster: return ErrorCode::cluster_authorization_failed;
  }
  return ErrorCode::unknown_server_error;
}

Task<std::vector<AlterOutcome>> alter_all(Call& call, std::vector<Alteration> alterations) {
  std::map<std::pair<std::int8_t, std::string>, std::size_t> occurrences;
  for (const Alteration& one : alterations) ++occurrences[{one.resource_type, one.resource_name}];
  std::vector<AlterOutcome> outcomes;
  for (Alteration& one : alterations) {
    const std::size_t count = occurrences[{one.resource_type, one.resource_name}];
    const security::Resource resource = resource_of(static_cast<ConfigResource>(one.resource_type), one.resource_name);
    if (count > 1) {
      outcomes.push_back(refused(ErrorCode::invalid_request, "Each resource must appear at most once."));
    } else if (!allowed(call, security::Operation::alter_configs, resource.type, resource.name)) {
      outcomes.push_back(refused(authorization_error(resource.type), "Authorization failed."));
    } else {
      auto done = co_await call.config_admin.alter(std::move(one));
      outcomes.push_back(done ? AlterOutcome() : refused(done.error().error, std::move(done.error().message)));
    }
  }
  co_return outcomes;
}

Task<Reply> handle_alter_configs(Call call) {
  auto request = decode_body<wire::AlterConfigsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  std::vector<Alteration> alterations;
  for (const auto& resource : request->resources) {
    Alteration& one = alterations.emplace_back(Alteration{.resource_type = resource.resource_type,
                                                          .resource_name = std::string(resource.resource_name),
                                                          .changes = {},
                                                          .replace = true,
                                                          .validate_only = request->validate_only});
    for (const auto& config : resource.configs) {
      one.changes.push_back({.name = std::string(config.name),
                             .operation = static_cast<std::int8_t>(ConfigOperation::set),
                             .value = config.value ? std::optional(std::string(*config.value)) : std::nullopt});
    }
  }
  const std::vector<AlterOutcome> outcomes = co_await alter_all(call, std::move(alterations));
  wire::AlterConfigsResponse response;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    wire::AlterConfigsResponse::Resource out;
    out.error_code = outcomes[i].error;
    out.error_message = outcomes[i].message;
    out.resource_type = request->resources[i].resource_type;
    out.resource_name = request->resources[i].resource_name;
    response.responses.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
