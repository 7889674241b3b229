#include "cli/offset_spec.h"

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

using From = OffsetBound::From;
constexpr std::int64_t now = 1'700'000'000'000;  // 2023-11-14T22:13:20Z

OffsetSpec spec(const std::vector<std::string>& words) {
  auto parsed = parse_offset_spec(words, now);
  if (!parsed) {
    ADD_FAILURE() << words.front() << ": " << parsed.error().text;
    return {};
  }
  return *parsed;
}
OffsetSpec make(OffsetBound begin, std::optional<OffsetBound> end = std::nullopt) { return {.begin = begin, .end = end}; }
OffsetBound at(std::int64_t ms) { return {.from = From::time, .value = ms}; }

TEST(OffsetSpec, PlainWords) {
  EXPECT_EQ(spec({}), make({.from = From::start}));
  EXPECT_EQ(spec({"start"}), make({.from = From::start}));
  EXPECT_EQ(spec({"beginning"}), make({.from = From::start}));
  EXPECT_EQ(spec({"end"}), make({.from = From::end}));
  EXPECT_EQ(spec({":end"}), make({.from = From::start}, OffsetBound{.from = From::end}));
  EXPECT_EQ(spec({"17"}), make({.from = From::zero, .value = 17}));
  EXPECT_EQ(spec({"+3"}), make({.from = From::start, .value = 3}));
  EXPECT_EQ(spec({"-3"}), make({.from = From::end, .value = -3}));
  EXPECT_EQ(spec({"5:9"}), make({.from = From::zero, .value = 5}, OffsetBound{.from = From::zero, .value = 9}));
  EXPECT_EQ(spec({"-9:end"}), make({.from = From::end, .value = -9}, OffsetBound{.from = From::end}));
}

TEST(OffsetSpec, Times) {
  EXPECT_EQ(spec({"@1600000000000"}), make(at(1'600'000'000'000)));
  EXPECT_EQ(spec({"@1600000000"}), make(at(1'600'000'000'000)));
  EXPECT_EQ(spec({"@-1h"}), make(at(now - 3'600'000)));
  EXPECT_EQ(spec({"@-1h:-30m"}), make(at(now - 3'600'000), at(now - 1'800'000)));
  EXPECT_EQ(spec({"@-1h:end"}), make(at(now - 3'600'000), OffsetBound{.from = From::end}));
  EXPECT_EQ(spec({"@2022-02-14"}), make(at(1'644'796'800'000)));
  EXPECT_EQ(spec({"@2022-02-14:1h"}), make(at(1'644'796'800'000), at(1'644'800'400'000)));
  EXPECT_EQ(spec({"@2022-02-14T10:20"}), make(at(1'644'834'000'000)));
  EXPECT_EQ(spec({"@2022-02-14T10:20:30.250"}), make(at(1'644'834'030'250)));
  EXPECT_EQ(spec({"@2022-02-14T10:20:30+02:00"}), make(at(1'644'826'830'000)));
  EXPECT_EQ(spec({"@2022-02-14T10:20:1h30m"}), make(at(1'644'834'000'000), at(1'644'839'400'000)));
  EXPECT_EQ(spec({"@2022-02-14T10:20:2022-02-14T10:30"}), make(at(1'644'834'000'000), at(1'644'834'600'000)));
  EXPECT_EQ(spec({"@:-1d"}), make({.from = From::start}, at(now - 86'400'000)));
  EXPECT_EQ(spec({"s@1600000000000", "e@1600000000500"}), make(at(1'600'000'000'000), at(1'600'000'000'500)));
}

TEST(OffsetSpec, WhatIsRefused) {
  for (const char* word : {"", "x", "--3", "+", "1:2:3", "@", "@yesterday", "@2022-13-01", "@2022-02-30", "@2022-02-14T25:00",
                           "@12345", "@-1", "@-1y", "9999999999999999999", "stored"}) {
    EXPECT_FALSE(parse_offset_spec({word}, now)) << word;
  }
  EXPECT_FALSE(parse_offset_spec({"start", "end"}, now));
  EXPECT_FALSE(parse_offset_spec({"e@-1h", "e@-2h"}, now));
  EXPECT_FALSE(parse_offset_bound("1:2", now));
}

TEST(OffsetSpec, Lengths) {
  EXPECT_EQ(parse_length_ms("250ms"), 250);
  EXPECT_EQ(parse_length_ms("1h30m"), 5'400'000);
  EXPECT_EQ(parse_length_ms("1w2d"), 777'600'000);
  EXPECT_EQ(parse_length_ms("5"), std::nullopt);
  EXPECT_EQ(parse_length_ms("h"), std::nullopt);
}

TEST(OffsetSpec, Resolved) {
  EXPECT_EQ(resolve({.from = From::zero, .value = 7}, 10, 20, -1), 7);
  EXPECT_EQ(resolve({.from = From::start, .value = 2}, 10, 20, -1), 12);
  EXPECT_EQ(resolve({.from = From::end, .value = -3}, 10, 20, -1), 17);
  EXPECT_EQ(resolve({.from = From::end, .value = -30}, 10, 20, -1), 10);
  EXPECT_EQ(resolve(at(5), 10, 20, 15), 15);
  EXPECT_EQ(resolve(at(5), 10, 20, -1), 20);
}

}  // namespace
}  // namespace weir::cli
