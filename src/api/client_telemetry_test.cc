#include "api/client_telemetry.h"

#include <gtest/gtest.h>

#include "bytes/compression.h"

namespace weir::api {
namespace {

using model::ErrorCode;

TelemetryClient client_of(std::uint64_t n, std::string client_id = "c") {
  return {.instance = n == 0 ? model::Uuid() : model::Uuid::from_random(7, n << 8U),
          .client_id = std::move(client_id),
          .software_name = "apache-kafka-java"};
}

ConfigView view_of(std::vector<std::pair<std::string, config::Values>> subscriptions, std::uint64_t version = 1) {
  ConfigView view;
  view.version = version;
  for (auto& [name, values] : subscriptions) {
    view.records[{meta::ConfigKind::client_metrics, name}] = {
        .kind = meta::ConfigKind::client_metrics, .name = name, .values = values, .revision = 1};
  }
  return view;
}

bytes::Bytes text(std::string_view s) { return bytes::as_bytes(s); }
const model::Uuid fresh = model::Uuid::from_random(9, 9);

TEST(Telemetry, AClientIsAskedForWhatItsSubscriptionsNameAtTheShortestInterval) {
  ClientTelemetry telemetry;
  const ConfigView view = view_of({{"a", {{"metrics", "x."}, {"interval.ms", "5000"}}},
                                   {"b", {{"metrics", "y.,x."}, {"interval.ms", "2000"}, {"match", "client_id=b.*"}}},
                                   {"all", {{"metrics", "*"}, {"match", "client_id=star,client_software_name=apache.*"}}}});
  const TelemetryOffer plain = telemetry.subscribe(client_of(0), view, 0, fresh);
  EXPECT_EQ(plain.instance, fresh);
  EXPECT_EQ(plain.metrics, std::vector<std::string>{"x."});
  EXPECT_EQ(plain.push_interval_ms, 5000);
  const TelemetryOffer both = telemetry.subscribe(client_of(2, "bob"), view, 0, fresh);
  EXPECT_EQ(both.metrics, (std::vector<std::string>{"x.", "y."}));
  EXPECT_EQ(both.push_interval_ms, 2000);
  EXPECT_EQ(telemetry.subscribe(client_of(3, "star"), view, 0, fresh).metrics, std::vector<std::string>{"*"});
  EXPECT_TRUE(telemetry.subscribe(client_of(4), view_of({}), 0, fresh).metrics.empty());
}

TEST(Telemetry, AClientThatComesBeforeItsTimeIsThrottled) {
  ClientTelemetry telemetry;
  const ConfigView view = view_of({{"a", {{"metrics", "x."}, {"interval.ms", "1000"}}}});
  const TelemetryOffer offer = telemetry.subscribe(client_of(1), view, 0, fresh);
  EXPECT_EQ(telemetry.subscribe(client_of(1), view, 999, fresh).error, ErrorCode::throttling_quota_exceeded);
  const TelemetryPush push{.subscription_id = offer.subscription_id, .metrics = text("m")};
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 500, 1), ErrorCode::none) << "the first push may come at any time";
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 1000, 1), ErrorCode::throttling_quota_exceeded);
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 1500, 1), ErrorCode::none);
  TelemetryPush last = push;
  last.terminating = true;
  EXPECT_EQ(telemetry.push(client_of(1), last, view, 1501, 1), ErrorCode::none) << "the last push may come at any time";
  EXPECT_EQ(telemetry.push(client_of(1), last, view, 9000, 1), ErrorCode::invalid_request);
}

TEST(Telemetry, AChangedSubscriptionIsAskedForAnew) {
  ClientTelemetry telemetry;
  const ConfigView before = view_of({{"a", {{"metrics", "x."}}}});
  const ConfigView after = view_of({{"a", {{"metrics", "z."}}}}, 2);
  const TelemetryOffer offer = telemetry.subscribe(client_of(1), before, 0, fresh);
  const TelemetryPush push{.subscription_id = offer.subscription_id, .metrics = text("m")};
  EXPECT_EQ(telemetry.push(client_of(1), push, after, 10, 1), ErrorCode::unknown_subscription_id);
  const TelemetryOffer again = telemetry.subscribe(client_of(1), after, 11, fresh);
  EXPECT_EQ(again.error, ErrorCode::none) << "without waiting for the interval";
  EXPECT_EQ(again.metrics, std::vector<std::string>{"z."});
  EXPECT_NE(again.subscription_id, offer.subscription_id);
}

TEST(Telemetry, PushesAreCheckedAndKeptDecompressed) {
  ClientTelemetry telemetry;
  const ConfigView view = view_of({{"a", {{"metrics", "x."}, {"interval.ms", "100"}}}});
  EXPECT_EQ(telemetry.push(client_of(0), {}, view, 0, 1), ErrorCode::invalid_request);
  const TelemetryOffer offer = telemetry.subscribe(client_of(1), view, 0, fresh);
  const auto packed = bytes::compress(bytes::Codec::zstd, text(std::string(5000, 'm')));
  ASSERT_TRUE(packed.has_value());
  TelemetryPush push{.subscription_id = offer.subscription_id, .compression = 4, .metrics = packed->view()};
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 100, 77), ErrorCode::none);
  ASSERT_EQ(telemetry.samples().size(), 1U);
  EXPECT_EQ(telemetry.samples()[0].metrics, std::string(5000, 'm'));
  EXPECT_EQ(telemetry.samples()[0].received_ms, 77);
  push.compression = 9;
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 300, 1), ErrorCode::unsupported_compression_type);
  push.compression = 1;
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 500, 1), ErrorCode::invalid_record) << "not gzip";
  const std::string large(2U << 20U, 'x');
  push = {.subscription_id = offer.subscription_id, .metrics = text(large)};
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 700, 1), ErrorCode::telemetry_too_large);
  const auto bomb = bytes::compress(bytes::Codec::zstd, text(std::string(telemetry_expanded_bytes_max + 1, 'b')));
  ASSERT_TRUE(bomb.has_value());
  push = {.subscription_id = offer.subscription_id, .compression = 4, .metrics = bomb->view()};
  EXPECT_EQ(telemetry.push(client_of(1), push, view, 900, 1), ErrorCode::invalid_record);
}

TEST(Telemetry, MemoryAndClientsAreBounded) {
  ClientTelemetry telemetry;
  const ConfigView view = view_of({{"a", {{"metrics", "x."}}}});
  const std::string megabyte(1U << 20U, 'x');
  for (std::uint64_t n = 1; n <= 80; ++n) {
    const TelemetryOffer offer = telemetry.subscribe(client_of(n), view, 0, fresh);
    ASSERT_EQ(telemetry.push(client_of(n), {.subscription_id = offer.subscription_id, .metrics = text(megabyte)}, view, 1, 1),
              ErrorCode::none);
    ASSERT_LE(telemetry.memory_bytes(), telemetry_memory_bytes_max);
  }
  EXPECT_EQ(telemetry.samples().size(), 64U);
  EXPECT_EQ(telemetry.samples()[0].client.instance, client_of(80).instance);
  for (std::uint64_t n = 100; n < 100 + telemetry_instances_max; ++n) (void)telemetry.subscribe(client_of(n), view, 0, fresh);
  EXPECT_EQ(telemetry.instance_count(), telemetry_instances_max);
  EXPECT_EQ(telemetry.memory_bytes(), 0U);
}

}  // namespace
}  // namespace weir::api
