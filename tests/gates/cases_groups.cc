// The gates of groups: Kafka asks for rights on the group, and on topics where offsets are named.
#include "cases.h"
#include "wire/delete_groups.h"
#include "wire/describe_groups.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_groups.h"
#include "wire/offset_commit.h"
#include "wire/offset_delete.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

constexpr std::int16_t batched_coordinators_version = 4;
constexpr std::int16_t topic_ids_version = 10;
constexpr std::int16_t batched_fetch_version = 8;

// With the topic of groups there, and as one who may do everything.
void open_coordinator(Gate& gate) {
  gate.authorizer.allow_all();
  wire::FindCoordinatorRequest request;
  request.key = "g";
  EXPECT_EQ(gate.client.ask<wire::FindCoordinatorResponse>(request, 1)->error_code, ErrorCode::none);
}

wire::OffsetCommitRequest commit_of(const Gate& gate, std::int16_t version) {
  wire::OffsetCommitRequest request;
  request.group_id = "g";
  wire::OffsetCommitRequest::Topic topic;
  topic.name = "existing";
  if (version >= topic_ids_version) topic.topic_id = gate.existing;
  wire::OffsetCommitRequest::Partition partition;
  partition.committed_offset = model::Offset(5);
  partition.committed_metadata = "";
  topic.partitions.push_back(std::move(partition));
  request.topics.push_back(std::move(topic));
  return request;
}

void commit_one(Gate& gate) {
  gate.authorizer.allow_all();
  const auto answer = gate.client.ask<wire::OffsetCommitResponse>(commit_of(gate, 8), 8);
  ASSERT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::none);
}

// The same right on the group for the whole request.
template <class Request, class Response, class Fill, class Error>
void group_gate(Gate& gate, Operation operation, Fill fill, Error error, ErrorCode opened) {
  open_coordinator(gate);
  each_version<Request>([&](std::int16_t version) {
    Request request;
    fill(request, version);
    gate.authorizer.deny_all();
    EXPECT_EQ(error(*gate.client.ask<Response>(request, version).operator->(), version), ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(operation, ResourceType::group);
    EXPECT_EQ(error(*gate.client.ask<Response>(request, version).operator->(), version), opened);
  });
}

constexpr auto own_code = [](const auto& response, std::int16_t /*version*/) { return response.error_code; };

}  // namespace

void denied_find_coordinator(Gate& gate) {
  each_version<wire::FindCoordinatorRequest>([&](std::int16_t version) {
    wire::FindCoordinatorRequest request;
    request.key = "g";
    request.coordinator_keys = {"g"};
    std::string message;
    const auto code = [&] {
      const auto answer = gate.client.ask<wire::FindCoordinatorResponse>(request, version);
      message = (version >= batched_coordinators_version ? answer->coordinators.at(0).error_message : answer->error_message)
                    .value_or("");
      return version >= batched_coordinators_version ? answer->coordinators.at(0).error_code : answer->error_code;
    };
    gate.authorizer.deny_all();
    EXPECT_EQ(code(), ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::group);
    EXPECT_EQ(code(), ErrorCode::none);
    if (version == 0) return;
    request.key_type = 1;
    EXPECT_EQ(code(), ErrorCode::transactional_id_authorization_failed);
    EXPECT_EQ(message.find("not served"), std::string::npos) << message;
    gate.authorizer.allow_only(Operation::describe, ResourceType::transactional_id);
    // In the older versions the one error that ends librdkafka's asking: the message tells that it is allowed.
    EXPECT_EQ(code(), version >= batched_coordinators_version ? ErrorCode::unsupported_version
                                                              : ErrorCode::transactional_id_authorization_failed);
    EXPECT_NE(message.find("not served"), std::string::npos) << message;
  });
}

void denied_join_group(Gate& gate) {
  group_gate<wire::JoinGroupRequest, wire::JoinGroupResponse>(
      gate, Operation::read,
      [](wire::JoinGroupRequest& request, std::int16_t) {
        request.group_id = "g";
        request.session_timeout_ms = 10'000;
        request.member_id = "stranger";
      },
      own_code, ErrorCode::unknown_member_id);
}

void denied_sync_group(Gate& gate) {
  group_gate<wire::SyncGroupRequest, wire::SyncGroupResponse>(
      gate, Operation::read,
      [](wire::SyncGroupRequest& request, std::int16_t) {
        request.group_id = "g";
        request.protocol_type = "consumer";
        request.protocol_name = "range";
      },
      own_code, ErrorCode::unknown_member_id);
}

void denied_heartbeat(Gate& gate) {
  group_gate<wire::HeartbeatRequest, wire::HeartbeatResponse>(
      gate, Operation::read, [](wire::HeartbeatRequest& request, std::int16_t) { request.group_id = "g"; }, own_code,
      ErrorCode::unknown_member_id);
}

void denied_leave_group(Gate& gate) {
  group_gate<wire::LeaveGroupRequest, wire::LeaveGroupResponse>(
      gate, Operation::read,
      [](wire::LeaveGroupRequest& request, std::int16_t) {
        request.group_id = "g";
        request.member_id = "stranger";
        request.members.push_back({.member_id = "stranger"});
      },
      [](const wire::LeaveGroupResponse& response, std::int16_t) {
        return response.members.empty() ? response.error_code : response.members.front().error_code;
      },
      ErrorCode::unknown_member_id);
}

