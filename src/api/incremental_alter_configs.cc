// api/incremental_alter_configs.cc: IncrementalAlterConfigs (44): single settings of a resource.
#include "wire/incremental_alter_configs.h"

#include "api/alter_configs.h"

namespace weir::api {

runtime::Task<Reply> handle_incremental_alter_configs(Call call) {
  auto request = decode_body<wire::IncrementalAlterConfigsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  std::vector<Alteration> alterations;
  for (const auto& resource : request->resources) {
    Alteration& one = alterations.emplace_back(Alteration{.resource_type = resource.resource_type,
                                                          .resource_name = std::string(resource.resource_name),
                                                          .changes = {},
                                                          .replace = false,
                                                          .validate_only = request->validate_only});
    for (const auto& config : resource.configs) {
      one.changes.push_back({.name = std::string(config.name),
                             .operation = config.config_operation,
                             .value = config.value ? std::optional(std::string(*config.value)) : std::nullopt});
    }
  }
  const std::vector<AlterOutcome> outcomes = co_await alter_all(call, std::move(alterations));
  wire::IncrementalAlterConfigsResponse response;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    wire::IncrementalAlterConfigsResponse::Resource out;
    out.error_code = outcomes[i].error;
    out.error_message = outcomes[i].message;
    out.resource_type = request->resources[i].resource_type;
    out.resource_name = request->resources[i].resource_name;
    response.responses.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
