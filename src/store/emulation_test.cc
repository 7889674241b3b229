#include "store/emulation.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "runtime/sync.h"
#include "runtime/testing/manual_runtime.h"
#include "store/url.h"

namespace weir::store {
namespace {

using runtime::Task;
using std::chrono::milliseconds;

Task<bool> call_many(const StoreProfile* profile, bool is_put, std::uint64_t size_bytes, base::Duration real, int count,
                     std::vector<double>* into) {
  for (int i = 0; i < count; ++i) {
    const base::MonoTime begin = runtime::Reactor::current().now();
    (void)co_await runtime::sleep_for(real);
    co_await withhold(*profile, is_put, begin, size_bytes);
    into->push_back(std::chrono::duration<double, std::milli>(runtime::Reactor::current().now() - begin).count());
  }
  co_return true;
}

std::vector<double> times(const char* profile, bool is_put, std::uint64_t size_bytes, base::Duration real = {}) {
  runtime::testing::ManualRuntime manual;
  std::vector<double> all;
  manual.run(call_many(find_store_profile(profile), is_put, size_bytes, real, 20'000, &all));
  std::ranges::sort(all);
  return all;
}

TEST(StoreEmulation, CallsTakeTheirFirstByteAndTheirTransfer) {
  const auto small = times("s3-standard", false, 0);
  EXPECT_NEAR(small[10'000], 30, 1);
  EXPECT_NEAR(small[19'800], 150, 15);
  const auto put = times("s3-standard", true, 64U << 20U);
  EXPECT_NEAR(put[10'000], 50 + 789.5, 4);
  EXPECT_NEAR(times("s3-express", true, 0)[10'000], 5, 0.2);
}

TEST(StoreEmulation, TheRealTimeCountsIntoIt) {
  const auto slow = times("s3-express", false, 0, milliseconds(8));
  EXPECT_DOUBLE_EQ(slow[10'000], 8);
  EXPECT_NEAR(slow[19'800], 10, 1);
}

TEST(StoreEmulation, IsNamedInTheUrl) {
  auto url = parse_store_url("file:///objects?emulate=s3-express");
  ASSERT_TRUE(url) << url.error().text;
  EXPECT_EQ(std::get<FileStoreUrl>(*url).emulate, find_store_profile("s3-express"));
  EXPECT_EQ(std::get<FileStoreUrl>(*parse_store_url("file:///objects")).emulate, nullptr);
  EXPECT_NE(parse_store_url("file:///objects?emulate=s3-expres").error().text.find("did you mean 's3-express'"),
            std::string::npos);
  EXPECT_NE(parse_store_url("file:///objects?emulate=tape").error().text.find("s3-standard, s3-express"), std::string::npos);
  EXPECT_NE(parse_store_url("file:///objects?emulat=s3-express").error().text.find("did you mean 'emulate'"),
            std::string::npos);
}

}  // namespace
}  // namespace weir::store
