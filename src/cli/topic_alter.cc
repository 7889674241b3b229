// cli/topic_alter.cc: weir topic alter: more partitions, other settings.
// Contract:   settings first: a topic whose new setting is refused does not grow either.
#include <algorithm>
#include <cstdio>

#include <fmt/core.h>

#include "cli/commands.h"
#include "cli/config_change.h"
#include "cli/table.h"
#include "wire/create_partitions.h"

namespace weir::cli {
namespace {

using runtime::Task;

Task<base::Result<void>> grow(Admin* admin, const TopicAlter* options, std::map<std::string, std::string>* faults) {
  wire::CreatePartitionsRequest request;
  request.timeout_ms = 30000;
  request.validate_only = options->validate_only;
  for (const std::string& name : options->names) {
    if (faults->contains(name)) continue;
    request.topics.emplace_back();
    request.topics.back().name = name;
    request.topics.back().count = options->partition_count;
    request.topics.back().assignments.reset();
  }
  if (request.topics.empty()) co_return base::Result<void>();
  auto answer = co_await admin->any().call<wire::CreatePartitionsResponse>(request);
  if (!answer) co_return std::unexpected(answer.error());
  for (const auto& result : answer->message.results) {
    if (result.error_code != model::ErrorCode::none)
      (*faults)[std::string(result.name)] = error_text(result.error_code, result.error_message);
  }
  co_return base::Result<void>();
}

Task<int> alter(Admin* admin, const Common* common, const TopicAlter* options, std::vector<ConfigChange> changes) {
  std::map<std::string, std::string> faults;
  if (!changes.empty()) {
    std::vector<ConfigResource> resources;
    for (const std::string& name : options->names) resources.push_back({.type = ConfigResourceType::topic, .name = name});
    auto outcomes = co_await change_configs(admin, &resources, &changes, options->validate_only);
    if (!outcomes) co_return failed(outcomes.error());
    for (const ConfigOutcome& outcome : *outcomes) {
      if (outcome.error != model::ErrorCode::none) faults[outcome.resource.name] = outcome.text;
    }
  }
  if (options->partition_count >= 0) {
    if (auto grown = co_await grow(admin, options, &faults); !grown) co_return failed(grown.error());
  }
  Table table({"name", "altered", "error"});
  for (const std::string& name : options->names) {
    const bool good = !faults.contains(name);
    if (!good) tell_error(fmt::format("{}: {}", name, faults[name]));
    if (good && !common->json)
      std::puts(fmt::format("{} {}", name, options->validate_only ? "can be altered" : "altered").c_str());
    table.add({name, good && !options->validate_only, good ? Cell() : Cell(faults[name])});
  }
  if (common->json) std::puts(fmt::format(R"({{"topics":{}}})", table.json()).c_str());
  co_return faults.empty() ? exit_done : exit_failed;
}

}  // namespace

int topic_alter(const Common& common, const TopicAlter& options) {
  auto changes = parse_changes(options.configs, options.delete_configs);
  if (!changes || (changes->empty() && options.partition_count < 0)) {
    tell_error(!changes ? changes.error().text : "nothing to alter: give --partitions, --config or --delete-config");
    return exit_usage;
  }
  return with_admin(common, [&](Admin& admin) { return alter(&admin, &common, &options, *changes); });
}

}  // namespace weir::cli
