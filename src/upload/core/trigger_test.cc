#include "upload/core/trigger.h"

#include <gtest/gtest.h>

namespace weir::upload {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr std::uint64_t mib = 1U << 20U;

TEST(Trigger, Table) {
  const TriggerLimits limits{
      .size_bytes = 64 * mib, .age = seconds(60), .backlog_bytes_max = 256 * mib, .wal_size_bytes = 1024 * mib};
  struct Row {
    BacklogState state;
    Cause expected;
  };
  const std::vector<Row> rows = {
      {{.backlog_bytes = 0, .oldest_age = seconds(100)}, Cause::none},
      {{.backlog_bytes = 0, .wal_used_bytes = 1024 * mib, .flush = true}, Cause::none},
      {{.backlog_bytes = 1, .flush = true}, Cause::flush},
      {{.backlog_bytes = 64 * mib - 1}, Cause::none},
      {{.backlog_bytes = 64 * mib}, Cause::size},
      {{.backlog_bytes = 64 * mib, .oldest_age = seconds(61)}, Cause::size},
      {{.backlog_bytes = 1, .oldest_age = seconds(60) - milliseconds(1)}, Cause::none},
      {{.backlog_bytes = 1, .oldest_age = seconds(60)}, Cause::age},
      {{.backlog_bytes = 8 * mib, .wal_used_bytes = 768 * mib}, Cause::pressure},
      {{.backlog_bytes = 8 * mib, .wal_used_bytes = 767 * mib}, Cause::none},
      {{.backlog_bytes = 1, .oldest_age = milliseconds(10), .wal_used_bytes = 1024 * mib}, Cause::none},
      {{.backlog_bytes = 1, .oldest_age = seconds(1), .wal_used_bytes = 1024 * mib}, Cause::pressure},
  };
  for (std::size_t i = 0; i < rows.size(); ++i) EXPECT_EQ(decide(limits, rows[i].state), rows[i].expected) << "row " << i;
}

TEST(Trigger, ASmallWalOrALargeObjectStartsEarlier) {
  EXPECT_EQ(start_bytes({.size_bytes = 64 * mib, .wal_size_bytes = 16 * mib}), 4 * mib);
  EXPECT_EQ(start_bytes({.size_bytes = 1024 * mib}), 128 * mib) << "un-uploaded bytes stay under backlog_bytes_max";
  EXPECT_EQ(start_bytes({.size_bytes = 1}), 1U);
}

TEST(Trigger, LooksSoonerWhenTheBacklogGrowsFast) {
  const TriggerLimits limits{.size_bytes = 64 * mib};
  EXPECT_EQ(next_look(limits, {}, 0, milliseconds(250)), poll_max);
  EXPECT_EQ(next_look(limits, {.backlog_bytes = 32 * mib}, 0, milliseconds(100)), milliseconds(100));
  EXPECT_EQ(next_look(limits, {.backlog_bytes = 63 * mib}, 0, milliseconds(100)), poll_min);
  EXPECT_EQ(next_look(limits, {.backlog_bytes = 1, .oldest_age = seconds(60) - milliseconds(50)}, 1, milliseconds(100)),
            milliseconds(50));
  EXPECT_EQ(next_look(limits, {.backlog_bytes = 10}, 20, milliseconds(100)), poll_max);
}

TEST(Trigger, BackoffDoublesWithJitterAndStaysBounded) {
  for (std::uint32_t failures = 1; failures < 100; ++failures) {
    const base::Duration low = backoff(failures, 0);
    for (std::uint64_t random : {std::uint64_t{1}, std::uint64_t{123456789}, UINT64_MAX}) {
      EXPECT_GE(backoff(failures, random), low);
      EXPECT_LE(backoff(failures, random), backoff_max);
    }
    EXPECT_GE(low, backoff_first / 2);
  }
  EXPECT_EQ(backoff(1, 0), backoff_first / 2);
  EXPECT_EQ(backoff(50, 0), backoff_max / 2);
}

}  // namespace
}  // namespace weir::upload
