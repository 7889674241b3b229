// Limits by the names that an administrator sets: each is set here, run into from outside, and the broker goes on serving others.
#include <algorithm>
#include <optional>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/records.h"
#include "whole_broker.h"
#include "wire/api_versions.h"
#include "wire/fetch.h"
#include "wire/metadata.h"
#include "wire/produce.h"

namespace weir::gates {
namespace {

using model::ErrorCode;
using std::chrono::milliseconds;
using std::chrono::seconds;

bool is_served(Client& client, base::Duration patience = seconds(5)) {
  client.send_request(wire::ApiVersionsRequest{}, 0);
  return client.receive(patience).has_value();
}

std::string log_of(const WholeBroker& broker) {
  std::string all;
  for (const std::string& line : broker.log_lines()) all += line + "\n";
  return all;
}

ErrorCode produce(Client& client, std::string_view topic, std::size_t value_bytes) {
  const std::string value(value_bytes, 'x');
  const auto batch = model::build_batch({}, {{.key = "k", .value = value, .timestamp = 1'790'000'000'000}});
  wire::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 10'000;
  wire::ProduceRequest::Partition partition;
  partition.records = wire::Records(bytes::BufferList{*batch});
  wire::ProduceRequest::Topic out;
  out.name = topic;
  out.partition_data.push_back(std::move(partition));
  request.topic_data.push_back(std::move(out));
  return client.ask<wire::ProduceResponse>(request, 9)->responses.at(0).partition_responses.at(0).error_code;
}

Answer<wire::FetchResponse> fetch(Client& client, std::string_view topic, std::int32_t max_bytes) {
  wire::FetchRequest request;
  request.max_bytes = max_bytes;
  request.session_epoch = 0;
  wire::FetchRequest::Topic out;
  out.topic = topic;
  wire::FetchRequest::Partition partition;
  partition.partition_max_bytes = max_bytes;
  out.partitions.push_back(std::move(partition));
  request.topics.push_back(std::move(out));
  return client.ask<wire::FetchResponse>(request, 12);
}

std::size_t fetched_bytes(Client& client, std::string_view topic, std::int32_t max_bytes) {
  return fetch(client, topic, max_bytes)->responses.at(0).partitions.at(0).records.size();
}

TEST(Limits, SocketRequestMaxBytes) {
  WholeBroker broker({{"socket.request.max.bytes", "1000"}});
  Client client(broker);
  // Found by measuring: a frame of exactly 1000 bytes is served, one more byte is not.
  wire::MetadataRequest request;
  const auto with_name = [&](const std::string& name) {
    request.topics.emplace();
    wire::MetadataRequest::Topic topic;
    topic.name = name;
    request.topics->push_back(std::move(topic));
    return wire::flatten(*wire::encode_request(request, 1, 1, "c"));
  };
  const std::size_t without = with_name("").size() - 4;
  const std::string fits(1000 - without, 'n');
  client.send(with_name(fits));
  EXPECT_TRUE(client.receive().has_value());
  client.send(with_name(fits + "n"));
  EXPECT_FALSE(client.receive().has_value());
  EXPECT_TRUE(client.closed());
  EXPECT_THAT(log_of(broker), ::testing::HasSubstr("socket.request.max.bytes=1000"));
  Client other(broker);
  EXPECT_TRUE(is_served(other));
}

TEST(Limits, MaxConnections) {
  WholeBroker broker({{"max.connections", "2"}});
  std::optional<Client> first(broker);
  Client second(broker);
  EXPECT_TRUE(is_served(*first));
  EXPECT_TRUE(is_served(second));
  Client third(broker);
  EXPECT_FALSE(is_served(third)) << "one more waits";
  EXPECT_FALSE(third.closed());
  EXPECT_TRUE(is_served(second));
  first.reset();
  EXPECT_TRUE(third.receive().has_value()) << "what it asked while it waited is answered";
}

TEST(Limits, MaxConnectionsPerIpAndItsOverrides) {
  WholeBroker broker({{"max.connections.per.ip", "2"}, {"max.connections.per.ip.overrides", "10.0.0.8:3,10.9.9.9:0"}});
  for (const std::size_t host : {0U, 1U}) {
    std::deque<Client> clients;
    for (std::size_t i = 0; i < 2 + host; ++i) EXPECT_TRUE(is_served(clients.emplace_back(broker, host)));
    {
      Client more(broker, host);
      EXPECT_FALSE(is_served(more));
      EXPECT_TRUE(more.closed());
    }
    clients.pop_front();
    broker.world.run_for(seconds(1));
    Client again(broker, host);
    EXPECT_TRUE(is_served(again)) << "a place that was given up is free";
  }
  EXPECT_THAT(log_of(broker), ::testing::HasSubstr("max.connections.per.ip is reached"));
}

TEST(Limits, ConnectionsMaxIdleMs) {
  WholeBroker broker({{"connections.max.idle.ms", "5000"}});
  Client idle(broker);
  Client busy(broker);
  const base::MonoTime from = broker.world.now();
  for (int i = 0; i < 2; ++i) {
    broker.world.run_for(seconds(2));
    EXPECT_TRUE(is_served(busy));
  }
  EXPECT_FALSE(idle.receive().has_value());
  EXPECT_TRUE(idle.closed());
  EXPECT_GE(broker.world.now() - from, milliseconds(4990));
  EXPECT_LT(broker.world.now() - from, seconds(6));
  EXPECT_TRUE(is_served(busy));
}

TEST(Limits, QueuedMaxRequestsOfOneStillAnswersAll) {
  WholeBroker broker({{"queued.max.requests", "1"}});
  Client client(broker);
  for (int i = 0; i < 20; ++i) client.send_request(wire::ApiVersionsRequest{}, 0);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(client.receive().has_value());
}

TEST(Limits, FetchSessionSlots) {
  for (const auto& [slots, expected] : {std::pair("0", 0U), std::pair("2", 2U), std::pair("1000", 6U)}) {
    SCOPED_TRACE(slots);
    WholeBroker broker({{"max.incremental.fetch.session.cache.slots", slots}});
    broker.make_topic("t");
    std::deque<Client> clients;
    std::size_t sessions = 0;
    for (int i = 0; i < 6; ++i) {
      clients.emplace_back(broker);
      sessions += fetch(clients.back(), "t", 1000)->session_id != 0 ? 1 : 0;
    }
    EXPECT_EQ(sessions, expected);
  }
}

TEST(Limits, FetchMaxBytes) {
  WholeBroker broker({{"fetch.max.bytes", "1024"}});
  broker.make_topic("small");
  broker.make_topic("large");
  Client client(broker);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(produce(client, "small", 600), ErrorCode::none);
  EXPECT_EQ(produce(client, "large", 5000), ErrorCode::none);
  const std::size_t one = fetched_bytes(client, "small", 1 << 20);
  EXPECT_GT(one, 600U);
  EXPECT_LE(one, 1024U);
  EXPECT_GT(fetched_bytes(client, "large", 1 << 20), 5000U) << "a batch above the limit still goes, or nobody gets past it";
}

TEST(Limits, MessageMaxBytes) {
  WholeBroker broker({{"message.max.bytes", "1000"}});
  broker.make_topic("t");
  Client client(broker);
  EXPECT_EQ(produce(client, "t", 500), ErrorCode::none);
  EXPECT_EQ(produce(client, "t", 1000), ErrorCode::message_too_large);
}

TEST(Handshake, AMisroutedClientIsToldToStartAnew) {
  WholeBroker broker;
  Client client(broker);
  const std::string own = broker.cluster().to_string();
  wire::ApiVersionsRequest request;
  request.client_software_name = "gates";
  request.client_software_version = "1";
  const auto ask = [&](std::optional<std::string_view> cluster, std::int32_t node) {
    request.cluster_id = cluster;
    request.node_id = model::NodeId(node);
    const auto answer = client.ask<wire::ApiVersionsResponse>(request, 5);
    EXPECT_EQ(answer->api_keys.empty(), answer->error_code != ErrorCode::none);
    return answer->error_code;
  };
  EXPECT_EQ(ask(std::nullopt, -1), ErrorCode::none);
  EXPECT_EQ(ask(own, WholeBroker::node_id), ErrorCode::none);
  EXPECT_EQ(ask(own, WholeBroker::node_id + 1), ErrorCode::rebootstrap_required);
  EXPECT_EQ(ask("AAAAAAAAAAAAAAAAAAAAAA", WholeBroker::node_id), ErrorCode::rebootstrap_required);
  EXPECT_EQ(ask(own, -1), ErrorCode::invalid_request);
  EXPECT_EQ(ask(std::nullopt, WholeBroker::node_id), ErrorCode::invalid_request);
  EXPECT_EQ(ask(own, WholeBroker::node_id), ErrorCode::none) << "the connection goes on";
}

TEST(Replicas, AreAsManyAsAskedForAndDistinct) {
  WholeBroker broker({{"default.replication.factor", "3"}});
  Client client(broker);
  wire::MetadataRequest request;
  wire::MetadataRequest::Topic topic;
  topic.name = "t";
  request.topics->push_back(std::move(topic));
  auto answer = client.ask<wire::MetadataResponse>(request, 9);
  EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::unknown_topic_or_partition) << "Kafka's answer to who asks first";
  answer = client.ask<wire::MetadataResponse>(request, 9);
  ASSERT_EQ(answer->brokers.size(), 1U);
  const auto& partition = answer->topics.at(0).partitions.at(0);
  EXPECT_EQ(partition.leader_id, answer->brokers[0].node_id);
  EXPECT_EQ(partition.replica_nodes.size(), 3U);
  EXPECT_EQ(partition.replica_nodes.at(0), partition.leader_id);
  EXPECT_EQ(partition.isr_nodes, partition.replica_nodes);
  EXPECT_EQ(std::set(partition.replica_nodes.begin(), partition.replica_nodes.end()).size(), 3U);
  EXPECT_TRUE(partition.offline_replicas.empty());
}

}  // namespace
}  // namespace weir::gates
