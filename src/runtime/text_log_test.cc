#include "runtime/text_log.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace weir::runtime {
namespace {

constexpr base::WallMs noon_ms = 1'795'543'200'123;  // 2026-11-24T18:00:00.123Z

class TextLogTest : public ::testing::Test {
 protected:
  LogOptions options(bool json = false) {
    return {.level = LogLevel::info,
            .json = json,
            .sink = [this](std::string_view line) { lines.emplace_back(line); },
            .wall_now_ms = [this] { return now_ms; }};
  }
  base::WallMs now_ms = noon_ms;
  std::vector<std::string> lines;
};

TEST_F(TextLogTest, WritesTextLines) {
  TextLogger log(options());
  log.info("wal", "segment created", {{"id", 3}, {"path", "/data/a b"}, {"empty", ""}, {"quote", "say \"x\"\n"}});
  log.debug("wal", "not shown");
  log.error("log", "no fields");
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(
      lines[0],
      "2026-11-24T18:00:00.123Z INFO wal segment created id=3 path=\"/data/a b\" empty=\"\" quote=\"say \\\"x\\\"\\n\"\n");
  EXPECT_EQ(lines[1], "2026-11-24T18:00:00.123Z ERROR log no fields\n");
}

TEST_F(TextLogTest, WritesJsonLines) {
  TextLogger log(options(true));
  log.warn("wal", "segment \"bad\"", {{"id", 3}, {"text", "a\tb\\"}});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0],
            "{\"time\":\"2026-11-24T18:00:00.123Z\",\"level\":\"warn\",\"room\":\"wal\",\"message\":\"segment \\\"bad\\\"\","
            "\"id\":\"3\",\"text\":\"a\\u0009b\\\\\"}\n");
}

TEST_F(TextLogTest, LimitsRepeatsAndCountsWhatItDropped) {
  TextLogger log(options());
  for (std::uint32_t i = 0; i < log_repeats_per_10s_max + 5; ++i) log.warn("store", "retry", {{"i", i}});
  EXPECT_EQ(lines.size(), log_repeats_per_10s_max);
  log.warn("store", "another message");
  EXPECT_EQ(lines.size(), log_repeats_per_10s_max + 1) << "one message's repeats silence another";
  now_ms += log_window_ms;
  log.warn("store", "retry", {{"i", "later"}});
  EXPECT_EQ(lines.back(), "2026-11-24T18:00:10.123Z WARN store retry i=later repeats_dropped=5\n");
}

TEST_F(TextLogTest, ReportsDroppedRepeatsThatNeverComeAgain) {
  {
    TextLogger log(options());
    for (std::uint32_t i = 0; i < log_repeats_per_10s_max + 7; ++i) log.warn("store", "retry");
    now_ms += log_window_ms + 1;
    log.info("wal", "something else");
    EXPECT_EQ(lines.back(), "2026-11-24T18:00:10.124Z WARN store retry repeats_dropped=7\n");
    for (std::uint32_t i = 0; i < log_repeats_per_10s_max + 2; ++i) log.warn("store", "retry");
  }
  EXPECT_EQ(lines.back(), "2026-11-24T18:00:10.124Z WARN store retry repeats_dropped=2\n") << "at the end of the process";
}

TEST_F(TextLogTest, ForgetsOldKeysRatherThanGrow) {
  TextLogger log(options());
  for (std::size_t i = 0; i < log_keys_max * 2; ++i) log.info("room", "message " + std::to_string(i));
  EXPECT_EQ(lines.size(), log_keys_max * 2);
}

TEST_F(TextLogTest, TakesLinesFromManyThreads) {
  LogOptions quick = options();
  quick.wall_now_ms = [] { return noon_ms; };
  {
    TextLogger log(std::move(quick));
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&log, t] {
        for (int i = 0; i < 15; ++i) log.info("room", "message " + std::to_string(t), {{"i", i}});
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(lines.size(), 60U);
  for (const std::string& line : lines) EXPECT_TRUE(line.starts_with("2026-") && line.ends_with("\n")) << line;
}

TEST(LogLevel, IsParsedByName) {
  EXPECT_EQ(parse_log_level("warn").value(), LogLevel::warn);
  EXPECT_FALSE(parse_log_level("WARN ").has_value());
}

}  // namespace
}  // namespace weir::runtime
