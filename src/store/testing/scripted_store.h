// store/testing/scripted_store.h: a memory store whose every call a test can delay, refuse, or let succeed unseen.
// Contract:   one reactor. The hooks are asked before each call; unset: no fault. Calls are counted and their keys kept.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "runtime/sync.h"
#include "store/memory.h"
#include "store/multipart.h"

namespace weir::store::testing {

enum class Fault : std::uint8_t {
  none,
  refuse,      ///< not done, and said so (retry)
  drop,        ///< not done, outcome unknown
  lose_reply,  ///< done, outcome unknown
};

/// Uploads in parts that somebody else began; nothing can be added to them.
class ScriptedUploads final : public Multipart {
 public:
  std::vector<MultipartUpload> under_way;
  std::optional<base::ErrorKind> refuse;  ///< every call, with this
  std::size_t page_size = 1000;

  runtime::Task<base::Result<MultipartUpload>> begin(std::string, GetOptions) override { std::abort(); }
  runtime::Task<base::Result<UploadPart>> put_part(MultipartUpload, std::uint32_t, bytes::BufferList, PutOptions) override {
    std::abort();
  }
  runtime::Task<base::Result<void>> complete(MultipartUpload, std::vector<UploadPart>, GetOptions) override { std::abort(); }
  runtime::Task<base::Result<void>> abort(MultipartUpload upload, GetOptions) override {
    if (refuse) co_return base::fail(*refuse, "refused");
    std::erase_if(under_way, [&](const MultipartUpload& one) { return one.id == upload.id; });
    co_return base::Result<void>{};
  }
  runtime::Task<base::Result<UploadPage>> list(std::string, std::string, std::string after_id, GetOptions) override {
    if (refuse) co_return base::fail(*refuse, "refused");
    UploadPage page;
    for (const MultipartUpload& one : under_way) {  // in order of their ids
      if (one.id <= after_id) continue;
      if (page.uploads.size() == page_size) {
        page.next_key = page.uploads.back().key;
        page.next_id = page.uploads.back().id;
        break;
      }
      page.uploads.push_back(one);
    }
    co_return page;
  }
};

class ScriptedStore final : public ObjectStore {
 public:
  explicit ScriptedStore(runtime::Reactor& home) : memory(home) {}

  std::function<Fault(const std::string& key)> on_put;
  std::function<Fault(const std::string& key)> on_get;
  std::function<Fault(const std::vector<std::string>& keys)> on_remove;
  std::function<Fault(const std::string& prefix)> on_list;
  base::Duration put_delay{};

  runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) override {
    puts.push_back(key);
    if (put_delay > base::Duration::zero()) co_await runtime::sleep_for(put_delay);
    const Fault fault = on_put ? on_put(key) : Fault::none;
    if (fault == Fault::refuse) co_return base::fail(base::ErrorKind::retry, "the store is down");
    if (fault == Fault::drop) co_return base::fail(base::ErrorKind::unknown_outcome, "timed out");
    base::Result<void> result = co_await memory.put(key, body, options);
    if (!result && result.kind() == base::ErrorKind::exists) {
      // As the contract says: our own earlier success is recognised by its content.
      const auto there = co_await memory.get(key, 0, 0, {});
      std::string asked;
      for (const bytes::Buffer& piece : body) asked += piece.text();
      if (there && there->text() == asked) result = base::Result<void>();
    }
    if (fault == Fault::lose_reply) co_return base::fail(base::ErrorKind::unknown_outcome, "timed out");
    co_return result;
  }
  runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                 GetOptions options) override {
    if (on_get && on_get(key) != Fault::none) co_return base::fail(base::ErrorKind::retry, "the store is down");
    co_return co_await memory.get(std::move(key), offset_bytes, size_bytes, options);
  }
  runtime::Task<base::Result<ObjectInfo>> head(std::string key, GetOptions options) override {
    return memory.head(std::move(key), options);
  }
  runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, GetOptions options) override {
    const Fault fault = on_remove ? on_remove(keys) : Fault::none;
    if (fault == Fault::refuse || fault == Fault::drop) co_return base::fail(base::ErrorKind::retry, "the store is down");
    removed.insert(removed.end(), keys.begin(), keys.end());
    base::Result<void> result = co_await memory.remove(std::move(keys), options);
    if (fault == Fault::lose_reply) co_return base::fail(base::ErrorKind::unknown_outcome, "timed out");
    co_return result;
  }
  runtime::Task<base::Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) override {
    if (on_list && on_list(prefix) != Fault::none) co_return base::fail(base::ErrorKind::retry, "the store is down");
    co_return co_await memory.list(std::move(prefix), std::move(start_after), options);
  }
  [[nodiscard]] std::optional<base::WallMs> now_ms() const override { return clock_ms; }
  [[nodiscard]] Multipart* multipart() override { return &uploads; }
  [[nodiscard]] std::string description() const override { return "scripted"; }
  runtime::Task<void> stop() override { return memory.stop(); }

  MemoryStore memory;
  ScriptedUploads uploads;
  std::optional<base::WallMs> clock_ms;
  std::vector<std::string> puts;     ///< keys, in order of calls
  std::vector<std::string> removed;  ///< keys, in order of calls that were done
};

}  // namespace weir::store::testing
