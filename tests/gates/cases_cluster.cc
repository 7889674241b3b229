// The gates of the cluster: features, quorum, directories, leaders, reassignments, telemetry.
#include "cases.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/describe_log_dirs.h"
#include "wire/describe_quorum.h"
#include "wire/describe_topic_partitions.h"
#include "wire/elect_leaders.h"
#include "wire/get_telemetry_subscriptions.h"
#include "wire/list_partition_reassignments.h"
#include "wire/push_telemetry.h"
#include "wire/unregister_broker.h"
#include "wire/update_features.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

const std::vector<model::PartitionIndex> first_partition = {model::PartitionIndex(0)};

/// Refused as a whole with every right refused, answered with `opens` on the cluster alone.
template <class Response, class Request>
void whole_request(Gate& gate, const Request& request, Operation opens) {
  each_version<Request>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    EXPECT_EQ(gate.client.ask<Response>(request, version)->error_code, ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(opens, ResourceType::cluster);
    EXPECT_NE(gate.client.ask<Response>(request, version)->error_code, ErrorCode::cluster_authorization_failed);
  });
}

}  // namespace

void denied_describe_topic_partitions(Gate& gate) {
  wire::DescribeTopicPartitionsRequest named;
  for (const std::string_view name : {"existing", "missing"}) {
    wire::DescribeTopicPartitionsRequest::Topic topic;
    topic.name = name;
    named.topics.push_back(std::move(topic));
  }
  const wire::DescribeTopicPartitionsRequest all;
  gate.authorizer.deny_all();
  auto answer = gate.client.ask<wire::DescribeTopicPartitionsResponse>(named, 0);
  ASSERT_EQ(answer->topics.size(), 2U);
  for (const auto& topic : answer->topics) {
    EXPECT_EQ(topic.error_code, ErrorCode::topic_authorization_failed);
    EXPECT_TRUE(topic.topic_id.is_zero());
    EXPECT_TRUE(topic.partitions.empty());
  }
  EXPECT_TRUE(gate.client.ask<wire::DescribeTopicPartitionsResponse>(all, 0)->topics.empty()) << "hidden, not refused";
  gate.authorizer.allow_only(Operation::describe, ResourceType::topic);
  answer = gate.client.ask<wire::DescribeTopicPartitionsResponse>(named, 0);
  EXPECT_EQ(answer->topics.at(0).partitions.size(), 2U);
  EXPECT_EQ(answer->topics.at(0).topic_authorized_operations, 1 << static_cast<int>(Operation::describe));
  EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::unknown_topic_or_partition);
  EXPECT_EQ(gate.client.ask<wire::DescribeTopicPartitionsResponse>(all, 0)->topics.size(), 1U);
}

void denied_describe_log_dirs(Gate& gate) {
  wire::DescribeLogDirsRequest request;
  request.topics.reset();
  each_version<wire::DescribeLogDirsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::DescribeLogDirsResponse>(request, version);
    EXPECT_TRUE(answer->results.empty());
    if (version >= 3) EXPECT_EQ(answer->error_code, ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::cluster);
    answer = gate.client.ask<wire::DescribeLogDirsResponse>(request, version);
    ASSERT_EQ(answer->results.size(), 1U);
    EXPECT_EQ(answer->results[0].topics.at(0).partitions.size(), 2U);
  });
}

void denied_describe_quorum(Gate& gate) {
  whole_request<wire::DescribeQuorumResponse>(gate, wire::DescribeQuorumRequest{}, Operation::describe);
}
void denied_update_features(Gate& gate) {
  whole_request<wire::UpdateFeaturesResponse>(gate, wire::UpdateFeaturesRequest{}, Operation::alter);
}
void denied_list_partition_reassignments(Gate& gate) {
  whole_request<wire::ListPartitionReassignmentsResponse>(gate, wire::ListPartitionReassignmentsRequest{}, Operation::describe);
}
void denied_unregister_broker(Gate& gate) {
  whole_request<wire::UnregisterBrokerResponse>(gate, wire::UnregisterBrokerRequest{}, Operation::alter);
}

