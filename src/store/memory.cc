#include "store/memory.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

#include "bytes/crc32c.h"
#include "runtime/submit.h"
#include "store/calls.h"
#include "store/keys.h"

namespace weir::store {

using base::ErrorKind;
using base::Result;
using runtime::Task;

Result<void> MemoryStore::put_here(const std::string& key, const bytes::BufferList& body, const PutOptions& options) {
  const auto found = objects_.find(key);
  if (found != objects_.end() && options.if_none_match) return base::fail(ErrorKind::exists, fmt::format("'{}' exists", key));
  const std::uint64_t old_size = found == objects_.end() ? 0 : found->second.body.size();
  bytes::Buffer copy = join(body);
  if (stored_bytes_ - old_size + copy.size() > options_.capacity_bytes) {
    return base::fail(ErrorKind::exhausted, "the memory store is full");
  }
  if (bytes::crc32c(copy.view()) != options.crc32c) {
    return base::fail(ErrorKind::corrupt, fmt::format("the body of '{}' does not have the checksum given with it", key));
  }
  stored_bytes_ = stored_bytes_ - old_size + copy.size();
  objects_[key] = Object{.body = std::move(copy), .modified_ms = home_.wall_now_ms()};
  return {};
}

Task<Result<void>> MemoryStore::put(std::string key, bytes::BufferList body, PutOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("put");
  co_return co_await runtime::submit_to(home_, [this, &key, &body, &options] { return put_here(key, body, options); });
}

Task<Result<bytes::Buffer>> MemoryStore::get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                             GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("get");
  co_return co_await runtime::submit_to(home_, [this, &key, offset_bytes, size_bytes]() -> Result<bytes::Buffer> {
    const auto found = objects_.find(key);
    if (found == objects_.end()) return base::fail(ErrorKind::not_found, fmt::format("'{}' does not exist", key));
    const bytes::Buffer& body = found->second.body;
    if (offset_bytes >= body.size()) return bytes::Buffer();
    const std::uint64_t left = body.size() - offset_bytes;
    return body.slice(offset_bytes, size_bytes == 0 ? left : std::min(left, size_bytes));
  });
}

Task<Result<ObjectInfo>> MemoryStore::head(std::string key, GetOptions options) {
  WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("head");
  co_return co_await runtime::submit_to(home_, [this, &key]() -> Result<ObjectInfo> {
    const auto found = objects_.find(key);
    if (found == objects_.end()) return base::fail(ErrorKind::not_found, fmt::format("'{}' does not exist", key));
    return ObjectInfo{.key = key, .size_bytes = found->second.body.size(), .modified_ms = found->second.modified_ms};
  });
}

Task<Result<void>> MemoryStore::remove(std::vector<std::string> keys, GetOptions options) {
  for (const std::string& key : keys) WEIR_CO_TRY(check_key(key));
  if (past(options.deadline)) co_return too_late("removal");
  co_return co_await runtime::submit_to(home_, [this, &keys]() -> Result<void> {
    for (const std::string& key : keys) {
      const auto found = objects_.find(key);
      if (found == objects_.end()) continue;
      stored_bytes_ -= found->second.body.size();
      objects_.erase(found);
    }
    return {};
  });
}

ListPage MemoryStore::list_here(const std::string& prefix, const std::string& start_after) const {
  ListPage page;
  auto at = start_after < prefix ? objects_.lower_bound(prefix) : objects_.upper_bound(start_after);
  for (; at != objects_.end() && at->first.starts_with(prefix); ++at) {
    if (page.objects.size() == request_objects_max) {
      page.next_start_after = page.objects.back().key;
      break;
    }
    page.objects.push_back({.key = at->first, .size_bytes = at->second.body.size(), .modified_ms = at->second.modified_ms});
  }
  return page;
}

Task<Result<ListPage>> MemoryStore::list(std::string prefix, std::string start_after, GetOptions options) {
  if (past(options.deadline)) co_return too_late("list");
  co_return co_await runtime::submit_to(
      home_, [this, &prefix, &start_after]() -> Result<ListPage> { return list_here(prefix, start_after); });
}

Task<void> MemoryStore::stop() { co_return; }

bool MemoryStore::flip_bit(const std::string& key, std::uint64_t offset_bytes, unsigned bit) {
  const auto found = objects_.find(key);
  if (found == objects_.end() || offset_bytes >= found->second.body.size()) return false;
  // Readers may hold slices of the old bytes: the damaged copy is a new one.
  bytes::SlabRef slab = bytes::SlabRef::allocate(found->second.body.size());
  std::memcpy(slab.writable().data(), found->second.body.data(), found->second.body.size());
  slab.writable()[offset_bytes] ^= std::byte(1U << (bit % 8U));
  const std::size_t size = slab.size();
  found->second.body = bytes::Buffer(std::move(slab), 0, size);
  return true;
}

}  // namespace weir::store
