// cli/config_change.h: NAME=VALUE words to IncrementalAlterConfigs, for `weir config` and `weir topic alter`.
// Contract:   NAME=VALUE sets, NAME+=VALUE appends to a list, NAME-=VALUE takes from it, a name in `remove` goes back to its default.
//             A broker's own settings are sent to that broker, everything else to the bootstrap broker.
// Tests:      cli/config_change_test.cc, tests/system/test_cli_admin.py
#pragma once

#include <string>
#include <vector>

#include "cli/admin.h"

namespace weir::cli {

enum class ConfigOperation : std::int8_t { set = 0, remove = 1, append = 2, subtract = 3 };
struct ConfigChange {
  std::string name;
  ConfigOperation operation = ConfigOperation::set;
  std::string value;
  bool operator==(const ConfigChange&) const = default;
};
[[nodiscard]] base::Result<std::vector<ConfigChange>> parse_changes(const std::vector<std::string>& set,
                                                                    const std::vector<std::string>& remove);

/// Kafka's numbers.
enum class ConfigResourceType : std::int8_t { topic = 2, broker = 4, client_metrics = 16, group = 32 };
[[nodiscard]] std::string to_string(ConfigResourceType type);
struct ConfigResource {
  ConfigResourceType type = ConfigResourceType::topic;
  std::string name;  ///< a broker's is its id, empty for all brokers
};
[[nodiscard]] base::Result<std::vector<ConfigResource>> resources_of(const ConfigTarget& target);

struct ConfigOutcome {
  ConfigResource resource;
  model::ErrorCode error = model::ErrorCode::none;
  std::string text;  ///< of the error
};
/// Arguments are borrowed until it is done.
runtime::Task<base::Result<std::vector<ConfigOutcome>>> change_configs(Admin* admin,
                                                                       const std::vector<ConfigResource>* resources,
                                                                       const std::vector<ConfigChange>* changes,
                                                                       bool validate_only);
/// Who answers for this resource.
runtime::Task<base::Result<client::Client*>> config_client(Admin* admin, const ConfigResource* resource);

}  // namespace weir::cli
