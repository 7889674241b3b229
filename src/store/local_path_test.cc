#include "store/local_path.h"

#include <gtest/gtest.h>

namespace weir::store {
namespace {

TEST(LocalPath, escapes_what_a_directory_would_misread) {
  EXPECT_EQ(path_of_key("a/b.c"), "a/b.c");
  EXPECT_EQ(path_of_key(".tmp/x"), "%2Etmp/x");
  EXPECT_EQ(path_of_key("a/.../50%"), "a/%2E../50%25");
  EXPECT_EQ(path_of_key("a/b/"), "a/b/");
}

TEST(LocalPath, names_come_back) {
  for (const char* part : {"plain", ".hidden", "...", "100%", "%2E", "a.b"}) {
    EXPECT_EQ(key_part_of_name(path_of_key(part)), part);
  }
}

TEST(LocalPath, foreign_names_are_not_keys) {
  for (const char* name : {"", ".tmp", "..", "a%2E", "%41", "%2", "%", "%2E", "%2E."})
    EXPECT_EQ(key_part_of_name(name), std::nullopt) << name;
}

TEST(LocalPath, parents) {
  EXPECT_EQ(parent_path("a/b/c"), "a/b");
  EXPECT_EQ(parent_path("/a"), "/");
  EXPECT_EQ(parent_path("a"), ".");
  EXPECT_EQ(parent_path("a/b/"), "a");
  EXPECT_EQ(parent_path("/"), "/");
}

}  // namespace
}  // namespace weir::store
