// SyncGroup: the leader's assignment is stored once, then handed to all.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/machine.h"
#include "groups/core/records.h"

namespace weir::groups {
namespace {

bool contradicts(const std::optional<std::string>& told, const std::optional<std::string>& known) {
  return told && known && *told != *known;
}

}  // namespace

void Machine::on(const Sync& event) {
  const auto refuse = [&](Errc error) { answer(event.ticket, SyncAnswer{.error = error}); };
  if (g_.state == State::dead) return refuse(rule(Request::sync, State::dead).error);
  if (const Errc error = check_member(event.member_id, event.instance_id); error != Errc::none) return refuse(error);
  if (event.generation != g_.generation) return refuse(Errc::illegal_generation);
  if (contradicts(event.protocol_type, g_.protocol_type) || contradicts(event.protocol_name, g_.protocol_name)) {
    return refuse(Errc::inconsistent_protocol);
  }
  const Rule& row = rule(Request::sync, g_.state);
  if (row.reaction == Reaction::refuse) return refuse(row.error);
  Member& member = g_.members.at(event.member_id);
  synced(member.id);
  if (row.reaction == Reaction::wait) {
    answer_sync(member, Errc::rebalance_in_progress);  // an older one of a client that is gone
    member.sync = event.ticket;
    if (g_.leader == member.id) leader_syncs(event);
    return;
  }
  answer(event.ticket, SyncAnswer{.error = Errc::none,
                                  .protocol_type = g_.protocol_type,
                                  .protocol_name = g_.protocol_name,
                                  .assignment = member.assignment});
}

void Machine::leader_syncs(const Sync& event) {
  // A generation has one assignment: the first that is on its way to the log. A repeated request waits for that one.
  if (assignment_under_way()) return;
  PendingWrite pending{.kind = PendingWrite::Kind::assignment};
  pending.generation = g_.generation;
  for (const auto& [id, member] : g_.members) {
    const auto given = event.assignments.find(id);
    pending.assignments[id] = given == event.assignments.end() ? bytes::Buffer() : given->second;
  }
  std::vector<Record> records;
  records.push_back(group_record(g_, pending.assignments));
  begin_write(std::move(pending), std::move(records));
}

void Machine::synced(const std::string& member_id) {
  g_.pending_syncs.erase(member_id);
  if (g_.pending_syncs.empty()) g_.sync_deadline.reset();
}

// Who joined and never asked for its assignment holds partitions that nobody reads.
void Machine::sync_time_over() {
  g_.sync_deadline.reset();
  if (g_.state != State::completing_rebalance && g_.state != State::stable) return;
  if (g_.pending_syncs.empty()) return;
  const std::vector<std::string> silent(g_.pending_syncs.begin(), g_.pending_syncs.end());
  for (const std::string& id : silent) remove_member(id);
  prepare(Cause::member_goes);
}

}  // namespace weir::groups
