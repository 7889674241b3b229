// Values of the keyspace against their golden bytes, and against bytes that are cut, flipped or from the future.
#include "meta/codec.h"

#include <fstream>
#include <functional>
#include <sstream>

#include <gtest/gtest.h>

#include "bytes/crc32c.h"
#include "bytes/pack.h"
#include "meta/keys.h"
#include "meta/testing/meta_fixture.h"

namespace weir::meta {
namespace {

using keyspace::KeyValue;
using testing::id;

/// One value, how it is written, and what re-encoding its decoded form gives.
struct Sample {
  std::string kind;
  std::string key;
  std::string value;
  std::function<base::Result<std::string>(const KeyValue&)> round_trip;
};

template <class Decode>
auto round_trip(Decode decode) {
  return [decode](const KeyValue& entry) -> base::Result<std::string> {
    auto record = decode(entry);
    if (!record) return std::unexpected(record.error());
    return encode(entry.key, *record);
  };
}

TopicRecord sample_topic() {
  TopicRecord topic = testing::topic_record("orders.eu", 7, 2);
  topic.replication_factor = 3;
  topic.assignments = {{1, 2, 3}, {}};
  topic.configs = {{"cleanup.policy", "compact,delete"}, {"retention.ms", "-1"}};
  topic.internal = true;
  return topic;
}

ObjectRecord sample_object() {
  ObjectRecord object;
  object.session = id<model::SessionId>(1);
  object.commit = model::CommitNumber(18'446'744'073'709'551'615ULL);
  object.id = id<model::ObjectId>(9);
  object.key = "3f/cluster/1/session/42/object";
  object.size_bytes = 1ULL << 40U;
  object.footer_position = (1ULL << 40U) - 4096;
  object.footer_bytes = 4096;
  object.footer_crc = 0x89ABCDEF;
  object.created_ms = 1'800'000'000'000;
  return object;
}

ObjectRecord sample_merged() {
  ObjectRecord object = sample_object();
  object.commit = merge_number_base + 7;
  object.merged_place = 2;
  return object;
}

OwnRecord sample_own() {
  OwnRecord own;
  own.history = {
      {.epoch = model::LeaderEpoch(3), .start = model::Offset(0), .session = id<model::SessionId>(1)},
      {.epoch = model::LeaderEpoch(2'147'483'647), .start = model::Offset(1LL << 60U), .session = id<model::SessionId>(2)}};
  return own;
}

ManifestRecord sample_manifest() {
  return {.sequence = 1ULL << 33U,
          .covers_to = model::Offset(1LL << 41U),
          .page = id<model::ObjectId>(11),
          .key = "3/c/1/s/m.3/x",
          .root_position = 1ULL << 20U,
          .root_bytes = 4096,
          .root_crc = 0xCAFEF00DU};
}

std::vector<Sample> samples() {
  const std::string manifest = keys::manifest(testing::partition(7, 5));
  const std::string cluster(keys::cluster);
  const std::string pid(keys::producer_ids);
  const std::string topic = keys::topic("orders.eu");
  const std::string session = keys::session(id<model::SessionId>(1));
  const std::string segments = keys::segments(id<model::SessionId>(1));
  const std::string commit = keys::commit(id<model::SessionId>(1));
  const std::string object = keys::object(id<model::SessionId>(1), sample_object().commit);
  const std::string own = keys::own(testing::partition(7, 2'147'483'647));
  const std::string start = keys::log_start(testing::partition(7, 0));
  const std::string garbage = keys::garbage(id<model::ObjectId>(9));
  const std::string deletion = keys::deletion(id<model::TopicId>(7));
  const std::string merged = keys::object(id<model::SessionId>(1), sample_merged().commit);
  const std::string config = keys::config(ConfigKind::group, "a/b");
  SessionRecord live = testing::session_record(1, 12);
  return {
      {"cluster", cluster, encode(cluster, ClusterRecord{.id = id<model::ClusterId>(1), .format_level = 1, .incarnation = 2}),
       round_trip(decode_cluster)},
      {"topic", topic, encode(topic, sample_topic()), round_trip(decode_topic)},
      {"session", session, encode(session, live), round_trip(decode_session)},
      {"segments", segments, encode_segments(segments, 17),
       [](const KeyValue& entry) -> base::Result<std::string> {
         WEIR_TRY_ASSIGN(const auto count, decode_segments(entry));
         return encode_segments(entry.key, count);
       }},
      {"commit", commit, encode(commit, CommitRecord{.commit = model::CommitNumber(5), .object = id<model::ObjectId>(9)}),
       round_trip(decode_commit)},
      {"object", object, encode(object, sample_object()), round_trip(decode_object)},
      {"own", own, encode(own, sample_own()), round_trip(decode_own)},
      {"log start", start, encode_log_start(start, model::Offset(123'456'789'012)),
       [](const KeyValue& entry) -> base::Result<std::string> {
         WEIR_TRY_ASSIGN(const auto offset, decode_log_start(entry));
         return encode_log_start(entry.key, offset);
       }},
      {"garbage", garbage, encode(garbage, GarbageRecord{.id = id<model::ObjectId>(9), .key = "3f/x", .unlinked_ms = 77}),
       round_trip(decode_garbage)},
      {"deletion", deletion, encode(deletion, DeletionRecord{.name = "orders.eu", .partition_count = 2}),
       round_trip(decode_deletion)},
      {"producer ids", pid, encode_producer_ids(pid, model::ProducerId(5000)),
       [](const KeyValue& entry) -> base::Result<std::string> {
         WEIR_TRY_ASSIGN(const auto next, decode_producer_ids(entry));
         return encode_producer_ids(entry.key, next);
       }},
      {"config", config,
       encode(config, ConfigRecord{.kind = ConfigKind::group, .name = "a/b", .values = {{"x.ms", "1"}, {"y", ""}}}),
       round_trip(decode_config)},
      {"manifest", manifest, encode(manifest, sample_manifest()), round_trip(decode_manifest)},
      {"merged object", merged, encode(merged, sample_merged()), round_trip(decode_object)},
  };
}

std::string hex(const std::string& text) {
  std::string out;
  for (const char c : text) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

// The golden file was written by the first version and is never rewritten: what it holds must be readable for ever, and this
// version must write the very same bytes.
TEST(KeyspaceV1, GoldenValues) {
  std::ifstream file(std::string(WEIR_ROOM_DIR) + "/testdata/keyspace-v1.golden");
  std::stringstream golden;
  golden << file.rdbuf();
  std::string written;
  for (const Sample& sample : samples()) written += fmt::format("{} | {} | {}\n", sample.kind, sample.key, hex(sample.value));
  EXPECT_EQ(golden.str(), written);
}

TEST(KeyspaceV1, EveryValueSurvivesARoundTrip) {
  for (const Sample& sample : samples()) {
    auto again = sample.round_trip({.key = sample.key, .value = sample.value, .mod_revision = 3});
    ASSERT_TRUE(again.has_value()) << sample.kind << ": " << again.error().text;
    EXPECT_EQ(*again, sample.value) << sample.kind;
  }
  const Sample topic = samples()[1];
  auto decoded = decode_topic({.key = topic.key, .value = topic.value, .mod_revision = 3});
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->name, "orders.eu");
  EXPECT_EQ(decoded->revision, 3);
  EXPECT_EQ(decoded->assignments, sample_topic().assignments);
}

TEST(KeyspaceV1, AnyFlipCutOrForeignKeyIsCorrupt) {
  for (const Sample& sample : samples()) {
    for (std::size_t at = 0; at < sample.value.size(); ++at) {
      std::string flipped = sample.value;
      flipped[at] = static_cast<char>(flipped[at] ^ 0x04);
      const auto read = sample.round_trip({.key = sample.key, .value = flipped, .mod_revision = 1});
      ASSERT_FALSE(read.has_value()) << sample.kind << " byte " << at;
      EXPECT_EQ(read.kind(), base::ErrorKind::corrupt);
      EXPECT_NE(read.error().text.find(sample.key), std::string::npos) << "the error names the key";
      const auto cut = sample.round_trip({.key = sample.key, .value = sample.value.substr(0, at), .mod_revision = 1});
      ASSERT_FALSE(cut.has_value());
      EXPECT_EQ(cut.kind(), base::ErrorKind::corrupt);
    }
    std::string other_key = sample.key;
    other_key.back() = other_key.back() == '0' ? '1' : '0';
    const auto elsewhere = sample.round_trip({.key = other_key, .value = sample.value, .mod_revision = 1});
    ASSERT_FALSE(elsewhere.has_value()) << sample.kind << " under another key";
    EXPECT_EQ(elsewhere.kind(), base::ErrorKind::corrupt);
  }
}

// Bytes with a right CRC that this version does not write.
std::string resealed(const std::string& key, std::string body) {
  bytes::Packer out;
  out.put_bytes(bytes::as_bytes(body));
  out.put(bytes::crc32c(bytes::as_bytes(body), bytes::crc32c(bytes::as_bytes(key))));
  return out.str();
}

TEST(KeyspaceV1, ANewerVersionIsRefusedByNumber) {
  for (const Sample& sample : samples()) {
    std::string body = sample.value.substr(0, sample.value.size() - 4);
    body[0] = 2;
    const auto read = sample.round_trip({.key = sample.key, .value = resealed(sample.key, body), .mod_revision = 1});
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.kind(), base::ErrorKind::invalid);
    EXPECT_NE(read.error().text.find("version 2"), std::string::npos) << read.error().text;
  }
}

TEST(KeyspaceV1, BytesLeftOverOrMissingAreCorruptThoughTheCrcIsRight) {
  for (const Sample& sample : samples()) {
    const std::string body = sample.value.substr(0, sample.value.size() - 4);
    for (const std::string& wrong : {body + '\0', body.substr(0, body.size() - 1)}) {
      const auto read = sample.round_trip({.key = sample.key, .value = resealed(sample.key, wrong), .mod_revision = 1});
      ASSERT_FALSE(read.has_value()) << sample.kind;
      EXPECT_EQ(read.kind(), base::ErrorKind::corrupt) << sample.kind;
    }
  }
}

TEST(KeyspaceV1, HostileCountsAreRefusedBeforeAnythingIsAllocated) {
  const std::string key = keys::own(testing::partition(1, 0));
  bytes::Packer body;
  body.put(std::uint8_t{1});
  body.put(std::uint32_t{0xFFFFFFFF});
  const auto read = decode_own({.key = key, .value = resealed(key, body.str()), .mod_revision = 1});
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.kind(), base::ErrorKind::corrupt);
}

TEST(KeyspaceV1, AHistoryThatGoesBackIsCorrupt) {
  const std::string key = keys::own(testing::partition(1, 0));
  OwnRecord back = sample_own();
  std::swap(back.history[0], back.history[1]);
  EXPECT_FALSE(decode_own({.key = key, .value = encode(key, back), .mod_revision = 1}).has_value());
  OwnRecord none;
  EXPECT_FALSE(decode_own({.key = key, .value = encode(key, none), .mod_revision = 1}).has_value());
}

TEST(KeyspaceV1, KeysSortAsTheirNumbersAndAreReadBack) {
  const model::SessionId session = id<model::SessionId>(4);
  EXPECT_LT(keys::object(session, model::CommitNumber(9)), keys::object(session, model::CommitNumber(10)));
  EXPECT_LT(keys::own(testing::partition(1, 9)), keys::own(testing::partition(1, 10)));
  const auto partition = keys::parse_partition(keys::rest(keys::own(testing::partition(1, 10)), keys::own_prefix));
  ASSERT_TRUE(partition.has_value());
  EXPECT_EQ(*partition, testing::partition(1, 10));
  const auto object = keys::parse_object(keys::rest(keys::object(session, model::CommitNumber(77)), keys::object_prefix));
  ASSERT_TRUE(object.has_value());
  EXPECT_EQ(object->session, session);
  EXPECT_EQ(object->commit, model::CommitNumber(77));
  const std::string own = keys::own(testing::partition(1, 10));
  for (const std::string& bad :
       {own.substr(0, own.size() - 1), own + "0", own + "x", std::string("own/"), std::string("own/x/0000000001")}) {
    EXPECT_FALSE(keys::parse_partition(keys::rest(bad, keys::own_prefix)).has_value()) << bad;
  }
  EXPECT_FALSE(
      keys::parse_partition(keys::rest(keys::own_of(id<model::TopicId>(1)) + "4294967295", keys::own_prefix)).has_value());
}

}  // namespace
}  // namespace weir::meta
