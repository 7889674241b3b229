#include "sim/run/manifests.h"

#include "meta/codec.h"
#include "meta/keys.h"
#include "object/manifest.h"
#include "object/object_key.h"

namespace weir::sim {
namespace {

bytes::Bytes part_of(const Bucket& bucket, const std::string& key, std::uint64_t position, std::uint64_t size_bytes) {
  const auto found = bucket.objects().find(key);
  if (found == bucket.objects().end()) return {};
  const bytes::Bytes body = found->second.body.view();
  if (position > body.size() || size_bytes > body.size() - position) return {};
  return body.subspan(position, size_bytes);
}

keyspace::KeyValue value_of(const std::string& key, const KeyspaceState::Entry& entry) {
  keyspace::KeyValue value;
  value.key = key;
  value.value = entry.value;
  value.mod_revision = entry.mod_revision;
  return value;
}

// The manifest of a deleted topic names nothing, though its key may stay until the next start.
bool topic_exists(const Cluster& cluster, const model::TopicId& id) {
  for (const auto& [key, entry] : cluster.keyspace.entries()) {
    if (!key.starts_with(meta::keys::topic_prefix)) continue;
    const auto topic = meta::decode_topic(value_of(key, entry));
    if (topic && topic->id == id) return true;
  }
  return false;
}

}  // namespace

Named named_by_manifest(const Cluster& cluster, const std::string& key) {
  const auto name = object::parse_object_key(key);
  if (!name || !name->manifest_of) return Named::no;
  const std::string manifest_key = meta::keys::manifest(*name->manifest_of);
  const auto entry = cluster.keyspace.entries().find(manifest_key);
  if (entry == cluster.keyspace.entries().end()) return Named::no;
  if (!topic_exists(cluster, name->manifest_of->topic)) return Named::no;
  const auto record = meta::decode_manifest(value_of(manifest_key, entry->second));
  if (!record) return Named::unreadable;
  if (record->key == key) return Named::yes;
  const auto page = object::parse_object_key(record->key);
  if (!page) return Named::unreadable;
  const object::ManifestIdentity identity{.cluster = name->cluster, .partition = *name->manifest_of};
  object::PagePlace place{
      .page = {.incarnation = page->incarnation, .session = page->session, .sequence = page->commit.value(), .id = page->id},
      .position = record->root_position,
      .size_bytes = record->root_bytes,
      .crc = record->root_crc};
  const auto root = object::parse_root(part_of(cluster.bucket, record->key, place.position, place.size_bytes), place, identity);
  if (!root) return Named::unreadable;
  for (const object::LeafRef& ref : root->leaves) {
    const std::string leaf_key = object::format_object_key(ref.page.key(identity));
    if (leaf_key == key) return Named::yes;
    const auto leaf = object::parse_leaf(part_of(cluster.bucket, leaf_key, ref.position, ref.size_bytes), ref, identity);
    if (!leaf) return Named::unreadable;
    for (const object::ManifestEntry& object : leaf->entries) {
      if (object::format_object_key(object.object.key(identity)) == key) return Named::yes;
    }
  }
  return Named::no;
}

}  // namespace weir::sim
