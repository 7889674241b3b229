// api/config_admin.h: changes settings of topics, brokers, groups, client-metrics and subscriptions.
// Place:      L7; one per broker, its work runs on shard 0; called by AlterConfigs and IncrementalAlterConfigs.
// Contract:   an answer without an error means: checked, durable in the keyspace, in force on every shard (or, with
//             validate_only, that it would be). Changes are made one after the other.
// Limits:     values_per_resource_max, resources_max.
// Tests:      api/config_changes_test.cc, tests/system/test_admin_tools.py
#pragma once

#include <string>
#include <vector>

#include "api/config_changes.h"
#include "api/services.h"
#include "api/topic_admin.h"
#include "runtime/sync.h"
#include "runtime/task.h"

namespace weir::api {

inline constexpr std::size_t values_per_resource_max = 1000;
inline constexpr std::size_t config_resources_max = 100'000;  ///< groups and subscriptions that have settings

struct Alteration {
  std::int8_t resource_type = 0;
  std::string resource_name;
  std::vector<ConfigChange> changes;
  bool replace = false;  ///< AlterConfigs: what is not named goes back to its default
  bool validate_only = false;
};

class ConfigAdmin {
 public:
  ConfigAdmin(Services& services, TopicAdmin& topic_admin) : services_(services), topic_admin_(topic_admin) {}
  /// From any shard; the caller has checked that the client may.
  runtime::Task<std::expected<void, ConfigRefusal>> alter(Alteration alteration);

 private:
  using Done = std::expected<void, ConfigRefusal>;
  runtime::Task<Done> alter_here(Alteration alteration);
  runtime::Task<Done> alter_topic(Alteration alteration);
  runtime::Task<Done> alter_record(Alteration alteration, meta::ConfigKind kind);
  runtime::Task<Done> alter_record_alone(Alteration alteration, meta::ConfigKind kind);
  [[nodiscard]] Done check_broker_name(const std::string& name) const;
  [[nodiscard]] Done check_record(meta::ConfigKind kind, const std::string& name, const config::Values& values) const;
  Services& services_;
  TopicAdmin& topic_admin_;
  runtime::Semaphore changes_{1};
};

}  // namespace weir::api
