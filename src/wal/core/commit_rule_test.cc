#include "wal/core/commit_rule.h"

#include <gtest/gtest.h>

namespace weir::wal {
namespace {

TEST(CommitRule, ALoneRecordGoesAtOnceAndBusyDevicesGetLargerGroups) {
  EXPECT_TRUE(may_send_group(0, 1, 8));
  EXPECT_TRUE(may_send_group(1, 1, 8));
  EXPECT_FALSE(may_send_group(2, medium_group_bytes - 1, 8));
  EXPECT_TRUE(may_send_group(2, medium_group_bytes, 8));
  EXPECT_TRUE(may_send_group(3, medium_group_bytes, 8));
  EXPECT_FALSE(may_send_group(4, medium_group_bytes, 8));
  EXPECT_TRUE(may_send_group(7, large_group_bytes, 8));
  EXPECT_FALSE(may_send_group(8, large_group_bytes, 8));
  EXPECT_FALSE(may_send_group(1, large_group_bytes, 1));
}

}  // namespace
}  // namespace weir::wal
