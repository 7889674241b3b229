// api/errors.h: the only place that turns weir's errors into Kafka's codes.
#pragma once

#include "base/result.h"
#include "groups/core/types.h"
#include "log/log.h"
#include "model/error_code.h"

namespace weir::api {

/// Certainly not appended: NOT_ENOUGH_REPLICAS; unknown outcome: REQUEST_TIMED_OUT; fenced or moved: NOT_LEADER_OR_FOLLOWER.
[[nodiscard]] model::ErrorCode produce_error(log::Errc errc);
[[nodiscard]] model::ErrorCode fetch_error(log::Errc errc);
/// Of the group coordinator; a record that does not fit is an unknown server error, for a commit its own code.
[[nodiscard]] model::ErrorCode group_error(groups::Errc errc);
[[nodiscard]] model::ErrorCode commit_error(groups::Errc errc);
/// Of a metadata change that failed.
[[nodiscard]] model::ErrorCode admin_error(base::ErrorKind kind);

}  // namespace weir::api
