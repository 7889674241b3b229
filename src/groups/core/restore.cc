// A group from its record and back.
#include <algorithm>

#include "base/ensure.h"
#include "groups/core/machine.h"
#include "groups/core/records.h"

namespace weir::groups {

Record group_record(const Group& group, const std::map<std::string, bytes::Buffer>& assignments) {
  wire::GroupMetadataValue value;
  value.protocol_type = group.protocol_type ? std::string_view(*group.protocol_type) : std::string_view();
  value.generation = group.generation;
  if (group.protocol_name) value.protocol = *group.protocol_name;
  if (!group.leader.empty()) value.leader = group.leader;
  value.current_state_timestamp = group.state_since;
  for (const auto& [id, member] : group.members) {
    wire::GroupMetadataValue::MemberMetadata out;
    out.member_id = id;
    if (member.instance_id) out.group_instance_id = *member.instance_id;
    out.client_id = member.client_id;
    out.client_host = member.client_host;
    out.rebalance_timeout = member.rebalance_timeout_ms;
    out.session_timeout = member.session_timeout_ms;
    out.subscription = member.metadata(*group.protocol_name).view();
    const auto assigned = assignments.find(id);
    if (assigned != assignments.end()) out.assignment = assigned->second.view();
    value.members.push_back(std::move(out));
  }
  return {.key = group_key(group.id), .value = group_value(value)};
}

Restored restore_group(const std::string& id, const StoredGroup& stored, const Limits& limits, const Now& now) {
  Restored restored;
  Group& group = restored.group;
  group.id = id;
  group.was_stored = true;
  if (!stored.metadata) return restored;  // a simple group: only offsets
  auto read = read_group_value(stored.metadata->view());
  ENSURE(read.has_value(), "a group's record was applied and cannot be read: {}", read ? "" : read.error().text);
  const wire::GroupMetadataValue& value = *read;
  if (!value.protocol_type.empty()) group.protocol_type = std::string(value.protocol_type);
  group.generation = value.generation;
  if (value.protocol) group.protocol_name = std::string(*value.protocol);
  if (value.leader) group.leader = std::string(*value.leader);
  group.state = value.members.empty() ? State::empty : State::stable;
  group.previous = group.state;
  group.state_since = value.current_state_timestamp;
  for (const auto& in : value.members) {
    if (group.members.contains(std::string(in.member_id))) continue;  // no broker writes that
    Member member;
    member.id = std::string(in.member_id);
    if (in.group_instance_id) member.instance_id = std::string(*in.group_instance_id);
    member.client_id = std::string(in.client_id);
    member.client_host = std::string(in.client_host);
    member.session_timeout_ms = in.session_timeout;
    member.rebalance_timeout_ms = in.rebalance_timeout < 0 ? in.session_timeout : in.rebalance_timeout;
    member.protocols.push_back({.name = group.protocol_name.value_or(""), .metadata = bytes::Buffer::copy_of(in.subscription)});
    member.assignment = bytes::Buffer::copy_of(in.assignment);
    member.joined_at = group.next_joined++;
    if (member.instance_id) group.static_ids[*member.instance_id] = member.id;
    for (const Protocol& protocol : member.protocols) ++group.protocol_counts[protocol.name];
    group.members.emplace(member.id, std::move(member));
  }
  if (group.members.empty()) group.leader.clear();
  if (!group.members.empty() && !group.members.contains(group.leader)) group.leader = group.members.begin()->first;
  if (!group.members.empty() && !group.protocol_name) group.protocol_name = "";
  group.subscribed = subscribed_topics(group);
  Machine machine(group, &stored, limits, now);
  machine.restored();
  restored.effects = machine.take();
  return restored;
}

void Machine::restored() {
  for (auto& [id, member] : g_.members) renew_session(member);
  if (g_.state == State::stable && g_.members.size() > limits_.size_max) prepare(Cause::too_many_members);
}

bool forgettable(const Group& group, const StoredGroup* stored) {
  if (!group.writes.empty() || (stored != nullptr && !stored->empty())) return false;
  if (group.state == State::dead) return true;
  return group.state == State::empty && group.pending_joins.empty() && !group.was_stored && group.generation == 0;
}

}  // namespace weir::groups
