#include "store/local_directory.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "runtime/scope.h"
#include "runtime/submit.h"
#include "store/testing/run_case.h"

namespace weir::store::testing {
namespace {

using base::ErrorKind;
using runtime::Task;
namespace fs = std::filesystem;

class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "weir-store-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  ~Directory() { fs::remove_all(path_); }
  [[nodiscard]] std::string path() const { return path_; }

 private:
  std::string path_;
};

Task<std::unique_ptr<ObjectStore>> open_directory(runtime::RealRuntime* machine, std::string root) {
  auto store = co_await open_local_directory(std::move(root), machine->doors());
  EXPECT_TRUE(store) << store.error().text;
  co_return store ? std::move(*store) : nullptr;
}

std::size_t unfinished_count(const std::string& root) {
  std::size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root + "/.tmp")) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

class DirectoryConformance : public ::testing::TestWithParam<ConformanceCase> {};

TEST_P(DirectoryConformance, holds) {
  const Directory directory;
  const auto machine = test_machine();
  const std::string root = directory.path() + "/made/on/the/way";
  run_case(machine.get(), GetParam(), "base/", [&] { return open_directory(machine.get(), root + "//"); });
  EXPECT_TRUE(fs::is_empty(root + "/.tmp"));
}

INSTANTIATE_TEST_SUITE_P(Store, DirectoryConformance, ::testing::ValuesIn(conformance_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

Task<void> reopen(runtime::RealRuntime* machine, std::string root) {
  auto store = co_await open_directory(machine, root);
  EXPECT_TRUE(co_await put_body(store.get(), "a/b/large", test_body(1, 3'000'001)));
  EXPECT_TRUE(co_await put_body(store.get(), "a/small", test_body(2, 17)));
  co_await store->stop();
  store = co_await open_directory(machine, root);
  const auto info = co_await store->head("a/b/large", {});
  EXPECT_TRUE(info && info->size_bytes == 3'000'001);
  const auto page = co_await store->list("", "", {});
  EXPECT_TRUE(page && page->objects.size() == 2);
  co_await store->stop();
}

TEST(LocalDirectory, objects_stay_and_names_are_readable) {
  const Directory directory;
  const auto machine = test_machine();
  machine->run_on_shard0([&] { return reopen(machine.get(), directory.path()); });
  EXPECT_EQ(fs::file_size(directory.path() + "/a/b/large"), 3'000'001U);
}

Task<void> open_beside(runtime::RealRuntime* machine, std::string root) {
  auto first = co_await open_directory(machine, root);
  const std::size_t with_first = unfinished_count(root);
  auto second = co_await open_directory(machine, root);
  EXPECT_EQ(unfinished_count(root), with_first + 1) << "the living owner's directory must not be swept";
  EXPECT_TRUE(co_await put_body(first.get(), "x", test_body(1, 10)));
  EXPECT_TRUE(co_await put_body(second.get(), "y", test_body(1, 10)));
  co_await first->stop();
  co_await second->stop();
}

TEST(LocalDirectory, start_sweeps_what_a_dead_owner_left) {
  const Directory directory;
  fs::create_directories(directory.path() + "/.tmp/00dead");
  for (const char* name : {"lock", "0-0", "0-1"}) std::ofstream(directory.path() + "/.tmp/00dead/" + name) << "unfinished";
  fs::create_directories(directory.path() + "/.tmp/11empty");
  const auto machine = test_machine();
  machine->run_on_shard0([&] { return open_beside(machine.get(), directory.path()); });
  EXPECT_TRUE(fs::is_empty(directory.path() + "/.tmp"));
}

Task<void> vanish(runtime::RealRuntime* machine, std::string root) {
  auto store = co_await open_directory(machine, root);
  EXPECT_TRUE(co_await put_body(store.get(), "d/one", test_body(1, 10)));
  fs::remove_all(root + "/d");
  EXPECT_TRUE(co_await put_body(store.get(), "d/two", test_body(2, 10)));
  const auto got = co_await store->get("d/two", 0, 0, {});
  EXPECT_TRUE(got && got->size() == 10);
  co_await store->stop();
}

TEST(LocalDirectory, a_directory_removed_by_hand_is_made_again) {
  const Directory directory;
  const auto machine = test_machine();
  machine->run_on_shard0([&] { return vanish(machine.get(), directory.path()); });
}

Task<void> claim_on(ObjectStore* store, runtime::Reactor* shard, std::string key, int* won_count) {
  const auto put = co_await runtime::submit_to(
      *shard, [store, key, shard] { return put_body(store, key, test_body(shard->shard().value(), 200'000), true); });
  if (put) ++*won_count;
  if (!put) EXPECT_EQ(put.error().kind, ErrorKind::exists) << put.error().text;
}

Task<void> race_shards(runtime::RealRuntime* machine, std::string root) {
  auto store = co_await open_directory(machine, root);
  for (int round = 0; round < 10; ++round) {
    int won_count = 0;
    runtime::Scope scope;
    for (runtime::Reactor* shard : machine->doors().shards)
      scope.spawn("claim", claim_on(store.get(), shard, fmt::format("deep/{}/claim", round), &won_count));
    co_await scope.join();
    EXPECT_EQ(won_count, 1);
  }
  co_await store->stop();
}

TEST(LocalDirectory, shards_race_for_one_key) {
  const Directory directory;
  const auto machine = test_machine(3);
  machine->run_on_shard0([&] { return race_shards(machine.get(), directory.path()); });
}

Task<void> open_fails(runtime::RealRuntime* machine, std::string root) {
  const auto store = co_await open_local_directory(root, machine->doors());
  EXPECT_FALSE(store);
  if (!store) EXPECT_NE(store.error().text.find(root), std::string::npos) << store.error().text;
}

TEST(LocalDirectory, a_file_in_the_way_is_named) {
  const Directory directory;
  std::ofstream(directory.path() + "/file") << "x";
  const auto machine = test_machine();
  machine->run_on_shard0([&] { return open_fails(machine.get(), directory.path() + "/file"); });
}

}  // namespace
}  // namespace weir::store::testing
