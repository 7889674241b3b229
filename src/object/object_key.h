// object/object_key.h: how an object is named in the store: <hash>/<cluster>/<incarnation>/<session>/<k>/<uuid>; what a manifest
// names, its own pages too, has `m<topic id>.<partition>.<sequence>` in the place of k (docs/formats/manifest-v1.md).
// Why:        the hash spreads request load over the store's prefixes (S3 limits requests per prefix) while a sweep still needs
//             only object_key_hash_count listings; session and k tell a sweep what is decided without any read.
// Contract:   pure; parse(format(x)) == x, everything else is refused. <hash> is one hex digit of the object id.
// Tests:      object/object_key_test.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"

namespace weir::object {

inline constexpr std::size_t object_key_hash_count = 16;

struct ObjectKey {
  model::ClusterId cluster;
  std::uint64_t incarnation = 0;
  model::SessionId session;
  model::CommitNumber commit;  ///< of a manifest's object: the sequence of the edit that it was written for
  model::ObjectId id;
  std::optional<model::TopicPartition> manifest_of{};  ///< whose manifest names it; none: the keyspace does (obj/)
  bool operator==(const ObjectKey&) const = default;
};

[[nodiscard]] std::string format_object_key(const ObjectKey& key);
[[nodiscard]] std::optional<ObjectKey> parse_object_key(std::string_view text);
/// What the keys of one hash and cluster begin with, for listings; hash_index < object_key_hash_count.
[[nodiscard]] std::string object_key_prefix(std::size_t hash_index, const model::ClusterId& cluster);

}  // namespace weir::object
