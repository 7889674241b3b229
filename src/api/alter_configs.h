// api/alter_configs.h: what AlterConfigs and IncrementalAlterConfigs share: who may, resources named twice, the answer.
// Contract:   one answer per resource of the request; resources are independent of each other.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "api/access.h"
#include "api/config_admin.h"
#include "api/handler.h"

namespace weir::api {

/// Whose right a config resource's settings are: the topic's, the group's, or else the cluster's.
[[nodiscard]] security::Resource resource_of(ConfigResource type, std::string_view name);
[[nodiscard]] model::ErrorCode authorization_error(security::ResourceType type);

struct AlterOutcome {
  model::ErrorCode error = model::ErrorCode::none;
  std::optional<std::string> message;
};
/// In the order of the alterations. The call and the admin outlive the task.
runtime::Task<std::vector<AlterOutcome>> alter_all(Call& call, std::vector<Alteration> alterations);

}  // namespace weir::api
