#include "model/topic_name.h"

#include <gtest/gtest.h>

namespace weir::model {
namespace {

TEST(TopicName, KafkasRules) {
  for (const std::string& good : {std::string("a"), std::string("..."), std::string("A-z_0.9"),
                                  std::string("__consumer_offsets"), std::string(249, 'x')}) {
    EXPECT_EQ(topic_name_fault(good), "") << good;
  }
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string(250, 'x'), std::string("a b"),
                                 std::string("a/b"), std::string("\xC3\xA4"), std::string("a\0b", 3), std::string("a:b")}) {
    EXPECT_NE(topic_name_fault(bad), "") << bad;
  }
}

TEST(TopicName, DotAndUnderscoreCollide) {
  EXPECT_TRUE(topic_names_collide("a.b", "a_b"));
  EXPECT_TRUE(topic_names_collide("_._", "..."));
  EXPECT_FALSE(topic_names_collide("a.b", "a.b")) << "the same name is not a collision";
  EXPECT_FALSE(topic_names_collide("a.b", "a-b"));
  EXPECT_FALSE(topic_names_collide("a.b", "a_bc"));
}

}  // namespace
}  // namespace weir::model
