#include "store/check.h"

#include <gtest/gtest.h>

#include "store/memory.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using base::Result;
using runtime::Task;

/// A store that keeps all promises but one.
class Cheat final : public ObjectStore {
 public:
  enum class Lie : std::uint8_t {
    none,
    ignores_condition,
    says_done,
    whole_for_range,
    lists_late,
    keeps_deleted,
    empty_bucket
  };
  Cheat(runtime::Reactor& home, Lie lie) : memory_(home), lie_(lie) {}

  Task<Result<void>> put(std::string key, bytes::BufferList body, PutOptions options) override {
    if (lie_ == Lie::empty_bucket) co_return base::fail(base::ErrorKind::invalid, "NoSuchBucket");
    if (lie_ == Lie::ignores_condition) options.if_none_match = false;
    newest_ = key;
    auto done = co_await memory_.put(std::move(key), std::move(body), options);
    if (!done && lie_ == Lie::says_done) co_return Result<void>{};
    co_return done;
  }
  Task<Result<bytes::Buffer>> get(std::string key, std::uint64_t offset_bytes, std::uint64_t size_bytes,
                                  GetOptions options) override {
    if (lie_ == Lie::whole_for_range) offset_bytes = size_bytes = 0;
    return memory_.get(std::move(key), offset_bytes, size_bytes, options);
  }
  Task<Result<ObjectInfo>> head(std::string key, GetOptions options) override { return memory_.head(std::move(key), options); }
  Task<Result<void>> remove(std::vector<std::string> keys, GetOptions options) override {
    if (lie_ == Lie::keeps_deleted) keys.pop_back();
    return memory_.remove(std::move(keys), options);
  }
  Task<Result<ListPage>> list(std::string prefix, std::string start_after, GetOptions options) override {
    auto page = co_await memory_.list(std::move(prefix), std::move(start_after), options);
    if (page && lie_ == Lie::lists_late) std::erase_if(page->objects, [this](const ObjectInfo& o) { return o.key == newest_; });
    co_return page;
  }
  [[nodiscard]] std::string description() const override { return "cheat"; }
  Task<void> stop() override { return memory_.stop(); }
  [[nodiscard]] std::size_t object_count() const { return memory_.object_count(); }

 private:
  MemoryStore memory_;
  Lie lie_;
  std::string newest_;
};

/// The names of the failed steps.
std::vector<std::string> failed_steps(Cheat::Lie lie, std::size_t* left = nullptr) {
  const auto machine = test_machine();
  Cheat store(machine->doors().shard(runtime::ShardId(0)), lie);
  std::vector<std::string> failed;
  machine->run_on_shard0([&]() -> Task<void> {
    return [](Cheat* cheat, std::vector<std::string>* names) -> Task<void> {
      for (const CheckStep& step : co_await check_store(cheat, "some/prefix/", {})) {
        if (!step.ok) names->push_back(step.name);
      }
      co_await cheat->stop();
    }(&store, &failed);
  });
  if (left != nullptr) *left = store.object_count();
  return failed;
}

using Names = std::vector<std::string>;

TEST(CheckStore, AnHonestStorePassesAndIsLeftClean) {
  std::size_t left = 1;
  EXPECT_EQ(failed_steps(Cheat::Lie::none, &left), Names());
  EXPECT_EQ(left, 0U);
}

TEST(CheckStore, NamesEachLie) {
  EXPECT_EQ(failed_steps(Cheat::Lie::ignores_condition), (Names{"conditional put", "race of conditional puts"}));
  EXPECT_EQ(failed_steps(Cheat::Lie::says_done), (Names{"conditional put", "race of conditional puts"}));
  EXPECT_EQ(failed_steps(Cheat::Lie::whole_for_range), (Names{"range"}));
  EXPECT_EQ(failed_steps(Cheat::Lie::lists_late).front(), "list");
  EXPECT_EQ(failed_steps(Cheat::Lie::keeps_deleted), (Names{"delete"}));
  EXPECT_EQ(failed_steps(Cheat::Lie::empty_bucket), (Names{"put"}));
}

}  // namespace
}  // namespace weir::store::testing