void denied_offset_commit(Gate& gate) {
  open_coordinator(gate);
  each_version<wire::OffsetCommitRequest>([&](std::int16_t version) {
    const auto code = [&] {
      const auto answer = gate.client.ask<wire::OffsetCommitResponse>(commit_of(gate, version), version);
      return answer->topics.at(0).partitions.at(0).error_code;
    };
    gate.authorizer.deny_all();
    EXPECT_EQ(code(), ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::read, ResourceType::group);
    EXPECT_EQ(code(), ErrorCode::topic_authorization_failed);
    gate.authorizer.rule = [](Operation operation, ResourceType, std::string_view) { return operation == Operation::read; };
    EXPECT_EQ(code(), ErrorCode::none);
  });
}

void denied_offset_fetch(Gate& gate) {
  open_coordinator(gate);
  commit_one(gate);
  each_version<wire::OffsetFetchRequest>([&](std::int16_t version) {
    const bool batched = version >= batched_fetch_version;
    wire::OffsetFetchRequest request;
    if (batched) {
      wire::OffsetFetchRequest::Group group;
      group.group_id = "g";
      group.topics.emplace();
      wire::OffsetFetchRequest::GroupTopic topic;
      topic.name = "existing";
      topic.topic_id = gate.existing;
      topic.partition_indexes = {model::PartitionIndex(0)};
      group.topics->push_back(std::move(topic));
      request.groups.push_back(std::move(group));
    } else {
      request.group_id = "g";
      wire::OffsetFetchRequest::Topic topic;
      topic.name = "existing";
      topic.partition_indexes = {model::PartitionIndex(0)};
      request.topics.emplace();
      request.topics->push_back(std::move(topic));
    }
    const auto code = [&] {
      const auto answer = gate.client.ask<wire::OffsetFetchResponse>(request, version);
      if (batched) {
        const auto& group = answer->groups.at(0);
        return group.error_code != ErrorCode::none ? group.error_code : group.topics.at(0).partitions.at(0).error_code;
      }
      if (version >= 2 && answer->error_code != ErrorCode::none) return answer->error_code;
      return answer->topics.at(0).partitions.at(0).error_code;
    };
    gate.authorizer.deny_all();
    EXPECT_EQ(code(), ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::group);
    EXPECT_EQ(code(), ErrorCode::topic_authorization_failed);
    gate.authorizer.rule = [](Operation operation, ResourceType, std::string_view) { return operation == Operation::describe; };
    EXPECT_EQ(code(), ErrorCode::none);
  });
}

void denied_offset_delete(Gate& gate) {
  open_coordinator(gate);
  commit_one(gate);
  each_version<wire::OffsetDeleteRequest>([&](std::int16_t version) {
    wire::OffsetDeleteRequest request;
    request.group_id = "g";
    wire::OffsetDeleteRequest::Topic topic;
    topic.name = "existing";
    topic.partitions.emplace_back();
    request.topics.push_back(std::move(topic));
    gate.authorizer.deny_all();
    EXPECT_EQ(gate.client.ask<wire::OffsetDeleteResponse>(request, version)->error_code, ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::remove, ResourceType::group);
    auto answer = gate.client.ask<wire::OffsetDeleteResponse>(request, version);
    EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::topic_authorization_failed);
    gate.authorizer.rule = [](Operation operation, ResourceType type, std::string_view) {
      return type == ResourceType::topic ? operation == Operation::read : operation == Operation::remove;
    };
    answer = gate.client.ask<wire::OffsetDeleteResponse>(request, version);
    EXPECT_EQ(answer->topics.at(0).partitions.at(0).error_code, ErrorCode::none);
  });
}

void denied_describe_groups(Gate& gate) {
  open_coordinator(gate);
  commit_one(gate);
  each_version<wire::DescribeGroupsRequest>([&](std::int16_t version) {
    wire::DescribeGroupsRequest request;
    request.groups = {"g"};
    request.include_authorized_operations = true;
    gate.authorizer.deny_all();
    EXPECT_EQ(gate.client.ask<wire::DescribeGroupsResponse>(request, version)->groups.at(0).error_code,
              ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::group);
    const auto answer = gate.client.ask<wire::DescribeGroupsResponse>(request, version);
    EXPECT_EQ(answer->groups.at(0).error_code, ErrorCode::none);
    if (version >= 3) EXPECT_EQ(answer->groups.at(0).authorized_operations, 1 << static_cast<int>(Operation::describe));
  });
}

void denied_list_groups(Gate& gate) {
  open_coordinator(gate);
  commit_one(gate);
  each_version<wire::ListGroupsRequest>([&](std::int16_t version) {
    const auto count = [&] {
      const auto answer = gate.client.ask<wire::ListGroupsResponse>(wire::ListGroupsRequest(), version);
      EXPECT_EQ(answer->error_code, ErrorCode::none);
      return answer->groups.size();
    };
    gate.authorizer.deny_all();
    EXPECT_EQ(count(), 0U);
    gate.authorizer.allow_only(Operation::describe, ResourceType::group);
    EXPECT_EQ(count(), 1U);
    gate.authorizer.allow_only(Operation::describe, ResourceType::cluster);
    EXPECT_EQ(count(), 1U);
  });
}

void denied_delete_groups(Gate& gate) {
  open_coordinator(gate);
  each_version<wire::DeleteGroupsRequest>([&](std::int16_t version) {
    commit_one(gate);
    wire::DeleteGroupsRequest request;
    request.groups_names = {"g"};
    gate.authorizer.deny_all();
    EXPECT_EQ(gate.client.ask<wire::DeleteGroupsResponse>(request, version)->results.at(0).error_code,
              ErrorCode::group_authorization_failed);
    gate.authorizer.allow_only(Operation::remove, ResourceType::group);
    EXPECT_EQ(gate.client.ask<wire::DeleteGroupsResponse>(request, version)->results.at(0).error_code, ErrorCode::none);
  });
}

}  // namespace weir::gates
