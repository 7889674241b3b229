#include "cli/record_format.h"

#include <sstream>

#include <gtest/gtest.h>

namespace weir::cli {
namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

const RecordOut sample{.topic = "t",
                       .partition = 3,
                       .offset = 258,
                       .timestamp_ms = 1'644'834'030'250,
                       .number = 9,
                       .key = "k\x01",
                       .value = "value",
                       .headers = {{"a", "1"}, {"b", std::nullopt}}};

std::string written(std::string_view text, const RecordOut& record = sample) {
  auto format = parse_record_format(text);
  if (!format) return "FAULT " + format.error().text;
  std::string out;
  write_record(*format, record, out);
  return out;
}

TEST(RecordFormat, Writes) {
  EXPECT_EQ(written("%t/%p@%o %i %v|%s\\n"), "t/3@258 9 value|value\n");
  EXPECT_EQ(written("%K %V %S %H"), "2 5 5 2");
  EXPECT_EQ(written("%k{hex} %v{base64} %v{base64raw}"), "6b01 dmFsdWU= dmFsdWU");
  EXPECT_EQ(written("%o{hex} %o{big64}%o{big16}%o{little32}%o{big8}"),
            "102 "s + "\0\0\0\0\0\0\x01\x02\x01\x02\x02\x01\0\0\x02"s);
  EXPECT_EQ(written("%d %T %d{s} %d{iso}"), "1644834030250 1644834030250 1644834030 2022-02-14T10:20:30.250Z");
  EXPECT_EQ(written("%d{strftime[%H:%M]}"), "10:20");
  EXPECT_EQ(written("%h"), "a=1,b=");
  EXPECT_EQ(written("%h{%k[%K]=%v{hex}(%V);}"), "a[1]=31(1);b[1]=(-1);");
  EXPECT_EQ(written("%%%{%}\\t\\x41\\\\\\0"), "%{}\tA\\\0"s);
  EXPECT_EQ(written("[%k|%K|%v|%V]", {.topic = "t", .headers = {}}), "[|-1||-1]");
}

TEST(RecordFormat, Unpacks) {
  EXPECT_EQ(written("%v{unpack[>bBhH]}", {.topic = {}, .value = "\xff\xff\xff\xfe\x01\x02"sv, .headers = {}}), "-1 255 -2 258");
  EXPECT_EQ(written("%v{unpack[<I>q]}", {.topic = {}, .value = "\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff"sv, .headers = {}}),
            "1 -1");
  EXPECT_EQ(written("%v{unpack[cxs]}", {.topic = {}, .value = "abrest", .headers = {}}), "a rest");
  EXPECT_EQ(written("%v{unpack[B$]}", {.topic = {}, .value = "ab", .headers = {}}), "97 <more>");
  EXPECT_EQ(written("%v{unpack[Q]}", {.topic = {}, .value = "ab", .headers = {}}), "<short>");
}

TEST(RecordFormat, WhatIsRefused) {
  for (const char* text :
       {"%", "%z", "%v{hex", "%v{big32}", "%o{base64}", "%h{%o}", "%v{unpack[z]}", "\\", "\\xg1", "%d{strftime}"})
    EXPECT_FALSE(parse_record_format(text)) << text;
}

std::string parsed(std::string_view text, std::string input) {
  std::istringstream in(std::move(input));
  auto format = parse_record_format(text);
  if (!format) return "FAULT " + format.error().text;
  auto parser = RecordParser::make(*format, in);
  if (!parser) return "REFUSED";
  std::string out;
  for (;;) {
    auto record = parser->next();
    if (!record) return out + "FAULT";
    if (!*record) return out;
    const RecordIn& r = **record;
    out += "(" + r.topic.value_or("") + "," + (r.partition ? std::to_string(*r.partition) : "") + "," +
           (r.timestamp_ms ? std::to_string(*r.timestamp_ms) : "") + "," + r.key.value_or("null") + "," +
           r.value.value_or("null");
    for (const auto& [name, value] : r.headers) out += "," + name + "=" + value.value_or("null");
    out += ")";
  }
}

TEST(RecordFormat, ReadsText) {
  EXPECT_EQ(parsed("%v\\n", "a\nb\n\nc"), "(,,,null,a)(,,,null,b)(,,,null,)(,,,null,c)");
  EXPECT_EQ(parsed("%k\\t%v\\n", "k\tv\nx\ty\n"), "(,,,k,v)(,,,x,y)");
  EXPECT_EQ(parsed("%t %p %d %v\\n", "top 2 1600000000000 v\n"), "(top,2,1600000000000,null,v)");
  EXPECT_EQ(parsed("%v", "all\nof it"), "(,,,null,all\nof it)");
  EXPECT_EQ(parsed("%v{hex}\\n", "6162\n"), "(,,,null,ab)");
  EXPECT_EQ(parsed("%k{base64} %v{base64}\\n", "aw== dmFsdWU\n"), "(,,,k,value)");
  EXPECT_EQ(parsed("%v--\\n", "a-b--\nc--\n"), "(,,,null,a-b)(,,,null,c)");
}

TEST(RecordFormat, ReadsSizes) {
  EXPECT_EQ(parsed("%K %V %k%v", "1 2 kvv3 0 abc"), "(,,,k,vv)(,,,abc,)");
  EXPECT_EQ(parsed("%K{big32}%k%V{big16}%v", "\0\0\0\x01k\0\x02vv\xff\xff\xff\xff\xff\xff"s), "(,,,k,vv)(,,,null,null)");
  EXPECT_EQ(parsed("%H %h{%K{little16}%k%V{big8}%v}%v\\n", "2 \x01\0a\x01"s + "1\x01\0b\xffrest\n"s),
            "(,,,null,rest,a=1,b=null)");
}

TEST(RecordFormat, ReadsWhatItWrote) {
  const std::string both = "%p %d %K{big32}%k%V{big32}%v%H{big8}%h{%K{big16}%k%V{big16}%v}\\n";
  EXPECT_EQ(parsed(both, written(both) + written(both)),
            "(,3,1644834030250,k\x01,value,a=1,b=null)(,3,1644834030250,k\x01,value,a=1,b=null)");
}

TEST(RecordFormat, InputThatDoesNotFit) {
  EXPECT_EQ(parsed("%k\\t%v\\n", "no tab\n"), "FAULT");
  EXPECT_EQ(parsed("%p %v\\n", "x v\n"), "FAULT");
  EXPECT_EQ(parsed("%V{big32}%v", "\0\0\0\x05"s + "abc"), "FAULT");
  EXPECT_EQ(parsed("%V{big32}%v", "\x7f\xff\xff\xff"s), "FAULT");
  EXPECT_EQ(parsed("%v{hex}\\n", "xyz\n"), "FAULT");
  EXPECT_EQ(parsed("(%v)", "(a)(b"), "(,,,null,a)(,,,null,b)");
  EXPECT_EQ(parsed("%k%v", "x"), "REFUSED");
  EXPECT_EQ(parsed("%h{%k=%v,}", "x"), "REFUSED");
  EXPECT_EQ(parsed("plain", "plain"), "REFUSED");
  EXPECT_EQ(parsed("%v{unpack[s]}\\n", "x"), "REFUSED");
}

}  // namespace
}  // namespace weir::cli
