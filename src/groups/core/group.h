// groups/core/group.h: one group as its coordinator knows it: members, generation, who waits for what.
// Why:        this is the part that a restart may lose (clients join again); what must survive is in stored.h and changes only
//             there, by apply().
// Contract:   plain data, changed by step() (core/step.h) alone.
// Invariants: awaiting_join_count = members with a join ticket; protocol_counts = members per protocol name; static_ids names
//             present members (check() asserts all three).
// Limits:     group.max.size members; one waiting join and one waiting sync per member.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "groups/core/events.h"
#include "groups/core/transitions.h"
#include "groups/core/types.h"

namespace weir::groups {

/// Kafka's kinds of groups. The classic protocol is the only one that is served; the others have their place here.
enum class GroupType : std::uint8_t { classic, consumer, share, streams };

struct Member {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::int32_t rebalance_timeout_ms = 0;
  std::int32_t session_timeout_ms = 0;
  std::vector<Protocol> protocols;  ///< best first
  bytes::Buffer assignment;
  Ticket join = 0;
  Ticket sync = 0;
  bool is_new = false;          ///< it joined and has not got an answer yet
  base::MonoTime deadline{};    ///< of its session
  std::uint64_t joined_at = 0;  ///< order of first joining, so that choices do not hang on ids
  [[nodiscard]] const bytes::Buffer& metadata(std::string_view protocol) const;
  [[nodiscard]] bool matches(const std::vector<Protocol>& others) const;
};

/// Records of a group on their way to the log, and what happens when they are there.
struct PendingWrite {
  enum class Kind : std::uint8_t { commit, assignment, static_member, empty_group, removal, offsets_removed };
  Kind kind = Kind::commit;
  Ticket ticket = 0;
  std::int32_t generation = 0;                       ///< assignment
  std::map<std::string, bytes::Buffer> assignments;  ///< assignment: by member
  // static_member: what to go back to
  std::string new_member;
  std::string old_member;
  std::vector<Protocol> old_protocols;
  std::int32_t old_rebalance_timeout_ms = 0;
  std::int32_t old_session_timeout_ms = 0;
  JoinAnswer join;               ///< static_member: the answer when it is stored
  std::vector<Errc> partitions;  ///< commit, offsets_removed: by partition, as they were judged
};

struct Group {
  std::string id;
  GroupType type = GroupType::classic;
  State state = State::empty;
  State previous = State::empty;
  base::WallMs state_since = 0;
  std::int32_t generation = 0;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;  ///< empty: none
  std::map<std::string, Member> members;
  std::map<std::string, std::string> static_ids;        ///< instance id -> member id
  std::map<std::string, base::MonoTime> pending_joins;  ///< ids that were given and not used yet, until when
  std::set<std::string> pending_syncs;                  ///< who has not sent SyncGroup in this generation
  std::optional<std::set<std::string>> subscribed;      ///< topics, where the protocol tells
  std::map<std::string, std::size_t> protocol_counts;
  std::size_t awaiting_join_count = 0;
  std::uint64_t next_joined = 1;
  bool was_stored = false;        ///< some record of it has been in the log: the retention check removes it, not a whim
  bool new_member_added = false;  ///< since the initial delay was last extended

  std::optional<base::MonoTime> join_deadline;
  struct InitialDelay {
    std::int32_t delay_ms = 0;
    std::int32_t remaining_ms = 0;
  };
  std::optional<InitialDelay> initial_delay;  ///< the join deadline is the initial delay's
  std::optional<base::MonoTime> sync_deadline;

  std::map<WriteId, PendingWrite> writes;
  WriteId next_write = 1;
  base::MonoTime wake = base::MonoTime::max();  ///< when its next timer is set for; kept by the partition

  [[nodiscard]] bool simple() const { return !protocol_type.has_value(); }
  /// Every protocol that all members can use and the type fits, or the group is empty and anything goes.
  [[nodiscard]] bool supports(const std::string& wanted_type, const std::vector<Protocol>& protocols) const;
  /// The protocol with the most votes among those that all members can use. Members exist.
  [[nodiscard]] std::string select_protocol() const;
  [[nodiscard]] std::int32_t rebalance_timeout_ms() const;
  [[nodiscard]] bool everybody_joined() const { return members.size() == awaiting_join_count && pending_joins.empty(); }
  [[nodiscard]] bool is_subscribed_to(const std::string& topic) const { return subscribed && subscribed->contains(topic); }
  void check() const;
};

/// Topics of all members' subscriptions, where the protocol is the consumers' and can be read.
[[nodiscard]] std::optional<std::set<std::string>> subscribed_topics(const Group& group);

}  // namespace weir::groups
