// security/authorizer.h: the two questions that every handler asks: may this principal do that, and what does it cost.
// Why:        ACLs and quotas must later need no edit in any handler.
// Contract:   cheap and synchronous: called once per resource of a request, on the request's shard. Allow-all is the only
//             authorizer of this version; charge() gives the milliseconds that the connection is to be muted (KIP-219).
#pragma once

#include <cstdint>
#include <string_view>

#include "model/request_context.h"

namespace weir::security {

/// Kafka's ACL operations, by their wire numbers.
enum class Operation : std::int8_t {
  read = 3,
  write = 4,
  create = 5,
  remove = 6,
  alter = 7,
  describe = 8,
  cluster_action = 9,
  describe_configs = 10,
  alter_configs = 11,
  idempotent_write = 12,
};

/// Kafka's resource types, by their wire numbers.
enum class ResourceType : std::int8_t { topic = 2, group = 3, cluster = 4, transactional_id = 5 };

struct Resource {
  ResourceType type = ResourceType::topic;
  std::string_view name;
};
inline constexpr Resource cluster_resource{.type = ResourceType::cluster, .name = "kafka-cluster"};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  [[nodiscard]] virtual bool authorize(const model::RequestContext& ctx, Operation operation, const Resource& resource) = 0;
  /// Whether the principal may do it to at least one resource of the type, whichever that is.
  [[nodiscard]] virtual bool authorize_any(const model::RequestContext& ctx, Operation operation, ResourceType type) = 0;
  /// Once per answer: accounts bytes in (produce) or out (fetch; 0 for all else) and the request itself to the principal and
  /// client; the throttle time in milliseconds.
  virtual std::int32_t charge(const model::RequestContext& ctx, std::uint64_t bytes) = 0;
};

/// Everybody may do everything, free of charge.
class AllowAll final : public Authorizer {
 public:
  bool authorize(const model::RequestContext& /*ctx*/, Operation /*operation*/, const Resource& /*resource*/) override {
    return true;
  }
  bool authorize_any(const model::RequestContext& /*ctx*/, Operation /*operation*/, ResourceType /*type*/) override {
    return true;
  }
  std::int32_t charge(const model::RequestContext& /*ctx*/, std::uint64_t /*bytes*/) override { return 0; }
};

}  // namespace weir::security
