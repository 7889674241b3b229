#include "groups/core/group.h"

#include <algorithm>

#include "base/ensure.h"
#include "wire/reader.h"

namespace weir::groups {

const bytes::Buffer& Member::metadata(std::string_view protocol) const {
  const auto at = std::ranges::find(protocols, protocol, &Protocol::name);
  ENSURE(at != protocols.end(), "member {} does not know the protocol {}", id, protocol);
  return at->metadata;
}

bool Member::matches(const std::vector<Protocol>& others) const {
  return std::ranges::equal(
      protocols, others, [](const Protocol& a, const Protocol& b) { return a.name == b.name && same(a.metadata, b.metadata); });
}

bool Group::supports(const std::string& wanted_type, const std::vector<Protocol>& protocols) const {
  if (state == State::empty) return !wanted_type.empty() && !protocols.empty();
  return protocol_type == wanted_type && std::ranges::any_of(protocols, [&](const Protocol& protocol) {
           const auto at = protocol_counts.find(protocol.name);
           return members.empty() || (at != protocol_counts.end() && at->second == members.size());
         });
}

std::string Group::select_protocol() const {
  ENSURE(!members.empty(), "group {} votes without members", id);
  std::map<std::string_view, std::size_t> votes;
  const auto candidate = [&](const Protocol& protocol) { return protocol_counts.at(protocol.name) == members.size(); };
  for (const auto& [member_id, member] : members) {
    const auto vote = std::ranges::find_if(member.protocols, candidate);
    ENSURE(vote != member.protocols.end(), "the members of group {} have no protocol in common", id);
    ++votes[vote->name];
  }
  std::string_view best;
  std::size_t most = 0;
  for (const auto& [name, count] : votes) {
    if (count > most) {
      best = name;
      most = count;
    }
  }
  return std::string(best);
}

std::int32_t Group::rebalance_timeout_ms() const {
  std::int32_t longest = 0;
  for (const auto& [member_id, member] : members) longest = std::max(longest, member.rebalance_timeout_ms);
  return longest;
}

void Group::check() const {
  std::size_t waiting = 0;
  for (const auto& [member_id, member] : members) waiting += member.join != 0 ? 1 : 0;
  ENSURE(waiting == awaiting_join_count, "group {}: {} members wait, {} are counted", id, waiting, awaiting_join_count);
  for (const auto& [instance, member_id] : static_ids) {
    ENSURE(members.contains(member_id), "group {}: static member {} is {}, which is not there", id, instance, member_id);
  }
  ENSURE(state != State::empty || members.empty(), "group {} is empty and has members", id);
  ENSURE(members.empty() || members.contains(leader), "group {}: the leader {} is no member", id, leader);
  std::map<std::string, std::size_t> counts;
  for (const auto& [member_id, member] : members) {
    for (const Protocol& protocol : member.protocols) ++counts[protocol.name];
  }
  ENSURE(counts == protocol_counts, "group {}: protocols are miscounted", id);
}

namespace {

// Kafka's ConsumerProtocol: version i16, topics as an array of strings; what follows does not matter here. All versions begin so.
bool read_topics(const bytes::Buffer& subscription, std::set<std::string>& into) {
  wire::Reader reader(subscription.view());
  if (reader.get<std::int16_t>() < 0) return false;
  const std::int64_t count = reader.get_array_count(false, 2, sizeof(std::string_view));
  for (std::int64_t i = 0; i < count && reader.ok(); ++i) into.emplace(reader.get_string(false));
  return reader.ok() && count >= 0;
}

}  // namespace

std::optional<std::set<std::string>> subscribed_topics(const Group& group) {
  if (group.protocol_type != "consumer") return std::nullopt;
  std::set<std::string> topics;
  if (group.members.empty()) return topics;
  if (!group.protocol_name) return std::nullopt;
  for (const auto& [member_id, member] : group.members) {
    if (!read_topics(member.metadata(*group.protocol_name), topics)) return std::nullopt;
  }
  return topics;
}

}  // namespace weir::groups
