#include "cli/config_change.h"

#include <charconv>

#include <fmt/core.h>

#include "wire/incremental_alter_configs.h"

namespace weir::cli {

using runtime::Task;

base::Result<std::vector<ConfigChange>> parse_changes(const std::vector<std::string>& set,
                                                      const std::vector<std::string>& remove) {
  std::vector<ConfigChange> changes;
  for (const std::string& word : set) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return base::fail(base::ErrorKind::invalid, fmt::format("'{}': write NAME=VALUE, NAME+=VALUE or NAME-=VALUE", word));
    ConfigChange change{.name = word.substr(0, equals), .operation = ConfigOperation::set, .value = word.substr(equals + 1)};
    if (equals > 1 && (word[equals - 1] == '+' || word[equals - 1] == '-')) {
      change.operation = word[equals - 1] == '+' ? ConfigOperation::append : ConfigOperation::subtract;
      change.name.pop_back();
    }
    changes.push_back(std::move(change));
  }
  for (const std::string& name : remove) {
    if (name.find('=') != std::string::npos || name.empty())
      return base::fail(base::ErrorKind::invalid,
                        fmt::format("'{}': a setting goes back to its default by its name alone", name));
    changes.push_back({.name = name, .operation = ConfigOperation::remove, .value = {}});
  }
  return changes;
}

std::string to_string(ConfigResourceType type) {
  switch (type) {
    case ConfigResourceType::topic: return "topic";
    case ConfigResourceType::broker: return "broker";
    case ConfigResourceType::client_metrics: return "client-metrics";
    case ConfigResourceType::group: return "group";
  }
  return "unknown";
}

base::Result<std::vector<ConfigResource>> resources_of(const ConfigTarget& target) {
  std::vector<ConfigResource> resources;
  for (const std::string& topic : target.topics) resources.push_back({.type = ConfigResourceType::topic, .name = topic});
  for (const std::int32_t broker : target.brokers)
    resources.push_back({.type = ConfigResourceType::broker, .name = std::to_string(broker)});
  if (target.cluster) resources.push_back({.type = ConfigResourceType::broker, .name = ""});
  for (const std::string& group : target.groups) resources.push_back({.type = ConfigResourceType::group, .name = group});
  if (resources.empty())
    return base::fail(base::ErrorKind::invalid, "say whose settings: --topic NAME, --broker ID, --cluster or --group NAME");
  return resources;
}

Task<base::Result<client::Client*>> config_client(Admin* admin, const ConfigResource* resource) {
  if (resource->type != ConfigResourceType::broker || resource->name.empty()) co_return &admin->any();
  std::int32_t id = -1;
  std::from_chars(resource->name.data(), resource->name.data() + resource->name.size(), id);
  co_return co_await admin->broker(id);
}

Task<base::Result<std::vector<ConfigOutcome>>> change_configs(Admin* admin, const std::vector<ConfigResource>* resources,
                                                              const std::vector<ConfigChange>* changes, bool validate_only) {
  std::vector<ConfigOutcome> outcomes;
  for (const ConfigResource& resource : *resources) {
    auto client = co_await config_client(admin, &resource);
    if (!client) co_return std::unexpected(client.error());
    wire::IncrementalAlterConfigsRequest request;
    request.validate_only = validate_only;
    request.resources.emplace_back();
    request.resources.back().resource_type = static_cast<std::int8_t>(resource.type);
    request.resources.back().resource_name = resource.name;
    for (const ConfigChange& change : *changes) {
      request.resources.back().configs.emplace_back();
      auto& config = request.resources.back().configs.back();
      config.name = change.name;
      config.config_operation = static_cast<std::int8_t>(change.operation);
      if (change.operation != ConfigOperation::remove) config.value = change.value;
    }
    auto answer = co_await (*client)->call<wire::IncrementalAlterConfigsResponse>(request);
    if (!answer) co_return std::unexpected(answer.error());
    for (const auto& one : answer->message.responses) {
      outcomes.push_back(
          {.resource = resource,
           .error = one.error_code,
           .text = one.error_code == model::ErrorCode::none ? "" : error_text(one.error_code, one.error_message)});
    }
  }
  co_return outcomes;
}

}  // namespace weir::cli
