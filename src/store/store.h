// store/store.h: the object store as weir uses it. Real: S3, a local directory; tests and simulation: memory, faulty.
// Contract:   keys are printable UTF-8, '/'-separated, without empty, "." or ".." parts, at most 900 bytes, 240 per part; no
// key
//             is a "directory" of another one (a/b and a/b/c) (keys.h). An object is immutable once put: weir never
//             overwrites. Calls may come from any shard and complete on the caller's reactor. Buffers handed to put() are
//             kept alive until every attempt has ended (a retried PUT never sends reused memory). A deadline of zero = none.
// Failure:    retry = not done (503, refused, budget spent); unknown_outcome = a put that may have been applied (timeout,
//             reset); exists = If-None-Match lost to *another* content (412 after our own lost reply is recognised as success
//             by the object's length and checksum); not_found; invalid = wrong bucket, credentials, key; corrupt = length or
//             checksum of what came back, or of what arrived there, is wrong; cancelled = the deadline passed with nothing
//             begun.
// Limits:     each implementation names its own: connections, attempts, token budget, timeouts.
// Tests:      store/testing/store_conformance.h runs on every implementation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/units.h"
#include "bytes/buffer.h"
#include "runtime/task.h"

namespace weir::store {

struct PutOptions {
  bool if_none_match = false;  ///< fail with exists when the key is there
  std::uint32_t crc32c = 0;    ///< of the whole body, computed by the caller before the first attempt; sent and verified
  base::MonoTime deadline{};   ///< no further attempt begins after this
};

struct GetOptions {
  base::MonoTime deadline{};
};

struct ObjectInfo {
  std::string key;
  std::uint64_t size_bytes = 0;
  std::int64_t modified_ms = 0;  ///< the store's own clock
};

struct ListPage {
  std::vector<ObjectInfo> objects;  ///< in order of key
  std::string next_start_after;     ///< empty: this was the last page
};

class Multipart;

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  /// Stores the concatenation of `body` under the key; visible whole or not at all, durable on success.
  virtual runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) = 0;
  /// Bytes [offset, offset + size); fewer only at the object's end (none when the offset is there or beyond). size 0 = to
  /// the end.
  virtual runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                         GetOptions options) = 0;
  virtual runtime::Task<base::Result<ObjectInfo>> head(std::string key, GetOptions options) = 0;
  /// Removes the keys; missing ones count as removed. Any number: split into requests of at most 1,000.
  virtual runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, GetOptions options) = 0;
  /// Up to 1,000 objects whose key begins with `prefix` and is above `start_after`.
  virtual runtime::Task<base::Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) = 0;
  /// The store's own clock now (its last Date plus the monotonic time since), when it has one: retention trusts the earlier of
  /// it and the broker's clock. On the caller's shard.
  [[nodiscard]] virtual std::optional<base::WallMs> now_ms() const { return std::nullopt; }
  /// Uploads in parts (multipart.h), of stores that have them; lives as long as the store.
  [[nodiscard]] virtual Multipart* multipart() { return nullptr; }
  /// For people: "s3://bucket/prefix at host", "/path".
  [[nodiscard]] virtual std::string description() const = 0;
  /// Ends pools and background work; after this no call may be pending.
  virtual runtime::Task<void> stop() = 0;
};

}  // namespace weir::store
