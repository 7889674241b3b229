// groups/core/step.h: the group coordinator's decisions: step(group, event, now) -> records, answers, timers.
// Why:        every rule of a group is here and nothing else: no I/O, no clock, so each transition can be tested by itself.
// Contract:   pure but for `group`, whose soft state it changes. What must survive leaves as records; apply() (stored.h) makes
//             them state once they are durable, and Written tells the group. Each ticket is answered exactly once, now or in a
//             later step. A write whose outcome is unknown is not told: the partition is loaded anew.
// Invariants: one assignment per generation: a second leader's SyncGroup joins the first one's write; no step answers a
//             ticket that is still held by a member (Group::check()).
// Tests:      groups/core/*_test.cc
#pragma once

#include "groups/core/events.h"
#include "groups/core/group.h"
#include "groups/core/stored.h"

namespace weir::groups {

/// `stored` is the group's durable part, null when it has none. The caller has looked at group ids and loading already.
[[nodiscard]] Effects step(Group& group, const StoredGroup* stored, const Event& event, const Limits& limits, const Now& now);

/// The group as its record left it: members alive for a session from now on. Over capacity: it begins to rebalance.
struct Restored {
  Group group;
  Effects effects;
};
[[nodiscard]] Restored restore_group(const std::string& id, const StoredGroup& stored, const Limits& limits, const Now& now);

/// The group's record with these assignments, by member id.
[[nodiscard]] Record group_record(const Group& group, const std::map<std::string, bytes::Buffer>& assignments);

/// It was removed, or came to nothing before anything was stored: it may be forgotten without a record.
[[nodiscard]] bool forgettable(const Group& group, const StoredGroup* stored);

}  // namespace weir::groups
