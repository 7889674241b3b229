#include "object/object_key.h"

#include <array>
#include <charconv>

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

}  // namespace

std::string object_key_prefix(std::size_t hash_index, const model::ClusterId& cluster) {
  ENSURE(hash_index < object_key_hash_count, "hash {} of {}", hash_index, object_key_hash_count);
  return fmt::format("{:x}/{}/", hash_index, cluster.to_string());
}

std::string format_object_key(const ObjectKey& key) {
  return fmt::format("{}{}/{}/{}/{}", object_key_prefix(hash_of(key.id), key.cluster), key.incarnation, key.session.to_string(),
                     key.commit.value(), key.id.to_string());
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
  const std::optional<std::uint64_t> commit = parse_number(parts[4]);
  const std::optional<model::Uuid> id = model::Uuid::parse(parts[5]);
  if (!cluster || !incarnation || !session || !commit || !id) return std::nullopt;
  const ObjectKey key{.cluster = model::ClusterId{*cluster},
                      .incarnation = *incarnation,
                      .session = model::SessionId{*session},
                      .commit = model::CommitNumber(*commit),
                      .id = model::ObjectId{*id}};
  // One spelling only: a name that reads the same but is written differently is not ours.
  if (format_object_key(key) != text) return std::nullopt;
  return key;
}

}  // namespace weir::object
