#include "store/keys.h"

#include <gtest/gtest.h>

namespace weir::store {
namespace {

TEST(Keys, limits) {
  EXPECT_TRUE(check_key("a"));
  EXPECT_TRUE(check_key(std::string(240, 'a')));
  EXPECT_FALSE(check_key(std::string(241, 'a')));
  const std::string long_key =
      std::string(240, 'a') + "/" + std::string(240, 'b') + "/" + std::string(240, 'c') + "/" + std::string(177, 'd');
  EXPECT_EQ(long_key.size(), 900U);
  EXPECT_TRUE(check_key(long_key));
  EXPECT_FALSE(check_key(long_key + "d"));
}

TEST(Keys, utf8) {
  EXPECT_TRUE(is_printable_utf8("\xf0\x9f\x8c\x8a\xe2\x82\xac\xc3\xa9"));
  EXPECT_FALSE(is_printable_utf8("\xc0\xaf")) << "overlong";
  EXPECT_FALSE(is_printable_utf8("\xe0\x80\xaf")) << "overlong";
  EXPECT_FALSE(is_printable_utf8("\xed\xa0\x80")) << "surrogate";
  EXPECT_FALSE(is_printable_utf8("\xf4\x90\x80\x80")) << "beyond the last code point";
  EXPECT_FALSE(is_printable_utf8("\xe2\x82")) << "cut";
  EXPECT_FALSE(is_printable_utf8("\x80")) << "continuation without start";
  EXPECT_FALSE(is_printable_utf8("a\x7f")) << "control";
  EXPECT_FALSE(is_printable_utf8("\xc2\x85")) << "control";
}

}  // namespace
}  // namespace weir::store
