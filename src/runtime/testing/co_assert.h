// runtime/testing/co_assert.h: gtest's ASSERT_ returns; these leave a coroutine that gives void instead.
#pragma once

#include <gtest/gtest.h>

#define CO_ASSERT_TRUE(condition)                 \
  do {                                            \
    const bool co_assert_holds = bool(condition); \
    EXPECT_TRUE(co_assert_holds) << #condition;   \
    if (!co_assert_holds) co_return;              \
  } while (false)

/// For a Result: shows its error.
#define CO_ASSERT_OK(result)                                                                                         \
  do {                                                                                                               \
    const auto& co_assert_result = (result);                                                                         \
    EXPECT_TRUE(co_assert_result.has_value()) << #result << ": " << ::weir::runtime::testing::why(co_assert_result); \
    if (!co_assert_result.has_value()) co_return;                                                                    \
  } while (false)

#define EXPECT_OK(result)                                                                                      \
  do {                                                                                                         \
    const auto& expect_result = (result);                                                                      \
    EXPECT_TRUE(expect_result.has_value()) << #result << ": " << ::weir::runtime::testing::why(expect_result); \
  } while (false)

/// The result is a failure of this kind.
#define EXPECT_FAILS(result, wanted)                                                                       \
  do {                                                                                                     \
    const auto& expect_result = (result);                                                                  \
    EXPECT_FALSE(expect_result.has_value()) << #result;                                                    \
    if (!expect_result.has_value()) EXPECT_EQ(expect_result.kind(), wanted) << expect_result.error().text; \
  } while (false)

namespace weir::runtime::testing {
template <class R>
std::string why(const R& result) {
  return result.has_value() ? std::string() : result.error().text;
}
}  // namespace weir::runtime::testing

/// Outside coroutines.
#define ASSERT_OK(result) ASSERT_TRUE((result).has_value()) << ::weir::runtime::testing::why(result)
