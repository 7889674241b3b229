#include "config/effective.h"

#include <gtest/gtest.h>

#include "config/broker_config.h"

namespace weir::config {
namespace {

Settings settings_of(const std::vector<Property>& properties) {
  auto settings = Settings::from(properties);
  EXPECT_TRUE(settings.has_value()) << (settings ? "" : settings.error().text);
  return settings ? *settings : Settings();
}

std::string text_of(const Described& described) {
  std::string text = described.value.value_or("null") + " from " + std::to_string(static_cast<int>(described.source)) + ":";
  for (const Synonym& s : described.synonyms)
    text += " " + std::string(s.name) + "=" + s.value + "(" + std::to_string(static_cast<int>(s.source)) + ")";
  return text;
}

// Expected texts are what Apache Kafka 4.3.1 answers in the same situations.
TEST(Describe, ATopicsValueComesFromTheStrongestLayer) {
  const Settings broker =
      settings_of({{"message.max.bytes", "5000", "x"}})
          .with_dynamic({{"log.retention.ms", "777"}, {"message.max.bytes", "123456"}}, {{"message.max.bytes", "223456"}});
  const auto topic = [&](std::string_view name, const Values& own) {
    return text_of(describe_own(*find_topic_setting(name), Source::topic, own, broker));
  };
  EXPECT_EQ(topic("max.message.bytes", {{"max.message.bytes", "2000"}}),
            "2000 from 1: max.message.bytes=2000(1) message.max.bytes=223456(2) message.max.bytes=123456(3) "
            "message.max.bytes=5000(4) message.max.bytes=1048588(5)");
  EXPECT_EQ(topic("max.message.bytes", {}),
            "223456 from 2: message.max.bytes=223456(2) message.max.bytes=123456(3) "
            "message.max.bytes=5000(4) message.max.bytes=1048588(5)");
  EXPECT_EQ(topic("retention.ms", {}), "777 from 3: log.retention.ms=777(3) log.retention.hours=168(5)");
  EXPECT_EQ(topic("remote.storage.enable", {}), "false from 5:");
  EXPECT_EQ(make_topic_config({}, broker).max_message_bytes, 223456);
  EXPECT_EQ(make_topic_config({}, broker).retention_ms, 777);
}

TEST(Describe, UnitsOfOneQuantityFallBackToEachOther) {
  const Settings broker = settings_of({{"log.retention.minutes", "2", "x"}, {"log.roll.hours", "3", "x"}});
  const auto described = [&](std::string_view name) { return text_of(describe_broker(*find_broker_setting(name), broker)); };
  EXPECT_EQ(described("log.retention.ms"), "null from 5:");
  EXPECT_EQ(described("log.retention.hours"), "168 from 5: log.retention.hours=168(5)");
  EXPECT_EQ(described("log.retention.minutes"), "2 from 4: log.retention.minutes=2(4) log.retention.hours=168(5)");
  const auto topic = [&](std::string_view name) {
    return *describe_own(*find_topic_setting(name), Source::topic, {}, broker).value;
  };
  EXPECT_EQ(topic("retention.ms"), "120000");
  EXPECT_EQ(topic("segment.ms"), "10800000");
  EXPECT_EQ(topic("flush.ms"), "9223372036854775807");
}

TEST(Describe, AGroupsValueComesBeforeTheBrokers) {
  const Settings broker = settings_of({});
  const Declaration& timeout = *find_setting(group_declarations(), "consumer.session.timeout.ms");
  EXPECT_EQ(text_of(describe_own(timeout, Source::group, {{"consumer.session.timeout.ms", "50000"}}, broker)),
            "50000 from 8: consumer.session.timeout.ms=50000(8) group.consumer.session.timeout.ms=45000(5)");
  const Declaration& reset = *find_setting(group_declarations(), "share.auto.offset.reset");
  EXPECT_EQ(text_of(describe_own(reset, Source::group, {{"share.auto.offset.reset", "earliest"}}, broker)),
            "earliest from 8: share.auto.offset.reset=earliest(8) share.auto.offset.reset=latest(5)");
  EXPECT_EQ(text_of(describe_own(reset, Source::group, {}, broker)), "latest from 5: share.auto.offset.reset=latest(5)");
}

TEST(WithDynamic, OnlyDynamicNamesWithGoodValuesTakeEffect) {
  const Settings settings = settings_of({}).with_dynamic(
      {{"num.partitions", "9"}, {"message.max.bytes", "x"}, {"max.connections", "7"}, {"no.such.name", "1"}}, {});
  EXPECT_EQ(settings.integer("num.partitions"), 1);
  EXPECT_EQ(settings.integer("message.max.bytes"), 1048588);
  EXPECT_EQ(settings.integer("max.connections"), 7);
}

TEST(Check, TopicValuesMustNotContradictEachOther) {
  const Settings broker = settings_of({});
  EXPECT_FALSE(check_topic_values({{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}}, broker));
  EXPECT_TRUE(check_topic_values({{"min.compaction.lag.ms", "5"}, {"max.compaction.lag.ms", "5"}}, broker));
  EXPECT_FALSE(
      check_topic_values({{"max.compaction.lag.ms", "5"}}, settings_of({{"log.cleaner.min.compaction.lag.ms", "6", "x"}})));
  EXPECT_FALSE(check_topic_values({{"remote.storage.enable", "true"}}, broker));
  EXPECT_FALSE(check_topic_values({{"retention.m", "1"}}, broker));
  EXPECT_FALSE(check_topic_values({{"cleanup.policy", "shred"}}, broker));
  EXPECT_TRUE(check_topic_values({{"retention.ms", "-1"}}, broker));
}

TEST(Check, GroupValuesLieWithinTheBrokersBounds) {
  const Settings broker = settings_of({});
  const auto error = [&](const Values& values) {
    const auto checked = check_group_values(values, broker);
    return checked ? std::string("none") : checked.error().text;
  };
  EXPECT_EQ(error({{"consumer.session.timeout.ms", "50000"}}), "none");
  EXPECT_EQ(error({{"consumer.session.timeout.ms", "1"}}),
            "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms");
  EXPECT_NE(error({{"streams.num.standby.replicas", "100"}}), "none");
  EXPECT_NE(error({{"nope", "1"}}), "none");
}

TEST(Check, BrokerValuesAreRefusedByTheirClass) {
  EXPECT_EQ(check_dynamic_values({{"num.partitions", "3"}}, true).error().text,
            "Cannot update these configs dynamically: [num.partitions]");
  EXPECT_FALSE(check_dynamic_values({{"cordoned.log.dirs", "/x"}}, true));
  EXPECT_TRUE(check_dynamic_values({{"cordoned.log.dirs", "/x"}}, false));
  EXPECT_FALSE(check_dynamic_values({{"log.retention.ms", "abc"}}, true));
  EXPECT_TRUE(check_dynamic_values({{"leader.replication.throttled.rate", "5"}, {"unknown.name", "5"}}, true));
}

TEST(ClientMetrics, SubscriptionsAreReadAndRefused) {
  const auto good =
      parse_client_metrics({{"interval.ms", "1000"}, {"metrics", "a.,b"}, {"match", "client_id=b.*,client_source_port=1"}});
  ASSERT_TRUE(good.has_value());
  EXPECT_EQ(good->interval_ms, 1000);
  EXPECT_EQ(good->metrics.size(), 2U);
  EXPECT_EQ(good->match.size(), 2U);
  EXPECT_FALSE(parse_client_metrics({{"interval.ms", "1"}}).error().bad_pattern);
  EXPECT_TRUE(parse_client_metrics({{"match", "foo=b.*"}}).error().bad_pattern);
  EXPECT_TRUE(parse_client_metrics({{"match", "client_id=b(("}}).error().bad_pattern);
  EXPECT_FALSE(parse_client_metrics({{"nope", "1"}}).has_value());
}

}  // namespace
}  // namespace weir::config
