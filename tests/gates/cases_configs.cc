// The gates of settings, partitions and the cluster's description.
#include "cases.h"
#include "wire/alter_configs.h"
#include "wire/create_partitions.h"
#include "wire/describe_cluster.h"
#include "wire/describe_configs.h"
#include "wire/incremental_alter_configs.h"
#include "wire/list_config_resources.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

/// A config resource, the error of whoever may not, and the resource type whose right opens it.
struct Door {
  std::int8_t type;
  std::string_view name;
  ErrorCode denied;
  ResourceType opened_by;
};
constexpr Door doors[] = {
    {2, "existing", ErrorCode::topic_authorization_failed, ResourceType::topic},
    {2, "missing", ErrorCode::topic_authorization_failed, ResourceType::topic},
    {4, "7", ErrorCode::cluster_authorization_failed, ResourceType::cluster},
    {4, "", ErrorCode::cluster_authorization_failed, ResourceType::cluster},
    {8, "7", ErrorCode::cluster_authorization_failed, ResourceType::cluster},
    {16, "metrics", ErrorCode::cluster_authorization_failed, ResourceType::cluster},
    {32, "group", ErrorCode::group_authorization_failed, ResourceType::group},
};

bool opens(const Door& door, ErrorCode answered) { return answered != door.denied; }

}  // namespace

void denied_describe_configs(Gate& gate) {
  wire::DescribeConfigsRequest request;
  for (const Door& door : doors) {
    wire::DescribeConfigsRequest::Resource resource;
    resource.resource_type = door.type;
    resource.resource_name = door.name;
    resource.configuration_keys.reset();
    request.resources.push_back(std::move(resource));
  }
  each_version<wire::DescribeConfigsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::DescribeConfigsResponse>(request, version);
    ASSERT_EQ(answer->results.size(), std::size(doors));
    for (std::size_t i = 0; i < std::size(doors); ++i) {
      EXPECT_EQ(answer->results[i].error_code, doors[i].denied) << doors[i].name;
      EXPECT_TRUE(answer->results[i].configs.empty());
    }
    for (const ResourceType type : {ResourceType::topic, ResourceType::cluster, ResourceType::group}) {
      gate.authorizer.allow_only(Operation::describe_configs, type);
      answer = gate.client.ask<wire::DescribeConfigsResponse>(request, version);
      for (std::size_t i = 0; i < std::size(doors); ++i) {
        EXPECT_EQ(opens(doors[i], answer->results[i].error_code), doors[i].opened_by == type) << doors[i].name;
      }
    }
  });
}

void denied_alter_configs(Gate& gate) {
  wire::AlterConfigsRequest request;
  for (const Door& door : doors) {
    wire::AlterConfigsRequest::Resource resource;
    resource.resource_type = door.type;
    resource.resource_name = door.name;
    request.resources.push_back(std::move(resource));
  }
  each_version<wire::AlterConfigsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::AlterConfigsResponse>(request, version);
    ASSERT_EQ(answer->responses.size(), std::size(doors));
    for (std::size_t i = 0; i < std::size(doors); ++i) EXPECT_EQ(answer->responses[i].error_code, doors[i].denied);
    for (const ResourceType type : {ResourceType::topic, ResourceType::cluster, ResourceType::group}) {
      gate.authorizer.allow_only(Operation::alter_configs, type);
      answer = gate.client.ask<wire::AlterConfigsResponse>(request, version);
      for (std::size_t i = 0; i < std::size(doors); ++i) {
        EXPECT_EQ(opens(doors[i], answer->responses[i].error_code), doors[i].opened_by == type) << doors[i].name;
      }
    }
  });
}

