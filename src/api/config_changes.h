// api/config_changes.h: what the requests that alter settings ask for, and what becomes of a resource's values.
// Contract:   pure. Order of checks, error codes and the meaning of append and subtract are Kafka's.
// Tests:      api/config_changes_test.cc
#pragma once

#include <cstdint>
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/effective.h"
#include "model/error_code.h"

namespace weir::api {

/// Kafka's config resource types, by their wire numbers.
enum class ConfigResource : std::int8_t { topic = 2, broker = 4, broker_logger = 8, client_metrics = 16, group = 32 };

enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };

struct ConfigChange {
  std::string name;
  std::int8_t operation = 0;  ///< a ConfigOperation, or what else the client sent
  std::optional<std::string> value;
};

struct ConfigRefusal {
  model::ErrorCode error = model::ErrorCode::none;
  std::string message;  ///< empty: null
};

/// Nulls, duplicates and unknown operations, for any resource.
[[nodiscard]] std::expected<void, ConfigRefusal> check_changes(const std::vector<ConfigChange>& changes);

/// The values after the changes, not yet checked by their meaning. `list_value` gives the value that a list is appended to or
/// subtracted from when the resource does not set it; nullopt: the name is no list.
using ListValue = std::function<std::optional<std::string>(const std::string& name)>;
[[nodiscard]] std::expected<config::Values, ConfigRefusal> apply_changes(config::Values values,
                                                                         const std::vector<ConfigChange>& changes,
                                                                         const ListValue& list_value);

}  // namespace weir::api