void denied_elect_leaders(Gate& gate) {
  wire::ElectLeadersRequest request;
  wire::ElectLeadersRequest::TopicPartitions topic;
  topic.topic = "existing";
  topic.partitions = first_partition;
  request.topic_partitions->push_back(std::move(topic));
  each_version<wire::ElectLeadersRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::ElectLeadersResponse>(request, version);
    if (version >= 1) EXPECT_EQ(answer->error_code, ErrorCode::cluster_authorization_failed);
    EXPECT_EQ(answer->replica_election_results.at(0).partition_result.at(0).error_code,
              ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(Operation::alter, ResourceType::cluster);
    answer = gate.client.ask<wire::ElectLeadersResponse>(request, version);
    EXPECT_EQ(answer->replica_election_results.at(0).partition_result.at(0).error_code, ErrorCode::election_not_needed);
  });
}

void denied_alter_partition_reassignments(Gate& gate) {
  wire::AlterPartitionReassignmentsRequest request;
  wire::AlterPartitionReassignmentsRequest::Topic topic;
  topic.name = "existing";
  wire::AlterPartitionReassignmentsRequest::Partition partition;
  partition.replicas = std::vector<model::NodeId>{model::NodeId(WholeBroker::node_id)};
  topic.partitions.push_back(std::move(partition));
  request.topics.push_back(std::move(topic));
  each_version<wire::AlterPartitionReassignmentsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::AlterPartitionReassignmentsResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::cluster_authorization_failed);
    EXPECT_EQ(answer->responses.at(0).partitions.at(0).error_code, ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(Operation::alter, ResourceType::cluster);
    answer = gate.client.ask<wire::AlterPartitionReassignmentsResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::none);
    EXPECT_EQ(answer->responses.at(0).partitions.at(0).error_code, ErrorCode::none);
  });
}

void denied_alter_replica_log_dirs(Gate& gate) {
  wire::AlterReplicaLogDirsRequest request;
  wire::AlterReplicaLogDirsRequest::Dir dir;
  dir.path = "/elsewhere";
  for (const std::string_view name : {"existing", "missing"}) {
    wire::AlterReplicaLogDirsRequest::Topic topic;
    topic.name = name;
    topic.partitions = first_partition;
    dir.topics.push_back(std::move(topic));
  }
  request.dirs.push_back(std::move(dir));
  each_version<wire::AlterReplicaLogDirsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::AlterReplicaLogDirsResponse>(request, version);
    ASSERT_EQ(answer->results.size(), 2U);
    for (const auto& result : answer->results)
      EXPECT_EQ(result.partitions.at(0).error_code, ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(Operation::alter, ResourceType::cluster);
    answer = gate.client.ask<wire::AlterReplicaLogDirsResponse>(request, version);
    EXPECT_EQ(answer->results.at(0).partitions.at(0).error_code, ErrorCode::log_dir_not_found);
    EXPECT_EQ(answer->results.at(1).partitions.at(0).error_code, ErrorCode::unknown_topic_or_partition);
  });
}

// Telemetry asks for no right in Kafka: whoever may connect may be asked for metrics and send them.
void denied_get_telemetry_subscriptions(Gate& gate) {
  gate.authorizer.deny_all();
  const auto answer = gate.client.ask<wire::GetTelemetrySubscriptionsResponse>(wire::GetTelemetrySubscriptionsRequest{}, 0);
  EXPECT_EQ(answer->error_code, ErrorCode::none);
  EXPECT_FALSE(answer->client_instance_id.is_zero());
  EXPECT_TRUE(answer->requested_metrics.empty());
}

void denied_push_telemetry(Gate& gate) {
  gate.authorizer.deny_all();
  const auto offer = gate.client.ask<wire::GetTelemetrySubscriptionsResponse>(wire::GetTelemetrySubscriptionsRequest{}, 0);
  wire::PushTelemetryRequest request;
  EXPECT_EQ(gate.client.ask<wire::PushTelemetryResponse>(request, 0)->error_code, ErrorCode::invalid_request);
  request.client_instance_id = offer->client_instance_id;
  request.subscription_id = offer->subscription_id;
  EXPECT_EQ(gate.client.ask<wire::PushTelemetryResponse>(request, 0)->error_code, ErrorCode::none);
}

}  // namespace weir::gates
