#include "meta/keys.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/core.h>

namespace weir::meta::keys {
namespace {

constexpr std::size_t id_text_bytes = 22;
constexpr std::array<std::string_view, 3> kind_names = {"broker", "group", "metrics"};  // by ConfigKind

// Exactly `digits` decimal digits.
std::optional<std::uint64_t> parse_number(std::string_view text, std::size_t digits) {
  if (text.size() != digits) return std::nullopt;
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string topic(std::string_view name) { return fmt::format("{}{}", topic_prefix, name); }
std::string session(const model::SessionId& session) { return fmt::format("{}{}", session_prefix, session.to_string()); }
std::string segments(const model::SessionId& session) { return fmt::format("{}{}", segments_prefix, session.to_string()); }
std::string commit(const model::SessionId& session) { return fmt::format("{}{}", commit_prefix, session.to_string()); }
std::string object(const model::SessionId& session, model::CommitNumber commit) {
  return fmt::format("{}{}/{:020}", object_prefix, session.to_string(), commit.value());
}
std::string own_of(const model::TopicId& topic) { return fmt::format("{}{}/", own_prefix, topic.to_string()); }
std::string own(const model::TopicPartition& partition) {
  return fmt::format("{}{:010}", own_of(partition.topic), partition.partition.value());
}
std::string log_start_of(const model::TopicId& topic) { return fmt::format("{}{}/", log_start_prefix, topic.to_string()); }
std::string log_start(const model::TopicPartition& partition) {
  return fmt::format("{}{:010}", log_start_of(partition.topic), partition.partition.value());
}
std::string manifest_of(const model::TopicId& topic) { return fmt::format("{}{}/", manifest_prefix, topic.to_string()); }
std::string manifest(const model::TopicPartition& partition) {
  return fmt::format("{}{:010}", manifest_of(partition.topic), partition.partition.value());
}
std::string garbage(const model::ObjectId& object) { return fmt::format("{}{}", garbage_prefix, object.to_string()); }
std::string deletion(const model::TopicId& topic) { return fmt::format("{}{}", deletion_prefix, topic.to_string()); }
std::string config(ConfigKind kind, std::string_view name) {
  return fmt::format("{}{}/{}", config_prefix, kind_names[static_cast<std::size_t>(kind)], name);
}

std::string_view rest(std::string_view key, std::string_view prefix) {
  return key.starts_with(prefix) ? key.substr(prefix.size()) : std::string_view();
}

std::optional<model::TopicPartition> parse_partition(std::string_view text) {
  if (text.size() <= id_text_bytes || text[id_text_bytes] != '/') return std::nullopt;
  const auto topic = parse_id<model::TopicId>(text.substr(0, id_text_bytes));
  const auto index = parse_number(text.substr(id_text_bytes + 1), 10);
  if (!topic || !index || *index > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return model::TopicPartition{.topic = *topic, .partition = model::PartitionIndex(static_cast<std::int32_t>(*index))};
}

std::optional<ConfigName> parse_config(std::string_view text) {
  for (std::size_t i = 0; i < kind_names.size(); ++i) {
    const std::string_view kind = kind_names[i];
    if (text.size() > kind.size() && text.starts_with(kind) && text[kind.size()] == '/') {
      return ConfigName{.kind = static_cast<ConfigKind>(i), .name = std::string(text.substr(kind.size() + 1))};
    }
  }
  return std::nullopt;
}

std::optional<ObjectName> parse_object(std::string_view text) {
  if (text.size() <= id_text_bytes || text[id_text_bytes] != '/') return std::nullopt;
  const auto session = parse_id<model::SessionId>(text.substr(0, id_text_bytes));
  const auto number = parse_number(text.substr(id_text_bytes + 1), 20);
  if (!session || !number) return std::nullopt;
  return ObjectName{.session = *session, .commit = model::CommitNumber(*number)};
}

}  // namespace weir::meta::keys
