#include "api/config_changes.h"

#include <algorithm>
#include <set>
#include <string_view>

#include <fmt/core.h>
#include <fmt/ranges.h>

namespace weir::api {
namespace {

using model::ErrorCode;

std::unexpected<ConfigRefusal> refuse(ErrorCode error, std::string message) {
  return std::unexpected(ConfigRefusal{.error = error, .message = std::move(message)});
}

}  // namespace

std::expected<void, ConfigRefusal> check_changes(const std::vector<ConfigChange>& changes) {
  std::set<std::string_view> seen;
  for (const ConfigChange& change : changes) {
    if (!seen.insert(change.name).second) return refuse(ErrorCode::invalid_request, "Error due to duplicate config keys");
  }
  for (const ConfigChange& change : changes) {
    if (!change.value && change.operation != static_cast<std::int8_t>(ConfigOperation::remove)) {
      return refuse(ErrorCode::invalid_request, fmt::format("Null value not supported for : {}", change.name));
    }
    if (change.operation < 0 || change.operation > static_cast<std::int8_t>(ConfigOperation::subtract)) {
      return refuse(ErrorCode::unknown_server_error, "");
    }
  }
  return {};
}

std::expected<config::Values, ConfigRefusal> apply_changes(config::Values values, const std::vector<ConfigChange>& changes,
                                                           const ListValue& list_value) {
  for (const ConfigChange& change : changes) {
    const auto operation = static_cast<ConfigOperation>(change.operation);
    if (operation == ConfigOperation::set) {
      values[change.name] = change.value.value_or("");
      continue;
    }
    if (operation == ConfigOperation::remove) {
      values.erase(change.name);
      continue;
    }
    const bool append = operation == ConfigOperation::append;
    const auto present = values.find(change.name);
    std::optional<std::string> base = list_value(change.name);
    if (!base) {
      return refuse(ErrorCode::invalid_config, fmt::format("Can't {} to key {} because its type is not LIST.",
                                                           append ? "APPEND" : "SUBTRACT", change.name));
    }
    if (present != values.end()) base = present->second;
    std::vector<std::string> items = config::split_list(*base);
    for (std::string& item : config::split_list(change.value.value_or(""))) {
      const auto at = std::ranges::find(items, item);
      if (append && at == items.end()) items.push_back(std::move(item));
      if (!append && at != items.end()) items.erase(at);
    }
    values[change.name] = fmt::format("{}", fmt::join(items, ","));
  }
  return values;
}

}  // namespace weir::api
