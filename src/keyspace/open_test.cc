#include "keyspace/open.h"

#include <gtest/gtest.h>

namespace weir::keyspace {
namespace {

TEST(KeyspaceUrl, AcceptsAbsoluteDirectories) {
  EXPECT_EQ(parse_keyspace_url("file:///var/lib/weir").value_or(Location{}).directory, "/var/lib/weir");
  EXPECT_EQ(parse_keyspace_url("file:///data/k//").value_or(Location{}).directory, "/data/k");
  EXPECT_EQ(parse_keyspace_url("file:///with space").value_or(Location{}).directory, "/with space");
}

TEST(KeyspaceUrl, RefusesTheRestAndSaysWhy) {
  for (const std::string& bad :
       {std::string(), std::string("/var/lib/weir"), std::string("file:"), std::string("file:relative"),
        std::string("file://host/path"), std::string("file:///"), std::string("file:////"), std::string("etcd://a:2379"),
        std::string("file:///a?b"), std::string("file:///a%20b"), std::string(":///x"), std::string("file:///a\0b", 11)}) {
    const auto parsed = parse_keyspace_url(bad);
    ASSERT_FALSE(parsed.has_value()) << bad;
    EXPECT_EQ(parsed.kind(), base::ErrorKind::invalid) << bad;
    EXPECT_NE(parsed.error().text.find("keyspace URL"), std::string::npos) << parsed.error().text;
  }
}

}  // namespace
}  // namespace weir::keyspace
