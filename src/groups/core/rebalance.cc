// Rebalances: their beginning, the time for joining, the next generation.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/machine.h"
#include "groups/core/records.h"

namespace weir::groups {

void Machine::rebalance_or_complete(Cause cause) {
  if (find_transition(g_.state, cause) != nullptr) {
    prepare(cause);
  } else {
    complete_if_all_joined();
  }
}

void Machine::member_went() {
  if (g_.state == State::stable || g_.state == State::completing_rebalance) {
    prepare(Cause::member_goes);
  } else if (g_.state == State::preparing_rebalance) {
    complete_if_all_joined();
  }
}

void Machine::prepare(Cause cause) {
  // Who waits for an assignment of the old generation joins again.
  if (g_.state == State::completing_rebalance) answer_all_syncs(Errc::rebalance_in_progress);
  g_.sync_deadline.reset();
  const bool first = g_.state == State::empty;
  move(cause);
  if (first) {
    // A new group's members come one by one: wait for some of them instead of rebalancing for each.
    const std::int32_t delay_ms = limits_.initial_rebalance_delay_ms;
    g_.initial_delay = {.delay_ms = delay_ms, .remaining_ms = std::max(g_.rebalance_timeout_ms() - delay_ms, 0)};
    g_.new_member_added = false;
    g_.join_deadline = after_ms(delay_ms);
    want_wake(*g_.join_deadline);
    return;
  }
  if (g_.everybody_joined()) return complete_join();
  g_.join_deadline = after_ms(g_.rebalance_timeout_ms());
  want_wake(*g_.join_deadline);
}

// During the initial delay others are still expected, although all known ones have joined.
void Machine::complete_if_all_joined() {
  if (g_.state == State::preparing_rebalance && !g_.initial_delay && g_.everybody_joined()) complete_join();
}

void Machine::initial_delay_over() {
  const Group::InitialDelay over = *g_.initial_delay;
  if (g_.new_member_added && over.remaining_ms != 0) {
    g_.new_member_added = false;
    const std::int32_t delay_ms = std::min(limits_.initial_rebalance_delay_ms, over.remaining_ms);
    g_.initial_delay = {.delay_ms = delay_ms, .remaining_ms = std::max(over.remaining_ms - over.delay_ms, 0)};
    g_.join_deadline = after_ms(delay_ms);
    return;
  }
  complete_join();
}

// The leader stays when it joined again; else the member that has been there longest of those that did.
bool Machine::elect_joined_leader() {
  const auto leader = g_.members.find(g_.leader);
  if (leader == g_.members.end()) return false;
  if (leader->second.join != 0) return true;
  const Member* oldest = nullptr;
  for (const auto& [id, member] : g_.members) {
    if (member.join != 0 && (oldest == nullptr || member.joined_at < oldest->joined_at)) oldest = &member;
  }
  if (oldest == nullptr) return false;
  g_.leader = oldest->id;
  return true;
}

void Machine::complete_join() {
  ENSURE(g_.state == State::preparing_rebalance, "group {} completes a join phase in {}", g_.id, to_string(g_.state));
  g_.join_deadline.reset();
  g_.initial_delay.reset();
  std::vector<std::string> missing;
  for (const auto& [id, member] : g_.members) {
    if (member.join == 0 && !member.instance_id) missing.push_back(id);
  }
  for (const std::string& id : missing) remove_member(id);
  if (!elect_joined_leader() && !g_.members.empty()) {
    // Only static members, and none of them joined again: wait until they do or their sessions end.
    g_.join_deadline = after_ms(g_.rebalance_timeout_ms());
    want_wake(*g_.join_deadline);
    return;
  }
  next_generation();
}

void Machine::next_generation() {
  ++g_.generation;
  g_.pending_syncs.clear();
  if (g_.members.empty()) {
    g_.protocol_name.reset();
    move(Cause::nobody_joined);
    g_.subscribed = subscribed_topics(g_);
    std::vector<Record> records;
    records.push_back(group_record(g_, {}));
    begin_write({.kind = PendingWrite::Kind::empty_group}, std::move(records));
    return;
  }
  g_.protocol_name = g_.select_protocol();
  move(Cause::everybody_joined);
  g_.subscribed = subscribed_topics(g_);
  for (auto& [id, member] : g_.members) {
    answer_join(member, current_generation(member, g_.leader == id));
    member.is_new = false;
    renew_session(member);
    g_.pending_syncs.insert(id);
  }
  g_.sync_deadline = after_ms(g_.rebalance_timeout_ms());
  want_wake(*g_.sync_deadline);
}

}  // namespace weir::groups
