// api/update_features.cc: UpdateFeatures (57): every feature has one level here, so an update confirms it or is refused.
#include "wire/update_features.h"

#include <algorithm>
#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/features.h"

namespace weir::api {
namespace {

constexpr std::int8_t upgrade_type_max = 3;  // 1 upgrade, 2 safe and 3 unsafe downgrade

// Empty: the update asks for what is.
std::string fault_of(const wire::UpdateFeaturesRequest::FeatureUpdate& update, std::int16_t version) {
  const auto known = std::ranges::find(features, update.feature, &Feature::name);
  if (known == features.end()) return "This broker does not support this feature.";
  if (version >= 1 && (update.upgrade_type < 1 || update.upgrade_type > upgrade_type_max)) {
    return "The given upgrade type is not supported.";
  }
  if (update.max_version_level == known->level) return {};
  return fmt::format("This broker only supports versions {}-{}", known->level, known->level);
}

}  // namespace

runtime::Task<Reply> handle_update_features(Call call) {
  auto request = decode_body<wire::UpdateFeaturesRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::UpdateFeaturesResponse response;
  response.error_message = std::nullopt;
  if (!allowed_on_cluster(call, security::Operation::alter)) {
    response.error_code = model::ErrorCode::cluster_authorization_failed;
    response.error_message = "Authorization failed.";
    co_return make_reply(call, response);
  }
  std::string message;
  for (const auto& update : request->feature_updates) {
    const std::string fault = fault_of(update, call.ctx.api_version);
    if (fault.empty()) continue;
    message = fmt::format(
        "The update failed for all features since the following feature had an error: Invalid update version {} for feature "
        "{}. {}",
        update.max_version_level, update.feature, fault);
    response.error_code = model::ErrorCode::invalid_update_version;
    response.error_message = message;
    co_return make_reply(call, response);
  }
  for (const auto& update : request->feature_updates) {
    wire::UpdateFeaturesResponse::Outcome out;
    out.feature = update.feature;
    out.error_message = "NONE";
    response.results.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
