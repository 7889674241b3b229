#include "base/result.h"

#include <map>
#include <memory>
#include <set>

#include <gtest/gtest.h>

#include "base/ensure.h"
#include "base/strong.h"

namespace weir::base {
namespace {

Result<int> half(int value) {
  if (value % 2 != 0) return fail(ErrorKind::invalid, "odd");
  return value / 2;
}
Result<> check(int value, int& calls) {
  ++calls;
  if (value < 0) return fail(ErrorKind::exhausted, "negative");
  return {};
}
Result<int> quarter(int value, int& calls) {
  WEIR_TRY(check(value, calls));
  WEIR_TRY_ASSIGN(const int first, half(value));
  int second = 0;
  WEIR_TRY_ASSIGN(second, half(first));
  return second;
}
Result<std::unique_ptr<int>> moved(Result<std::unique_ptr<int>> from) {
  WEIR_TRY_ASSIGN(std::unique_ptr<int> inside, std::move(from));
  return inside;
}

TEST(Result, CarriesAValueOrAnErrorThroughTry) {
  int calls = 0;
  EXPECT_EQ(quarter(12, calls).value(), 3);
  EXPECT_EQ(calls, 1) << "the expression is evaluated once";
  EXPECT_EQ(quarter(6, calls).kind(), ErrorKind::invalid);
  EXPECT_EQ(quarter(-4, calls).kind(), ErrorKind::exhausted);
  EXPECT_EQ(quarter(-4, calls).error().text, "negative");
  EXPECT_EQ(**moved(std::make_unique<int>(5)), 5);
}

TEST(Result, TakesContextInFrontOfTheText) {
  const Result<int> with = with_context("read segment 3", half(3).error());
  EXPECT_EQ(with.kind(), ErrorKind::invalid);
  EXPECT_EQ(with.error().text, "read segment 3: odd");
}

TEST(ErrorKind, HasADistinctNameEach) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(ErrorKind::io); ++i) names.insert(to_string(static_cast<ErrorKind>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(ErrorKind::io) + 1);
  EXPECT_FALSE(names.contains("unknown"));
}

using Offset = Strong<std::int64_t, struct OffsetTag>;
using Epoch = Strong<std::int32_t, struct EpochTag>;
static_assert(!std::is_convertible_v<std::int64_t, Offset> && !std::is_constructible_v<Offset, Epoch> &&
              !std::is_assignable_v<Offset&, Epoch> && !std::equality_comparable_with<Offset, Epoch>);
static_assert(sizeof(Offset) == sizeof(std::int64_t));

TEST(Strong, CountsComparesAndHashes) {
  Offset offset(5);
  EXPECT_EQ(++offset, Offset(6));
  EXPECT_EQ(offset + 4, Offset(10));
  EXPECT_EQ(Offset(10) - offset, 4);
  EXPECT_EQ((offset - 7).value(), -1);
  EXPECT_LT(Offset(-1), Offset());
  EXPECT_EQ(std::hash<Offset>{}(offset), std::hash<std::int64_t>{}(6));
}

TEST(EnsureDeathTest, PrintsWhereAndWhyThenAborts) {
  const int have = 3;
  ENSURE(have == 3, "never printed");
  EXPECT_DEATH(ENSURE(have > 4, "only {} of {}", have, 4), "result_test.cc:[0-9]+: ENSURE\\(have > 4\\) failed: only 3 of 4");
}

}  // namespace
}  // namespace weir::base
