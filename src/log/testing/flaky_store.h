// log/testing/flaky_store.h: passes calls on to another store, or fails the reads while it is told to.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "runtime/sync.h"
#include "store/store.h"

namespace weir::log::testing {

class FlakyStore final : public store::ObjectStore {
 public:
  explicit FlakyStore(store::ObjectStore& inner) : inner_(inner) {}
  bool down = false;
  std::size_t puts_left = SIZE_MAX;  ///< after as many every put fails
  bool hold_gets = false;            ///< they wait until let_gets_go()
  bool pass_gets = false;            ///< new ones do not wait
  void let_gets_go() {
    hold_gets = false;
    held_.pulse();
  }
  bool hold_puts = false;  ///< they wait until let_puts_go()
  void let_puts_go() {
    hold_puts = false;
    held_.pulse();
  }
  store::Multipart* uploads = nullptr;  ///< instead of the inner store's
  std::size_t get_count = 0;
  std::uint64_t get_bytes = 0;  ///< that they gave

  runtime::Task<base::Result<void>> put(std::string key, bytes::BufferList body, store::PutOptions options) override {
    while (hold_puts) (void)co_await held_.wait();
    if (down || puts_left == 0) co_return base::fail(base::ErrorKind::retry, "the store is down");
    if (puts_left != SIZE_MAX) --puts_left;
    co_return co_await inner_.put(std::move(key), std::move(body), options);
  }
  runtime::Task<base::Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                                 store::GetOptions options) override {
    ++get_count;
    while (hold_gets && !pass_gets) (void)co_await held_.wait();
    if (down) co_return base::fail(base::ErrorKind::retry, "the store is down");
    auto got = co_await inner_.get(std::move(key), offset_bytes, size_bytes, options);
    if (got) get_bytes += got->size();
    co_return got;
  }
  runtime::Task<base::Result<store::ObjectInfo>> head(std::string key, store::GetOptions options) override {
    co_return co_await inner_.head(std::move(key), options);
  }
  runtime::Task<base::Result<void>> remove(std::vector<std::string> keys, store::GetOptions options) override {
    co_return co_await inner_.remove(std::move(keys), options);
  }
  runtime::Task<base::Result<store::ListPage>> list(std::string prefix, std::string start_after,
                                                    store::GetOptions options) override {
    co_return co_await inner_.list(std::move(prefix), std::move(start_after), options);
  }
  [[nodiscard]] store::Multipart* multipart() override { return uploads != nullptr ? uploads : inner_.multipart(); }
  [[nodiscard]] std::string description() const override { return "flaky " + inner_.description(); }
  runtime::Task<void> stop() override { co_await inner_.stop(); }

 private:
  store::ObjectStore& inner_;
  runtime::Event held_;
};

}  // namespace weir::log::testing
