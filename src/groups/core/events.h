// groups/core/events.h: what can happen to a group, and what comes of it.
// Contract:   plain values; events own what they carry (they cross shards and outlive the request's frame).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "groups/core/types.h"

namespace weir::groups {

// --- requests ---

struct Join {
  Ticket ticket = 0;
  std::string member_id;  ///< empty: a new member
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::int32_t rebalance_timeout_ms = 0;
  std::int32_t session_timeout_ms = 0;
  std::string protocol_type;
  std::vector<Protocol> protocols;
  bool id_required = false;     ///< a dynamic member must come back with the id it is given (KIP-394)
  bool skip_supported = false;  ///< it knows skip_assignment
  std::string fresh_id;         ///< for a new member: a unique id
};

struct Sync {
  Ticket ticket = 0;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::map<std::string, bytes::Buffer> assignments;  ///< of the leader
};

struct Heartbeat {
  Ticket ticket = 0;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
};

struct Leave {
  Ticket ticket = 0;
  struct Leaving {
    std::string member_id;
    std::optional<std::string> instance_id;
  };
  std::vector<Leaving> members;
};

struct Commit {
  Ticket ticket = 0;
  std::string member_id;
  std::optional<std::string> instance_id;
  std::int32_t generation = -1;
  std::int64_t retention_ms = -1;  ///< -1: the broker's
  struct Item {
    TopicIndex at;
    model::Offset offset;
    model::LeaderEpoch leader_epoch{-1};
    std::string metadata;
  };
  std::vector<Item> items;
};

/// DeleteGroups.
struct Remove {
  Ticket ticket = 0;
};

/// OffsetDelete.
struct RemoveOffsets {
  Ticket ticket = 0;
  std::vector<TopicIndex> offsets;
};

// --- what time and the log bring ---

struct Tick {};
/// The retention check.
struct Expire {};
struct TopicDeleted {
  std::string topic;
};
struct Written {
  WriteId write = 0;
  Errc error = Errc::none;  ///< anything else: certainly not stored
};

using Event = std::variant<Join, Sync, Heartbeat, Leave, Commit, Remove, RemoveOffsets, Tick, Expire, TopicDeleted, Written>;

// --- answers ---

struct JoinAnswer {
  Errc error = Errc::none;
  std::string member_id;
  std::int32_t generation = -1;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  std::string leader;
  bool skip_assignment = false;
  struct Peer {
    std::string member_id;
    std::optional<std::string> instance_id;
    bytes::Buffer metadata;
  };
  std::vector<Peer> members;  ///< for the leader
};

struct SyncAnswer {
  Errc error = Errc::none;
  std::optional<std::string> protocol_type;
  std::optional<std::string> protocol_name;
  bytes::Buffer assignment;
};

struct PlainAnswer {
  Errc error = Errc::none;
};

/// One error for all, or one each in the order of the request.
struct ListAnswer {
  Errc error = Errc::none;
  std::vector<Errc> each;
};

using Answer = std::variant<JoinAnswer, SyncAnswer, PlainAnswer, ListAnswer>;

struct Effects {
  std::vector<std::pair<Ticket, Answer>> answers;
  struct Write {
    WriteId id = 0;
    std::vector<Record> records;
  };
  std::vector<Write> writes;
  base::MonoTime wake = base::MonoTime::max();  ///< step() wants a Tick then, at the latest
};

}  // namespace weir::groups
