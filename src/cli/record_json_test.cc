#include "cli/record_json.h"

#include <gtest/gtest.h>

#include "cli/output.h"

namespace weir::cli {
namespace {

TEST(RecordJson, Reads) {
  JsonRecords json;
  auto record = json.parse(R"({"topic":"t","partition":1,"offset":5,"timestamp":7,"key":null,"value_base64":"/w==",)"
                           R"("headers":[{"key":"h","value":"x\n"},{"key":"n","value":null}]})");
  ASSERT_TRUE(record) << record.error().text;
  EXPECT_EQ(record->key, std::nullopt);
  EXPECT_EQ(record->value, "\xff");
  EXPECT_EQ(record->timestamp_ms, 7);
  EXPECT_EQ(record->partition, std::nullopt);
  ASSERT_EQ(record->headers.size(), 2U);
  EXPECT_EQ(record->headers[0].second, "x\n");
  EXPECT_EQ(record->headers[1].second, std::nullopt);
}

TEST(RecordJson, Refuses) {
  JsonRecords json;
  EXPECT_FALSE(json.parse("nonsense"));
  EXPECT_FALSE(json.parse("[1]"));
  EXPECT_FALSE(json.parse(R"({"value":5})"));
  EXPECT_FALSE(json.parse(R"({"value_base64":"?"})"));
  EXPECT_FALSE(json.parse(R"({"value":"x","headers":[1]})"));
}

TEST(Utf8, WhatJsonCanCarry) {
  for (const char* text : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) EXPECT_TRUE(is_utf8(text)) << text;
  for (const char* text : {"\xff", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\x80"})
    EXPECT_FALSE(is_utf8(text)) << text;
}

}  // namespace
}  // namespace weir::cli
