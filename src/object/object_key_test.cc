#include "object/object_key.h"

#include <gtest/gtest.h>

namespace weir::object {
namespace {

ObjectKey sample() {
  return {.cluster = model::ClusterId{model::Uuid::from_random(1, 2)},
          .incarnation = 3,
          .session = model::SessionId{model::Uuid::from_random(4, 5)},
          .commit = model::CommitNumber(67),
          .id = model::ObjectId{model::Uuid::from_random(8, 9)}};
}

TEST(ObjectKey, RoundTrip) {
  const std::string text = format_object_key(sample());
  EXPECT_EQ(parse_object_key(text), sample()) << text;
  bool found = false;
  for (std::size_t i = 0; i < object_key_hash_count; ++i)
    found = found || text.starts_with(object_key_prefix(i, sample().cluster));
  EXPECT_TRUE(found) << "a listing of all prefixes must see the name";
}

TEST(ObjectKey, WhatAManifestNames) {
  ObjectKey key = sample();
  key.manifest_of = {.topic = model::TopicId{model::Uuid::from_random(7, 7)}, .partition = model::PartitionIndex(12)};
  const std::string text = format_object_key(key);
  EXPECT_EQ(parse_object_key(text), key) << text;
  EXPECT_NE(parse_object_key(text), sample());
  const std::size_t dot = text.rfind(".67/");
  ASSERT_NE(dot, std::string::npos);
  EXPECT_FALSE(parse_object_key(std::string(text).replace(dot, 4, "/67/")));
  EXPECT_FALSE(parse_object_key(std::string(text).replace(dot, 4, ".067/")));
  EXPECT_FALSE(parse_object_key(std::string(text).replace(dot, 4, "/")));
}

TEST(ObjectKey, NothingElsePasses) {
  const std::string text = format_object_key(sample());
  EXPECT_FALSE(parse_object_key(""));
  EXPECT_FALSE(parse_object_key("a/b"));
  EXPECT_FALSE(parse_object_key(text + "/x"));
  EXPECT_FALSE(parse_object_key(text.substr(0, text.size() - 1)));
  EXPECT_FALSE(parse_object_key("0" + text));
  std::string other = text;
  other[0] = other[0] == '0' ? '1' : '0';
  EXPECT_FALSE(parse_object_key(other)) << "the hash must be the id's";
  const std::size_t commit = text.rfind("/67/");
  std::string padded = text;
  padded.replace(commit, 4, "/067/");
  EXPECT_FALSE(parse_object_key(padded)) << "one spelling only";
}

}  // namespace
}  // namespace weir::object
