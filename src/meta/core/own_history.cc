#include "meta/core/own_history.h"

#include <limits>

#include <fmt/core.h>

#include "base/ensure.h"

namespace weir::meta::core {

base::Result<OwnRecord> next_epoch(const OwnRecord& current, model::SessionId session, model::Offset start,
                                   model::Offset uploaded_to) {
  ENSURE(start >= current.start(), "an epoch from {} after one from {}", start.value(), current.start().value());
  if (current.epoch().value() == std::numeric_limits<std::int32_t>::max()) {
    return base::fail(base::ErrorKind::exhausted, "the partition used all 2^31 leader epochs");
  }
  OwnRecord next;
  for (std::size_t i = 0; i < current.history.size(); ++i) {
    const OwnHistoryEntry& entry = current.history[i];
    const model::Offset end = i + 1 < current.history.size() ? current.history[i + 1].start : start;
    if (end > uploaded_to && end > entry.start) next.history.push_back(entry);
  }
  if (next.history.size() >= own_history_max) {
    return base::fail(base::ErrorKind::exhausted,
                      fmt::format("{} epochs hold offsets that are not uploaded yet: the partition waits for the store",
                                  next.history.size()));
  }
  next.history.push_back({.epoch = current.epoch() + 1, .start = start, .session = session});
  return next;
}

}  // namespace weir::meta::core
