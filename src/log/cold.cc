#include "log/cold.h"

#include <algorithm>

#include "base/ensure.h"

namespace weir::log {

using base::ErrorKind;
using base::fail;

namespace {
constexpr std::size_t verify_attempts_max = 2;  ///< what came damaged once may be whole when it is asked for again
constexpr std::uint64_t part_overhead_bytes = 256;
}  // namespace

ColdIndex::ColdIndex(const Doors& doors, std::uint64_t capacity_bytes)
    : doors_(doors), capacity_bytes_(capacity_bytes), loads_(doors.options.catchup.finds_inflight_max) {}

std::shared_ptr<const void> ColdIndex::find(const Key& key) {
  const auto found = parts_.find(key);
  if (found == parts_.end()) return nullptr;
  ages_.splice(ages_.end(), ages_, found->second.age);
  return found->second.value;
}

void ColdIndex::keep(const Key& key, std::shared_ptr<const void> value, std::uint64_t bytes) {
  ENSURE(!parts_.contains(key), "a part of object {} is kept twice", key.first.to_string());
  bytes += part_overhead_bytes;
  const auto age = ages_.insert(ages_.end(), key);
  parts_.emplace(key, Part{.value = std::move(value), .bytes = bytes, .age = age});
  used_bytes_ += bytes;
  while (used_bytes_ > capacity_bytes_ && !ages_.empty()) {
    const auto oldest = parts_.find(ages_.front());
    used_bytes_ -= oldest->second.bytes;
    parts_.erase(oldest);
    ages_.pop_front();
  }
}

runtime::Task<bool> ColdIndex::begin_load(Key key, base::MonoTime deadline) {
  while (loading_.contains(key)) {
    if (co_await loaded_.wait(deadline, nullptr) == runtime::Wake::timeout) co_return false;
  }
  loading_.insert(key);
  co_return true;
}

void ColdIndex::loaded(const Key& key) {
  loading_.erase(key);
  loaded_.pulse();
}

runtime::Task<base::Result<LeafPtr>> ColdIndex::leaf(object::ManifestIdentity identity, object::LeafRef ref,
                                                     base::MonoTime deadline) {
  const Key key{ref.page.id, ref.position};
  if (auto cached = find(key)) co_return std::static_pointer_cast<const object::Leaf>(cached);
  if (!co_await begin_load(key, deadline)) co_return fail(ErrorKind::retry, "a manifest's leaf is still being read");
  if (auto cached = find(key)) {  // somebody else was first
    loaded(key);
    co_return std::static_pointer_cast<const object::Leaf>(cached);
  }
  co_await loads_.acquire(1);
  auto result = co_await load_leaf(identity, ref, deadline);
  loads_.release(1);
  if (result) {
    std::uint64_t bytes = (*result)->entries.size() * sizeof(object::ManifestEntry);
    for (const object::ManifestEntry& entry : (*result)->entries) bytes += entry.aborted.size() * sizeof(object::AbortedSpan);
    keep(key, *result, bytes);
  }
  loaded(key);
  co_return result;
}

runtime::Task<base::Result<ColdExtentPtr>> ColdIndex::object(object::ManifestIdentity identity, object::ManifestEntry entry,
                                                             base::MonoTime deadline) {
  const Key key{entry.object.id, entry.footer_position};
  if (auto cached = find(key)) co_return std::static_pointer_cast<const ColdExtent>(cached);
  if (!co_await begin_load(key, deadline)) co_return fail(ErrorKind::retry, "an object's footer is still being read");
  if (auto cached = find(key)) {
    loaded(key);
    co_return std::static_pointer_cast<const ColdExtent>(cached);
  }
  co_await loads_.acquire(1);
  auto result = co_await load_object(identity, std::move(entry), deadline);
  loads_.release(1);
  if (result) {
    keep(key, *result,
         (*result)->extent.blocks.size() * sizeof(object::BlockRef) + (*result)->aborted.size() * sizeof(object::AbortedSpan));
  }
  loaded(key);
  co_return result;
}

runtime::Task<base::Result<LeafPtr>> ColdIndex::load_leaf(object::ManifestIdentity identity, object::LeafRef ref,
                                                          base::MonoTime deadline) {
  const std::string key = object::format_object_key(ref.page.key(identity));
  for (std::size_t attempt = 1;; ++attempt) {
    WEIR_CO_TRY_ASSIGN(const bytes::Buffer data,
                       co_await doors_.store.get(key, ref.position, ref.size_bytes, {.deadline = deadline}));
    auto leaf = object::parse_leaf(data.view(), ref, identity);
    if (leaf) co_return std::make_shared<const object::Leaf>(std::move(*leaf));
    if (attempt == verify_attempts_max) {
      doors_.runtime.log->error("log", "a manifest's leaf is damaged",
                                {{"key", key},
                                 {"topic", identity.partition.topic.to_string()},
                                 {"partition", identity.partition.partition.value()},
                                 {"from", ref.base_offset.value()},
                                 {"to", ref.end_offset.value()},
                                 {"error", leaf.error().text}});
      co_return std::unexpected(std::move(leaf).error());
    }
  }
}

runtime::Task<base::Result<ColdExtentPtr>> ColdIndex::load_object(object::ManifestIdentity identity,
                                                                  object::ManifestEntry entry, base::MonoTime deadline) {
  const std::string key = object::format_object_key(entry.object.key(identity));
  for (std::size_t attempt = 1;; ++attempt) {
    WEIR_CO_TRY_ASSIGN(const bytes::Buffer data,
                       co_await doors_.store.get(key, entry.footer_position, entry.footer_bytes, {.deadline = deadline}));
    auto footer =
        object::parse_footer(data.view(), entry.footer_position, {.cluster = identity.cluster, .object = entry.object.id});
    base::Error wrong;
    if (!footer) {
      wrong = footer.error();
    } else if (footer->entries.size() != 1 || footer->entries[0].partition != identity.partition ||
               footer->entries[0].base_offset != entry.base_offset || footer->entries[0].end_offset != entry.end_offset) {
      wrong = {.kind = ErrorKind::corrupt, .text = "its footer is not what the manifest says"};
    } else {
      auto object = std::make_shared<const meta::ObjectRecord>(meta::ObjectRecord{.session = entry.object.session,
                                                                                  .id = entry.object.id,
                                                                                  .key = key,
                                                                                  .size_bytes = entry.size_bytes,
                                                                                  .footer_position = entry.footer_position,
                                                                                  .footer_bytes = entry.footer_bytes,
                                                                                  .footer_crc = entry.footer_crc,
                                                                                  .created_ms = entry.created_ms});
      object::PartitionEntry& found = footer->entries[0];
      co_return std::make_shared<const ColdExtent>(ColdExtent{.extent = {.object = std::move(object),
                                                                         .base = found.base_offset,
                                                                         .end = found.end_offset,
                                                                         .payload_bytes = found.payload_bytes,
                                                                         .max_timestamp = found.max_timestamp,
                                                                         .running_max_timestamp = found.max_timestamp,
                                                                         .blocks = std::move(found.blocks)},
                                                              .aborted = std::move(entry.aborted)});
    }
    if (attempt == verify_attempts_max) {
      doors_.runtime.log->error("log", "an object's footer is damaged",
                                {{"key", key},
                                 {"topic", identity.partition.topic.to_string()},
                                 {"partition", identity.partition.partition.value()},
                                 {"from", entry.base_offset.value()},
                                 {"to", entry.end_offset.value()},
                                 {"error", wrong.text}});
      co_return std::unexpected(std::move(wrong));
    }
  }
}

}  // namespace weir::log
