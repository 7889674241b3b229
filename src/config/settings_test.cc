#include "config/settings.h"

#include <fstream>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "config/broker_config.h"

namespace weir::config {
namespace {

Settings settings_of(std::vector<Property> properties) {
  auto settings = Settings::from(properties);
  EXPECT_TRUE(settings.has_value()) << (settings ? "" : settings.error().text);
  return settings ? *settings : Settings();
}

std::string error_of(std::vector<Property> properties) {
  auto settings = Settings::from(properties);
  if (!settings) return settings.error().text;
  auto config = make_broker_config(*settings);
  return config ? "no error" : config.error().text;
}

TEST(Declarations, AreSortedUniqueDocumentedAndTheirDefaultsParse) {
  for (const auto table : {broker_declarations(), topic_declarations(), group_declarations(), client_metrics_declarations(),
                           dynamic_only_declarations()}) {
    std::string_view previous;
    for (const Declaration& d : table) {
      EXPECT_LT(previous, d.name);
      previous = d.name;
      EXPECT_FALSE(d.documentation.empty()) << d.name;
      if (d.default_value && !d.default_value->empty()) {
        const auto checked = check_value(d, *d.default_value);
        EXPECT_TRUE(checked.has_value()) << d.name << ": " << (checked ? "" : checked.error().text);
      }
      if (!d.broker_name.empty()) EXPECT_NE(find_broker_setting(d.broker_name), nullptr) << d.name;
    }
  }
}

TEST(Declarations, TheSettingsPageIsUpToDate) {
  std::ifstream file(std::string(WEIR_SOURCE_DIR) + "/docs/settings.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(text.str() == settings_page()) << "docs/settings.md is made by: weir settings-page > docs/settings.md";
}

TEST(Properties, ReadsWhatJavaReads) {
  const auto properties = parse_properties(
      "# comment\n! also one\n\nnode.id=3\n  num.partitions : 4 \nlisteners\\ x=a\\tb\nbroker.rack = zone\\u002da\n"
      "listeners=PLAINTEXT://:9092,\\\n    SSL://:9093\r\nempty=\nblank value here\n",
      "f");
  ASSERT_TRUE(properties.has_value());
  std::vector<std::string> seen;
  for (const Property& p : *properties) seen.push_back(p.name + "|" + p.value + "|" + p.origin);
  EXPECT_EQ(seen,
            (std::vector<std::string>{"node.id|3|f:4", "num.partitions|4|f:5", "listeners x|a\tb|f:6", "broker.rack|zone-a|f:7",
                                      "listeners|PLAINTEXT://:9092,SSL://:9093|f:8", "empty||f:10", "blank|value here|f:11"}));
  EXPECT_FALSE(parse_properties("a=\\u12", "f").has_value());
  EXPECT_FALSE(parse_properties("=x", "f").has_value());
}

TEST(Environment, FollowsKafkasSpelling) {
  const auto properties =
      from_environment({{"KAFKA_NUM_PARTITIONS", "3"}, {"KAFKA_A__B___C", "x"}, {"KAFKA_HEAP_OPTS", "-Xmx1g"}, {"PATH", "/"}});
  ASSERT_EQ(properties.size(), 2U);
  EXPECT_EQ(properties[0].name, "a_b-c");
  EXPECT_EQ(properties[1].name, "num.partitions");
}

TEST(SettingsFrom, LaterSourcesWinAndErrorsNamePlaceReasonAndNearestName) {
  EXPECT_EQ(settings_of({{"num.partitions", "3", "f:1"}, {"num.partitions", "5", "--override"}}).integer("num.partitions"), 5);
  EXPECT_EQ(error_of({{"num.partition", "3", "f:7"}}),
            "f:7: there is no setting 'num.partition'; did you mean 'num.partitions'?");
  EXPECT_EQ(error_of({{"num.partitions", "0", "f:2"}}), "f:2: num.partitions: 0 is too small: at least 1");
  EXPECT_EQ(error_of({{"num.partitions", "x", "f:2"}}), "f:2: num.partitions: 'x' is not a whole number");
  EXPECT_EQ(error_of({{"num.partitions", "2147483648", "f:2"}}),
            "f:2: num.partitions: 2147483648 is too large: at most 2147483647");
  EXPECT_EQ(error_of({{"delete.topic.enable", "yes", "f:2"}}), "f:2: delete.topic.enable: 'yes' is neither true nor false");
  EXPECT_NE(error_of({{"authorizer.class.name", "x", "f:2"}}).find("Remove the line"), std::string::npos);
}

TEST(SettingsFrom, InertSettingsWarnOnceEach) {
  const auto lines = settings_of({{"log.dirs", "/x", "f:1"}, {"node.id", "1", "f:2"}}).warnings();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_TRUE(lines[0].starts_with("log.dirs (f:1): ")) << lines[0];
}

TEST(Units, AreReadAndRefused) {
  EXPECT_EQ(parse_size("64MiB").value(), 64ULL << 20U);
  EXPECT_EQ(parse_size("4096").value(), 4096U);
  EXPECT_FALSE(parse_size("64QiB").has_value());
  EXPECT_FALSE(parse_size("MiB").has_value());
  EXPECT_FALSE(parse_size("9223372036854775807GiB").has_value());
  EXPECT_EQ(parse_duration_ms("25s").value(), 25000);
  EXPECT_EQ(parse_duration_ms("2min").value(), 120000);
  EXPECT_FALSE(parse_duration_ms("25y").has_value());
}

TEST(BrokerConfig, DefaultsStandUnderTheDataDirectory) {
  const auto config = make_broker_config(settings_of({{"weir.data.dir", "/d", "x"}}));
  ASSERT_TRUE(config.has_value()) << config.error().text;
  EXPECT_EQ(config->wal.directory, "/d/wal");
  EXPECT_EQ(config->store_url, "file:///d/store");
  EXPECT_EQ(config->keyspace_url, "file:///d/keyspace");
  EXPECT_EQ(config->upload_size_bytes, 64ULL << 20U);
  EXPECT_EQ(config->upload_age_ms, 60000);
  EXPECT_EQ(config->garbage_delay_ms, 300000);
  EXPECT_EQ(config->shutdown_timeout_ms, 25000);
  ASSERT_EQ(config->listeners.size(), 1U);
  EXPECT_EQ(config->listeners[0].name, "PLAINTEXT");
  EXPECT_EQ(config->admin_listeners[0].port, 9644);
}

TEST(BrokerConfig, MergingIsOnByItselfOnlyWhereFewerCallsSaveSomething) {
  const auto rate = [](std::vector<Property> properties) -> std::uint64_t {
    const auto config = make_broker_config(settings_of(std::move(properties)));
    EXPECT_TRUE(config) << config.error().text;
    return config ? config->merge.bytes_per_second : 1;
  };
  EXPECT_EQ(rate({}), 0U) << "a local directory";
  EXPECT_EQ(rate({{"weir.merge.rate", "8MiB", "x"}}), 8U << 20U);
  EXPECT_EQ(rate({{"weir.store", "s3://bucket/prefix", "x"}}), 64U << 20U);
  EXPECT_EQ(rate({{"weir.store", "s3://bucket/prefix", "x"}, {"weir.merge.rate", "0", "x"}}), 0U);
}

TEST(BrokerConfig, TheDiskCacheIsOffUntilItHasASize) {
  const auto off = make_broker_config(settings_of({{"weir.data.dir", "/d", "x"}}));
  ASSERT_TRUE(off) << off.error().text;
  EXPECT_EQ(off->cache_disk.size_bytes, 0U);
  EXPECT_EQ(off->cache_disk.directory, "/d/cache");
  const auto on =
      make_broker_config(settings_of({{"weir.cache.disk.path", "/fast", "x"}, {"weir.cache.disk.size", "2GiB", "x"}}));
  ASSERT_TRUE(on) << on.error().text;
  EXPECT_EQ(on->cache_disk.size_bytes, 2ULL << 30U);
  EXPECT_EQ(on->cache_disk.directory, "/fast");
  EXPECT_NE(error_of({{"weir.cache.disk.size", "1MiB", "x"}}).find("at least 64MiB"), std::string::npos);
}

TEST(BrokerConfig, CatchUpHasNoLimitByDefaultAndOneThatHoldsABlock) {
  const auto config = make_broker_config(settings_of({{"weir.catchup.bandwidth", "50MiB", "x"}}));
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->catchup_bytes_per_second, 50U << 20U);
  EXPECT_EQ(make_broker_config(settings_of({}))->catchup_bytes_per_second, 0U);
  EXPECT_NE(error_of({{"weir.catchup.bandwidth", "1000", "x"}}).find("at least 1MiB"), std::string::npos);
}

TEST(BrokerConfig, SplitsAreOnWhereMergingIs) {
  const auto config = make_broker_config(settings_of({{"weir.store", "s3://bucket/prefix", "x"}}));
  ASSERT_TRUE(config) << config.error().text;
  EXPECT_EQ(config->merge.split_bytes, 256ULL << 20U);
  EXPECT_NE(error_of({{"weir.merge.split.bytes", "1KiB", "x"}}).find("weir.merge.split.bytes"), std::string::npos);
  EXPECT_EQ(error_of({{"listeners", "PLAINTEXT://0.0.0.0:9092", "x"},
                      {"weir.insecure", "true", "x"},
                      {"weir.merge.split.bytes", "0", "x"}}),
            "no error");
}

TEST(BrokerConfig, ListenersAreCheckedAgainstEachOtherAndAgainstTheWorld) {
  EXPECT_NE(error_of({{"listeners", "PLAINTEXT://0.0.0.0:9092", "x"}}).find("weir.insecure"), std::string::npos);
  EXPECT_NE(error_of({{"listeners", "PLAINTEXT://:9092", "x"}}).find("weir.insecure"), std::string::npos);
  EXPECT_EQ(error_of({{"listeners", "PLAINTEXT://0.0.0.0:9092", "x"}, {"weir.insecure", "true", "x"}}), "no error");
  EXPECT_NE(error_of({{"listeners", "FOO://127.0.0.1:9092", "x"}}).find("listener.security.protocol.map"), std::string::npos);
  EXPECT_NE(error_of({{"listeners", "SSL://127.0.0.1:9092", "x"}}).find("ssl.keystore.location"), std::string::npos);
  EXPECT_NE(error_of({{"listeners", "PLAINTEXT://127.0.0.1", "x"}}).find("port"), std::string::npos);
  EXPECT_NE(error_of({{"weir.admin.listeners", "http://0.0.0.0:1", "x"}}).find("weir.insecure"), std::string::npos);
  EXPECT_NE(error_of({{"advertised.listeners", "PLAINTEXT://0.0.0.0:1", "x"}}).find("cannot connect"), std::string::npos);
  EXPECT_NE(error_of({{"weir.wal", "file:///w?size=1MiB", "x"}}).find("64MiB"), std::string::npos);
  EXPECT_NE(error_of({{"weir.wal", "file:///w?siz=1GiB", "x"}}).find("unknown parameter"), std::string::npos);
  EXPECT_NE(error_of({{"weir.wal", "file:///w?emulate=gp4", "x"}}).find("did you mean gp3?"), std::string::npos);
  EXPECT_NE(error_of({{"weir.wal", "file:///w?emulate=", "x"}}).find("there are fsx, gp3, io2, nvme"), std::string::npos);
}

TEST(BrokerConfig, ConnectionsOfSingleAddressesAreRead) {
  constexpr auto name = "max.connections.per.ip.overrides";
  auto config = make_broker_config(settings_of({{name, "127.0.0.1:5, [::1]:6,fe80:0:0::2:7", "x"}}));
  ASSERT_TRUE(config.has_value()) << config.error().text;
  const std::map<std::string, std::uint32_t> expected = {{"127.0.0.1", 5}, {"::1", 6}, {"fe80::2", 7}};
  EXPECT_EQ(config->connections_per_ip, expected);
  for (const char* wrong : {"127.0.0.1", "127.0.0.1:", "127.0.0.1:-1", "127.0.0.1:x", "myhost:5", ":5"}) {
    EXPECT_NE(error_of({{name, wrong, "x"}}).find(name), std::string::npos) << wrong;
  }
}

TEST(TopicConfig, OwnValuesComeBeforeTheBrokers) {
  const Settings broker = settings_of({{"log.retention.hours", "2", "x"}, {"message.max.bytes", "5000", "x"}});
  const model::TopicConfig config =
      make_topic_config({{"max.message.bytes", "7000"}, {"cleanup.policy", "compact,delete"}}, broker);
  EXPECT_EQ(config.max_message_bytes, 7000);
  EXPECT_EQ(config.retention_ms, 2 * 3600 * 1000);
  EXPECT_TRUE(config.cleanup_compact);
  EXPECT_TRUE(config.cleanup_delete);
  EXPECT_EQ(make_topic_config({}, broker).max_message_bytes, 5000);
}

}  // namespace
}  // namespace weir::config
