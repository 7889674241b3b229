#include "store/testing/run_case.h"

#include <gtest/gtest.h>

namespace weir::store::testing {

namespace {
runtime::Task<void> open_and_run(const ConformanceCase* test_case, std::string base,
                                 std::function<runtime::Task<std::unique_ptr<ObjectStore>>()>* open) {
  std::unique_ptr<ObjectStore> store = co_await (*open)();
  EXPECT_NE(store, nullptr);
  if (store == nullptr) co_return;
  co_await test_case->run(store.get(), std::move(base));
  co_await store->stop();
}
}  // namespace

void run_case(runtime::RealRuntime* machine, const ConformanceCase& test_case, std::string base,
              std::function<runtime::Task<std::unique_ptr<ObjectStore>>()> open) {
  machine->run_on_shard0([&] { return open_and_run(&test_case, base, &open); });
}

std::unique_ptr<runtime::RealRuntime> test_machine(std::uint32_t shard_count) {
  auto machine = runtime::make_real_runtime({.shard_count = shard_count, .log = {.level = runtime::LogLevel::warn}});
  EXPECT_TRUE(machine) << machine.error().text;
  return machine ? std::move(*machine) : nullptr;
}

}  // namespace weir::store::testing
