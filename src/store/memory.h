// store/memory.h: an object store in this process's memory, for tests.
// Contract:   linearizable: every call runs on the reactor it was made with. Nothing is durable. Bodies are copied on put, so a
//             test that scribbles over its buffers afterwards finds out whether anybody relied on them.
// Failure:    bytes above `capacity_bytes` = exhausted.
// Tests:      store/memory_test.cc (the conformance suite)
#pragma once

#include <map>
#include <string>

#include "runtime/runtime.h"
#include "store/store.h"

namespace weir::store {

struct MemoryStoreOptions {
  std::uint64_t capacity_bytes = std::uint64_t{1} << 40U;
};

class MemoryStore final : public ObjectStore {
 public:
  explicit MemoryStore(runtime::Reactor& home, MemoryStoreOptions options = {}) : home_(home), options_(options) {}
  runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) override;
  runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                 GetOptions options) override;
  runtime::Task<base::Result<ObjectInfo>> head(std::string key, GetOptions options) override;
  runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, GetOptions options) override;
  runtime::Task<base::Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) override;
  [[nodiscard]] std::string description() const override { return "memory"; }
  runtime::Task<void> stop() override;

  /// For tests, on the home reactor: flips one bit of a stored byte. False when the key or byte is not there.
  bool flip_bit(const std::string& key, std::uint64_t offset_bytes, unsigned bit);
  /// On the home reactor.
  [[nodiscard]] std::uint64_t stored_bytes() const { return stored_bytes_; }
  [[nodiscard]] std::size_t object_count() const { return objects_.size(); }

 private:
  struct Object {
    bytes::Buffer body;
    std::int64_t modified_ms = 0;
  };
  base::Result<void> put_here(const std::string& key, const bytes::BufferList& body, const PutOptions& options);
  ListPage list_here(const std::string& prefix, const std::string& start_after) const;

  runtime::Reactor& home_;
  MemoryStoreOptions options_;
  std::map<std::string, Object> objects_;
  std::uint64_t stored_bytes_ = 0;
};

}  // namespace weir::store
