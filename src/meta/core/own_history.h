// meta/core/own_history.h: what own/P becomes when its session opens the next epoch.
// Contract:   pure.
// Tests:      meta/own_history_test.cc
#pragma once

#include "base/result.h"
#include "meta/meta.h"

namespace weir::meta::core {

/// current + (epoch + 1, start, session), without the entries that give no un-uploaded offset to any epoch: those that end at or
/// below uploaded_to, and those that ended where they began (so a partition restarted again and again without appends, or with
/// the store down, does not grow). exhausted: own_history_max entries are needed even so.
[[nodiscard]] base::Result<OwnRecord> next_epoch(const OwnRecord& current, model::SessionId session, model::Offset start,
                                                 model::Offset uploaded_to);

}  // namespace weir::meta::core
