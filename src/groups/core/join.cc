// JoinGroup: who is let in, with which id, and whether that begins a rebalance.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/machine.h"
#include "groups/core/records.h"

namespace weir::groups {

// Past group.max.size only members that count already are let in. While the group rebalances those that wait count: so the last
// to join again are left out when the limit was lowered.
bool Machine::accepts(const std::string& member_id) const {
  const auto member = g_.members.find(member_id);
  const bool known = member != g_.members.end();
  switch (g_.state) {
    case State::empty:
    case State::dead: return true;
    case State::preparing_rebalance: return (known && member->second.join != 0) || g_.awaiting_join_count < limits_.size_max;
    case State::completing_rebalance:
    case State::stable: return known || g_.members.size() < limits_.size_max;
  }
  return false;
}

void Machine::on(const Join& event) {
  const auto refuse = [&](Errc error, const std::string& id) {
    answer(event.ticket, JoinAnswer{.error = error, .member_id = id});
  };
  if (g_.state == State::dead) return refuse(rule(Request::join_changed, State::dead).error, event.member_id);
  if (!accepts(event.member_id)) {
    if (g_.members.contains(event.member_id)) {
      remove_member(event.member_id);
      member_went();
    }
    return refuse(Errc::group_max_size_reached, "");
  }
  if (!g_.supports(event.protocol_type, event.protocols)) return refuse(Errc::inconsistent_protocol, event.member_id);
  if (event.member_id.empty()) {
    join_new(event);
  } else {
    join_known(event);
  }
}

void Machine::join_new(const Join& event) {
  if (event.instance_id) {
    const auto known = g_.static_ids.find(*event.instance_id);
    if (known != g_.static_ids.end()) return replace_static_member(event, std::string(known->second));
    return add_member(event, event.fresh_id);
  }
  if (!event.id_required) return add_member(event, event.fresh_id);
  // The client that asks again after a lost answer would be a second member: it must come back with the id of this answer.
  g_.pending_joins[event.fresh_id] = after_ms(event.session_timeout_ms);
  want_wake(g_.pending_joins[event.fresh_id]);
  answer(event.ticket, JoinAnswer{.error = Errc::member_id_required, .member_id = event.fresh_id});
}

void Machine::join_known(const Join& event) {
  if (g_.pending_joins.contains(event.member_id) && !event.instance_id) return add_member(event, event.member_id);
  if (const Errc error = check_member(event.member_id, event.instance_id); error != Errc::none) {
    answer(event.ticket, JoinAnswer{.error = error, .member_id = event.member_id});
    return;
  }
  join_present(event, g_.members.at(event.member_id));
}

void Machine::join_present(const Join& event, Member& member) {
  const bool unchanged = member.matches(event.protocols);
  const bool leads = g_.leader == member.id;
  const Request kind = !unchanged ? Request::join_changed : (leads ? Request::join_leader : Request::join_unchanged);
  const Rule& row = rule(kind, g_.state);
  switch (row.reaction) {
    case Reaction::refuse: answer(event.ticket, JoinAnswer{.error = row.error, .member_id = member.id}); break;
    case Reaction::answer:
      // It may have missed the answer of this generation.
      answer(event.ticket, current_generation(member, leads && g_.state == State::completing_rebalance));
      break;
    case Reaction::wait:
    case Reaction::rebalance:
      update_member(member, event);
      rebalance_or_complete(Cause::member_joins);
      break;
    case Reaction::done: ENSURE(false, "a JoinGroup is never simply done");
  }
}

void Machine::add_member(const Join& event, const std::string& id) {
  ENSURE(!g_.members.contains(id), "member {} is there already", id);
  Member member;
  member.id = id;
  member.instance_id = event.instance_id;
  member.client_id = event.client_id;
  member.client_host = event.client_host;
  member.rebalance_timeout_ms = event.rebalance_timeout_ms;
  member.session_timeout_ms = event.session_timeout_ms;
  member.protocols = event.protocols;
  member.is_new = true;
  member.joined_at = g_.next_joined++;
  if (g_.members.empty()) g_.protocol_type = event.protocol_type;
  if (g_.leader.empty()) g_.leader = id;
  if (event.instance_id) g_.static_ids[*event.instance_id] = id;
  count_protocols(member, true);
  g_.pending_joins.erase(id);
  Member& added = g_.members.emplace(id, std::move(member)).first->second;
  set_join(added, event.ticket);
  renew_session(added);
  if (g_.state == State::preparing_rebalance && g_.initial_delay) g_.new_member_added = true;
  rebalance_or_complete(Cause::member_joins);
}

void Machine::update_member(Member& member, const Join& event) {
  count_protocols(member, false);
  member.protocols = event.protocols;
  count_protocols(member, true);
  member.rebalance_timeout_ms = event.rebalance_timeout_ms;
  member.session_timeout_ms = event.session_timeout_ms;
  set_join(member, event.ticket);
}

Member& Machine::rename_member(const std::string& instance_id, const std::string& old_id, const std::string& new_id) {
  auto node = g_.members.extract(old_id);
  ENSURE(bool(node), "static member {} is not there", old_id);
  node.key() = new_id;
  Member& member = node.mapped();
  // Whoever still waits as the old one has been replaced.
  answer_join(member, JoinAnswer{.error = Errc::fenced_instance_id, .member_id = old_id});
  answer_sync(member, Errc::fenced_instance_id);
  member.id = new_id;
  g_.static_ids[instance_id] = new_id;
  if (g_.leader == old_id) g_.leader = new_id;
  if (g_.pending_syncs.erase(old_id) != 0) g_.pending_syncs.insert(new_id);
  return g_.members.insert(std::move(node)).position->second;
}

void Machine::replace_static_member(const Join& event, const std::string& old_id) {
  const std::string former_leader = g_.leader;
  Member& member = rename_member(*event.instance_id, old_id, event.fresh_id);
  PendingWrite pending{.kind = PendingWrite::Kind::static_member};
  pending.new_member = event.fresh_id;
  pending.old_member = old_id;
  pending.old_protocols = member.protocols;
  pending.old_rebalance_timeout_ms = member.rebalance_timeout_ms;
  pending.old_session_timeout_ms = member.session_timeout_ms;
  member.client_id = event.client_id;
  member.client_host = event.client_host;
  update_member(member, event);
  renew_session(member);
  // A restart that changes nothing for the others needs no rebalance: the new id is stored and that is all.
  if (g_.state == State::stable && g_.protocol_name == g_.select_protocol()) {
    return store_static_member(event, std::move(pending), former_leader);
  }
  rebalance_or_complete(Cause::member_joins);
}

void Machine::store_static_member(const Join& event, PendingWrite pending, const std::string& former_leader) {
  Member& member = g_.members.at(event.fresh_id);
  const bool leads = g_.leader == member.id;
  pending.join = current_generation(member, leads && event.skip_supported);
  if (event.skip_supported) {
    pending.join.skip_assignment = leads;
  } else {
    // An old client that hears that it leads would make an assignment: it is told of the leader that was.
    pending.join.leader = former_leader;
  }
  std::vector<Record> records;
  std::map<std::string, bytes::Buffer> assignments;
  for (const auto& [id, other] : g_.members) assignments[id] = other.assignment;
  records.push_back(group_record(g_, assignments));
  begin_write(std::move(pending), std::move(records));
}

void Machine::undo_static_member(const PendingWrite& write) {
  const auto at = g_.members.find(write.new_member);
  if (at == g_.members.end() || !at->second.instance_id) return;  // gone meanwhile
  Member& member = at->second;
  answer_join(member, JoinAnswer{.error = Errc::unavailable});
  const std::string instance_id = *member.instance_id;
  count_protocols(member, false);
  member.protocols = write.old_protocols;
  count_protocols(member, true);
  member.rebalance_timeout_ms = write.old_rebalance_timeout_ms;
  member.session_timeout_ms = write.old_session_timeout_ms;
  renew_session(rename_member(instance_id, write.new_member, write.old_member));
}

JoinAnswer Machine::current_generation(const Member& member, bool with_peers) const {
  return {.member_id = member.id,
          .generation = g_.generation,
          .protocol_type = g_.protocol_type,
          .protocol_name = g_.protocol_name,
          .leader = g_.leader,
          .members = with_peers ? peers() : std::vector<JoinAnswer::Peer>()};
}

std::vector<JoinAnswer::Peer> Machine::peers() const {
  std::vector<JoinAnswer::Peer> all;
  all.reserve(g_.members.size());
  for (const auto& [id, member] : g_.members) {
    all.push_back({.member_id = id, .instance_id = member.instance_id, .metadata = member.metadata(*g_.protocol_name)});
  }
  return all;
}

}  // namespace weir::groups
