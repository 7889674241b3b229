#include "cli/config_change.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

TEST(ConfigChange, Words) {
  auto changes = parse_changes({"a=1", "b+=x,y", "c-=z", "d=", "e.f=k=v"}, {"g"});
  ASSERT_TRUE(changes);
  const std::vector<ConfigChange> expected = {{"a", ConfigOperation::set, "1"},      {"b", ConfigOperation::append, "x,y"},
                                              {"c", ConfigOperation::subtract, "z"}, {"d", ConfigOperation::set, ""},
                                              {"e.f", ConfigOperation::set, "k=v"},  {"g", ConfigOperation::remove, ""}};
  EXPECT_EQ(*changes, expected);
  EXPECT_FALSE(parse_changes({"a"}, {}));
  EXPECT_FALSE(parse_changes({"=1"}, {}));
  EXPECT_FALSE(parse_changes({}, {"a=1"}));
}

TEST(ConfigChange, OneTargetAtLeast) {
  EXPECT_FALSE(resources_of({}));
  auto all = resources_of({.topics = {"t"}, .brokers = {3}, .cluster = true, .groups = {"g"}});
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 4U);
  EXPECT_EQ((*all)[1].name, "3");
  EXPECT_EQ((*all)[2].name, "");
  EXPECT_EQ((*all)[2].type, ConfigResourceType::broker);
}

}  // namespace
}  // namespace weir::cli
