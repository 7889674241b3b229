// meta/keys.h: the names of the keyspace's keys (docs/formats/keyspace-v1.md).
// Contract:   pure. Text, so that a person can read them; numbers are zero-padded decimal, so that bytewise order is numeric.
//             parse_* give nothing for a key that no weir writes.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"

namespace weir::meta {

/// Whose settings a conf/ key holds; topics keep theirs in their own record.
enum class ConfigKind : std::uint8_t {
  broker,          ///< named by node id; the empty name: all brokers
  group,           ///< named by group id
  client_metrics,  ///< named by subscription
};

}  // namespace weir::meta

namespace weir::meta::keys {

inline constexpr std::string_view cluster = "cluster";
inline constexpr std::string_view producer_ids = "pid";
inline constexpr std::string_view topic_prefix = "topic/";
inline constexpr std::string_view session_prefix = "sess/";
inline constexpr std::string_view segments_prefix = "segs/";
inline constexpr std::string_view commit_prefix = "com/";
inline constexpr std::string_view object_prefix = "obj/";
inline constexpr std::string_view own_prefix = "own/";
inline constexpr std::string_view log_start_prefix = "start/";
inline constexpr std::string_view manifest_prefix = "man/";
inline constexpr std::string_view garbage_prefix = "gc/";
inline constexpr std::string_view deletion_prefix = "del/";
inline constexpr std::string_view config_prefix = "conf/";

[[nodiscard]] std::string topic(std::string_view name);
[[nodiscard]] std::string session(const model::SessionId& session);
[[nodiscard]] std::string segments(const model::SessionId& session);
[[nodiscard]] std::string commit(const model::SessionId& session);
[[nodiscard]] std::string object(const model::SessionId& session, model::CommitNumber commit);
[[nodiscard]] std::string own(const model::TopicPartition& partition);
[[nodiscard]] std::string own_of(const model::TopicId& topic);  ///< prefix of all of a topic's
[[nodiscard]] std::string log_start(const model::TopicPartition& partition);
[[nodiscard]] std::string log_start_of(const model::TopicId& topic);
[[nodiscard]] std::string manifest(const model::TopicPartition& partition);
[[nodiscard]] std::string manifest_of(const model::TopicId& topic);
[[nodiscard]] std::string garbage(const model::ObjectId& object);
[[nodiscard]] std::string deletion(const model::TopicId& topic);
[[nodiscard]] std::string config(ConfigKind kind, std::string_view name);

struct ConfigName {
  ConfigKind kind;
  std::string name;
};
/// "<kind>/<name>"; the name may be empty (all brokers) and may hold slashes (groups).
[[nodiscard]] std::optional<ConfigName> parse_config(std::string_view text);

/// What follows `prefix` in `key`; empty when the key does not begin with it.
[[nodiscard]] std::string_view rest(std::string_view key, std::string_view prefix);
template <class Id>
[[nodiscard]] std::optional<Id> parse_id(std::string_view text) {
  const auto id = model::Uuid::parse(text);
  if (!id) return std::nullopt;
  return Id{*id};
}
/// "<topic id>/<partition>".
[[nodiscard]] std::optional<model::TopicPartition> parse_partition(std::string_view text);
struct ObjectName {
  model::SessionId session;
  model::CommitNumber commit;
};
/// "<session id>/<commit>".
[[nodiscard]] std::optional<ObjectName> parse_object(std::string_view text);

}  // namespace weir::meta::keys
