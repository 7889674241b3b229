// The gates of what looks into a partition's log, or cuts it.
#include "cases.h"
#include "wire/delete_records.h"
#include "wire/describe_producers.h"
#include "wire/offset_for_leader_epoch.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

/// What a request is answered for "existing" and for "missing".
template <class Request, class Response, class Errors>
void expect(Gate& gate, const Request& request, std::int16_t version, Errors errors, ErrorCode existing, ErrorCode missing) {
  const auto answer = gate.client.ask<Response>(request, version);
  ASSERT_EQ(answer->topics.size(), 2U);
  for (const auto& topic : answer->topics) {
    const auto [name, error] = errors(topic);
    EXPECT_EQ(error, name == "existing" ? existing : missing) << name;
  }
}

}  // namespace

void denied_delete_records(Gate& gate) {
  each_version<wire::DeleteRecordsRequest>([&](std::int16_t version) {
    wire::DeleteRecordsRequest request;
    request.timeout_ms = 10'000;
    for (const std::string_view name : {"existing", "missing"}) {
      wire::DeleteRecordsRequest::Topic topic;
      topic.name = name;
      topic.partitions.emplace_back();
      request.topics.push_back(std::move(topic));
    }
    const auto errors = [](const wire::DeleteRecordsResponse::Topic& topic) {
      return std::pair(topic.name, topic.partitions.at(0).error_code);
    };
    const auto expect_errors = [&](ErrorCode existing, ErrorCode missing) {
      expect<wire::DeleteRecordsRequest, wire::DeleteRecordsResponse>(gate, request, version, errors, existing, missing);
    };
    gate.authorizer.deny_all();
    expect_errors(ErrorCode::topic_authorization_failed, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::remove, ResourceType::topic);
    expect_errors(ErrorCode::none, ErrorCode::unknown_topic_or_partition);
  });
}

void denied_offset_for_leader_epoch(Gate& gate) {
  each_version<wire::OffsetForLeaderEpochRequest>([&](std::int16_t version) {
    wire::OffsetForLeaderEpochRequest request;
    for (const std::string_view name : {"existing", "missing"}) {
      wire::OffsetForLeaderEpochRequest::Topic topic;
      topic.topic = name;
      topic.partitions.emplace_back();
      request.topics.push_back(std::move(topic));
    }
    const auto errors = [](const wire::OffsetForLeaderEpochResponse::Topic& topic) {
      return std::pair(topic.topic, topic.partitions.at(0).error_code);
    };
    const auto expect_errors = [&](ErrorCode existing, ErrorCode missing) {
      expect<wire::OffsetForLeaderEpochRequest, wire::OffsetForLeaderEpochResponse>(gate, request, version, errors, existing,
                                                                                    missing);
    };
    gate.authorizer.deny_all();
    expect_errors(ErrorCode::topic_authorization_failed, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::topic);
    expect_errors(ErrorCode::none, ErrorCode::unknown_topic_or_partition);
  });
}

void denied_describe_producers(Gate& gate) {
  each_version<wire::DescribeProducersRequest>([&](std::int16_t version) {
    wire::DescribeProducersRequest request;
    for (const std::string_view name : {"existing", "missing"}) {
      wire::DescribeProducersRequest::Topic topic;
      topic.name = name;
      topic.partition_indexes = {model::PartitionIndex(0)};
      request.topics.push_back(std::move(topic));
    }
    const auto errors = [](const wire::DescribeProducersResponse::Topic& topic) {
      return std::pair(topic.name, topic.partitions.at(0).error_code);
    };
    const auto expect_errors = [&](ErrorCode existing, ErrorCode missing) {
      expect<wire::DescribeProducersRequest, wire::DescribeProducersResponse>(gate, request, version, errors, existing,
                                                                              missing);
    };
    gate.authorizer.deny_all();
    expect_errors(ErrorCode::topic_authorization_failed, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::read, ResourceType::topic);
    expect_errors(ErrorCode::none, ErrorCode::unknown_topic_or_partition);
  });
}

}  // namespace weir::gates
