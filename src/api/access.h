// api/access.h: how handlers ask the authorizer.
// Place:      L7; called by every handler, for each resource of its request.
// Contract:   cheap and synchronous. Kafka's rules of which operation a request needs stand in the handlers.
// Tests:      tests/gates
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "api/handler.h"

namespace weir::api {

[[nodiscard]] inline bool allowed(const Call& call, security::Operation operation, security::ResourceType type,
                                  std::string_view name) {
  return call.services.authorizer.authorize(call.ctx, operation, {.type = type, .name = name});
}
[[nodiscard]] inline bool allowed_on_topic(const Call& call, security::Operation operation, std::string_view topic) {
  return allowed(call, operation, security::ResourceType::topic, topic);
}
[[nodiscard]] inline bool allowed_on_cluster(const Call& call, security::Operation operation) {
  return call.services.authorizer.authorize(call.ctx, operation, security::cluster_resource);
}

/// The operations that exist for a resource type.
[[nodiscard]] inline std::span<const security::Operation> operations_of(security::ResourceType type) {
  using enum security::Operation;
  static constexpr std::array topic = {read, write, create, remove, alter, describe, describe_configs, alter_configs};
  static constexpr std::array group = {read, remove, describe, describe_configs, alter_configs};
  static constexpr std::array cluster = {create,           alter,         describe,        cluster_action,
                                         describe_configs, alter_configs, idempotent_write};
  static constexpr std::array transactional_id = {write, describe};
  switch (type) {
    case security::ResourceType::topic: return topic;
    case security::ResourceType::group: return group;
    case security::ResourceType::cluster: return cluster;
    case security::ResourceType::transactional_id: return transactional_id;
  }
  return {};
}

/// The bit field of "authorized operations" in Metadata, DescribeCluster and DescribeGroups.
[[nodiscard]] inline std::int32_t authorized_operations(const Call& call, security::ResourceType type, std::string_view name) {
  std::int32_t bits = 0;
  for (const security::Operation operation : operations_of(type)) {
    if (allowed(call, operation, type, name)) bits |= 1 << static_cast<int>(operation);
  }
  return bits;
}

}  // namespace weir::api
