#include "object/object_key.h"

#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

#include "base/ensure.h"

namespace weir::object {
namespace {

std::size_t hash_of(const model::ObjectId& id) { return id.bytes[15] % object_key_hash_count; }

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// k, or m<topic id>.<partition>.<sequence>.
struct Number {
  std::uint64_t value = 0;
  std::optional<model::TopicPartition> manifest_of;
};
std::optional<Number> parse_commit(std::string_view text) {
  Number number;
  if (text.starts_with('m')) {
    const std::size_t last = text.rfind('.');
    const std::size_t middle = last == std::string_view::npos || last == 0 ? last : text.rfind('.', last - 1);
    if (last == std::string_view::npos || middle == std::string_view::npos) return std::nullopt;
    const std::optional<model::Uuid> topic = model::Uuid::parse(text.substr(1, middle - 1));
    const std::optional<std::uint64_t> index = parse_number(text.substr(middle + 1, last - middle - 1));
    if (!topic || !index || *index > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
    number.manifest_of = model::TopicPartition{.topic = model::TopicId{*topic},
                                               .partition = model::PartitionIndex(static_cast<std::int32_t>(*index))};
    text.remove_prefix(last + 1);
  }
  const std::optional<std::uint64_t> value = parse_number(text);
  if (!value) return std::nullopt;
  number.value = *value;
  return number;
}

}  // namespace

std::string object_key_prefix(std::size_t hash_index, const model::ClusterId& cluster) {
  ENSURE(hash_index < object_key_hash_count, "hash {} of {}", hash_index, object_key_hash_count);
  return fmt::format("{:x}/{}/", hash_index, cluster.to_string());
}

std::string format_object_key(const ObjectKey& key) {
  std::string number = fmt::format("{}", key.commit.value());
  if (key.manifest_of) {
    number = fmt::format("m{}.{}.{}", key.manifest_of->topic.to_string(), key.manifest_of->partition.value(), number);
  }
  return fmt::format("{}{}/{}/{}/{}", object_key_prefix(hash_of(key.id), key.cluster), key.incarnation, key.session.to_string(),
                     number, key.id.to_string());
}

std::optional<ObjectKey> parse_object_key(std::string_view text) {
  constexpr std::size_t part_count = 6;
  std::array<std::string_view, part_count> parts;
  std::string_view rest = text;
  for (std::size_t i = 0; i + 1 < part_count; ++i) {
    const std::size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    parts[i] = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
  }
  parts[part_count - 1] = rest;
  const std::optional<model::Uuid> cluster = model::Uuid::parse(parts[1]);
  const std::optional<std::uint64_t> incarnation = parse_number(parts[2]);
  const std::optional<model::Uuid> session = model::Uuid::parse(parts[3]);
  const std::optional<Number> commit = parse_commit(parts[4]);
  const std::optional<model::Uuid> id = model::Uuid::parse(parts[5]);
  if (!cluster || !incarnation || !session || !commit || !id) return std::nullopt;
  const ObjectKey key{.cluster = model::ClusterId{*cluster},
                      .incarnation = *incarnation,
                      .session = model::SessionId{*session},
                      .commit = model::CommitNumber(commit->value),
                      .id = model::ObjectId{*id},
                      .manifest_of = commit->manifest_of};
  // One spelling only: a name that reads the same but is written differently is not ours.
  if (format_object_key(key) != text) return std::nullopt;
  return key;
}

}  // namespace weir::object
