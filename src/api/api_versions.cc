// api/api_versions.cc: ApiVersions (18): what this broker serves; also the handshake in which a client names its software.
#include "wire/api_versions.h"

#include <algorithm>

#include "api/features.h"
#include "api/registry.h"

namespace weir::api {
namespace {

// Kafka's rule for a client's software name and version: letters, digits, '-' and '.', not at the ends.
bool is_software_text(std::string_view text) {
  const auto is_alphanumeric = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  if (text.empty() || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back())) return false;
  return std::ranges::all_of(text, [&](char c) { return is_alphanumeric(c) || c == '-' || c == '.'; });
}

wire::ApiVersionsResponse::Api to_wire(const wire::ApiInfo& info) {
  return {.api_key = static_cast<std::int16_t>(info.key),
          .min_version = info.advertised_min,
          .max_version = info.version_max_stable,
          .unknown_tags = {}};
}

}  // namespace

runtime::Task<Reply> handle_api_versions(Call call) {
  wire::ApiVersionsResponse response;
  const wire::ApiInfo& own = wire::api_info(wire::ApiKey::api_versions);
  if (call.ctx.api_version < own.version_min || call.ctx.api_version > own.version_max) {
    // A newer client: told in version 0, with our range, to ask again.
    call.ctx.api_version = 0;
    response.error_code = model::ErrorCode::unsupported_version;
    response.api_keys.push_back(to_wire(own));
    co_return make_reply(call, response);
  }
  auto request = decode_body<wire::ApiVersionsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  // Since version 5 a client says whom it means to talk to: an address that now belongs to another broker or cluster (a stale
  // DNS entry, a reused pod address) is told at once, before records go astray (KIP-1242). Both or neither is given.
  const bool names_cluster = request->cluster_id.has_value();
  if (call.ctx.api_version >= 5 && names_cluster != (request->node_id.value() != -1)) {
    response.error_code = model::ErrorCode::invalid_request;
    co_return make_reply(call, response);
  }
  if (call.ctx.api_version >= 3) {
    if (!is_software_text(request->client_software_name) || !is_software_text(request->client_software_version)) {
      response.error_code = model::ErrorCode::invalid_request;
      co_return make_reply(call, response);
    }
    call.state.software_name = std::string(request->client_software_name);
    call.state.software_version = std::string(request->client_software_version);
  }
  if (names_cluster &&
      (*request->cluster_id != call.services.cluster.to_string() || request->node_id.value() != call.services.config.node_id)) {
    response.error_code = model::ErrorCode::rebootstrap_required;
    co_return make_reply(call, response);
  }
  for (const Entry& entry : served_apis()) response.api_keys.push_back(to_wire(wire::api_info(entry.key)));
  for (const Feature& feature : features) {
    wire::ApiVersionsResponse::SupportedFeature supported;
    supported.name = feature.name;
    supported.min_version = feature.level;
    supported.max_version = feature.level;
    response.supported_features.push_back(std::move(supported));
    wire::ApiVersionsResponse::FinalizedFeature finalized;
    finalized.name = feature.name;
    finalized.min_version_level = feature.level;
    finalized.max_version_level = feature.level;
    response.finalized_features.push_back(std::move(finalized));
  }
  response.finalized_features_epoch = features_epoch;
  co_return make_reply(call, response);
}

}  // namespace weir::api