void denied_incremental_alter_configs(Gate& gate) {
  wire::IncrementalAlterConfigsRequest request;
  for (const Door& door : doors) {
    wire::IncrementalAlterConfigsRequest::Resource resource;
    resource.resource_type = door.type;
    resource.resource_name = door.name;
    request.resources.push_back(std::move(resource));
  }
  wire::IncrementalAlterConfigsRequest::Config config;
  config.name = "retention.ms";
  config.value = "5";
  request.resources[0].configs.push_back(std::move(config));
  const auto retention = [&] {
    gate.authorizer.allow_all();
    wire::DescribeConfigsRequest asked;
    wire::DescribeConfigsRequest::Resource resource;
    resource.resource_type = 2;
    resource.resource_name = "existing";
    resource.configuration_keys->push_back("retention.ms");
    asked.resources.push_back(std::move(resource));
    auto answer = gate.client.ask<wire::DescribeConfigsResponse>(asked, 4);
    return std::string(*answer->results.at(0).configs.at(0).value);
  };
  each_version<wire::IncrementalAlterConfigsRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::IncrementalAlterConfigsResponse>(request, version);
    ASSERT_EQ(answer->responses.size(), std::size(doors));
    for (std::size_t i = 0; i < std::size(doors); ++i) EXPECT_EQ(answer->responses[i].error_code, doors[i].denied);
    if (version == 0) EXPECT_NE(retention(), "5") << "nothing was changed";
    for (const ResourceType type : {ResourceType::topic, ResourceType::cluster, ResourceType::group}) {
      gate.authorizer.allow_only(Operation::alter_configs, type);
      answer = gate.client.ask<wire::IncrementalAlterConfigsResponse>(request, version);
      for (std::size_t i = 0; i < std::size(doors); ++i) {
        EXPECT_EQ(opens(doors[i], answer->responses[i].error_code), doors[i].opened_by == type) << doors[i].name;
      }
    }
  });
  EXPECT_EQ(retention(), "5");
}

void denied_create_partitions(Gate& gate) {
  wire::CreatePartitionsRequest request;
  std::int32_t count = 2;
  for (const std::string_view name : {"existing", "missing"}) {
    wire::CreatePartitionsRequest::Topic topic;
    topic.name = name;
    topic.assignments.reset();
    request.topics.push_back(std::move(topic));
  }
  each_version<wire::CreatePartitionsRequest>([&](std::int16_t version) {
    request.topics[0].count = ++count;
    request.topics[1].count = count;
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::CreatePartitionsResponse>(request, version);
    ASSERT_EQ(answer->results.size(), 2U);
    for (const auto& result : answer->results) EXPECT_EQ(result.error_code, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::alter, ResourceType::topic);
    answer = gate.client.ask<wire::CreatePartitionsResponse>(request, version);
    EXPECT_EQ(answer->results.at(0).error_code, ErrorCode::none) << "the refused request changed nothing";
    EXPECT_EQ(answer->results.at(1).error_code, ErrorCode::unknown_topic_or_partition);
  });
}

// Who the brokers are is told to everybody who may connect; what may be done only to those who may describe the cluster.
void denied_describe_cluster(Gate& gate) {
  wire::DescribeClusterRequest request;
  request.include_cluster_authorized_operations = true;
  each_version<wire::DescribeClusterRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::DescribeClusterResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::none);
    EXPECT_EQ(answer->brokers.size(), 1U);
    EXPECT_EQ(answer->cluster_authorized_operations, 0);
    gate.authorizer.allow_only(Operation::describe, ResourceType::cluster);
    answer = gate.client.ask<wire::DescribeClusterResponse>(request, version);
    EXPECT_EQ(answer->cluster_authorized_operations, 1 << static_cast<int>(Operation::describe));
  });
}

void denied_list_config_resources(Gate& gate) {
  const wire::ListConfigResourcesRequest request;
  each_version<wire::ListConfigResourcesRequest>([&](std::int16_t version) {
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::ListConfigResourcesResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::cluster_authorization_failed);
    EXPECT_TRUE(answer->config_resources.empty());
    gate.authorizer.allow_only(Operation::describe_configs, ResourceType::cluster);
    answer = gate.client.ask<wire::ListConfigResourcesResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::none);
  });
}

}  // namespace weir::gates
