// cli/config.cc: weir config describe, set, delete: settings of topics, of one broker, of all brokers, of groups.
#include <algorithm>
#include <cstdio>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/config_change.h"
#include "cli/table.h"
#include "wire/describe_configs.h"

namespace weir::cli {
namespace {

using runtime::Task;

constexpr std::int8_t source_default = 5;

// Kafka's numbers of where a value comes from, in its own words.
std::string source_name(std::int8_t source) {
  switch (source) {
    case 1: return "DYNAMIC_TOPIC_CONFIG";
    case 2: return "DYNAMIC_BROKER_CONFIG";
    case 3: return "DYNAMIC_DEFAULT_BROKER_CONFIG";
    case 4: return "STATIC_BROKER_CONFIG";
    case source_default: return "DEFAULT_CONFIG";
    case 6: return "DYNAMIC_BROKER_LOGGER_CONFIG";
    case 7: return "DYNAMIC_CLIENT_METRICS_CONFIG";
    case 8: return "DYNAMIC_GROUP_CONFIG";
    default: return fmt::format("SOURCE_{}", source);
  }
}

std::string type_name(std::int8_t type) {
  switch (type) {
    case 1: return "boolean";
    case 2: return "string";
    case 3: return "int";
    case 4: return "short";
    case 5: return "long";
    case 6: return "double";
    case 7: return "list";
    case 8: return "class";
    case 9: return "password";
    default: return "unknown";
  }
}

Task<int> describe(Admin* admin, const Common* common, const ConfigDescribe* options, std::vector<ConfigResource> resources) {
  int code = exit_done;
  std::vector<std::string> columns = {"resource", "resource_name", "name", "value", "source", "type", "read_only", "sensitive"};
  if (options->documentation) columns.emplace_back("documentation");
  Table table(columns);
  for (const ConfigResource& resource : resources) {
    auto client = co_await config_client(admin, &resource);
    if (!client) {
      code = failed(client.error());
      continue;
    }
    wire::DescribeConfigsRequest request;
    request.include_documentation = options->documentation;
    request.resources.emplace_back();
    auto& asked = request.resources.back();
    asked.resource_type = static_cast<std::int8_t>(resource.type);
    asked.resource_name = resource.name;
    asked.configuration_keys.reset();
    if (!options->names.empty()) asked.configuration_keys.emplace(options->names.begin(), options->names.end());
    auto answer = co_await (*client)->call<wire::DescribeConfigsResponse>(request);
    if (!answer) {
      code = failed(answer.error());
      continue;
    }
    for (const auto& result : answer->message.results) {
      const std::string whose = resource.name.empty() ? "all" : resource.name;
      if (result.error_code != model::ErrorCode::none) {
        tell_error(
            fmt::format("{} {}: {}", to_string(resource.type), whose, error_text(result.error_code, result.error_message)));
        code = exit_failed;
        continue;
      }
      std::vector<std::string> seen;
      auto configs = result.configs;
      std::ranges::sort(configs, {}, [](const auto& config) { return config.name; });
      for (const auto& config : configs) {
        seen.emplace_back(config.name);
        if (options->changed && config.config_source == source_default) continue;
        std::vector<Cell> row = {to_string(resource.type),
                                 whose,
                                 std::string(config.name),
                                 config.value ? Cell(std::string(*config.value)) : Cell(),
                                 source_name(config.config_source),
                                 type_name(config.config_type),
                                 config.read_only,
                                 config.is_sensitive};
        if (options->documentation) row.emplace_back(std::string(config.documentation.value_or("")));
        table.add(std::move(row));
      }
      for (const std::string& name : options->names) {
        if (std::ranges::find(seen, name) != seen.end()) continue;
        tell_error(fmt::format("{} {}: there is no setting {}", to_string(resource.type), whose, name));
        code = exit_failed;
      }
    }
  }
  std::fputs(common->json ? fmt::format("{{\"configs\":{}}}\n", table.json()).c_str() : table.text().c_str(), stdout);
  co_return code;
}

Task<int> alter(Admin* admin, const Common* common, std::vector<ConfigResource> resources, std::vector<ConfigChange> changes,
                bool validate_only) {
  auto outcomes = co_await change_configs(admin, &resources, &changes, validate_only);
  if (!outcomes) co_return failed(outcomes.error());
  int code = exit_done;
  Table table({"resource", "resource_name", "changed", "error"});
  for (const ConfigOutcome& outcome : *outcomes) {
    const bool good = outcome.error == model::ErrorCode::none;
    const std::string whose = outcome.resource.name.empty() ? "all" : outcome.resource.name;
    if (!good) {
      code = exit_failed;
      tell_error(fmt::format("{} {}: {}", to_string(outcome.resource.type), whose, outcome.text));
    } else if (!common->json) {
      std::puts(fmt::format("{} {} {}", to_string(outcome.resource.type), whose, validate_only ? "can be changed" : "changed")
                    .c_str());
    }
    table.add({to_string(outcome.resource.type), whose, good && !validate_only,
               good ? Cell() : Cell(model::to_string(outcome.error))});
  }
  if (common->json) std::puts(fmt::format(R"({{"resources":{}}})", table.json()).c_str());
  co_return code;
}

}  // namespace

int config_describe(const Common& common, const ConfigDescribe& options) {
  auto resources = resources_of(options.target);
  if (!resources) {
    tell_error(resources.error().text);
    return exit_usage;
  }
  return with_admin(common, [&](Admin& admin) { return describe(&admin, &common, &options, *resources); });
}

int config_alter(const Common& common, const ConfigAlter& options) {
  auto resources = resources_of(options.target);
  auto changes = parse_changes(options.set, options.remove);
  if (!resources || !changes) {
    tell_error(!resources ? resources.error().text : changes.error().text);
    return exit_usage;
  }
  return with_admin(common, [&](Admin& admin) { return alter(&admin, &common, *resources, *changes, options.validate_only); });
}

}  // namespace weir::cli
