// The gates of the data path.
#include "cases.h"
#include "model/records.h"
#include "wire/fetch.h"
#include "wire/init_producer_id.h"
#include "wire/list_offsets.h"
#include "wire/produce.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

constexpr std::int16_t produce_ids_version = 13;
constexpr std::int16_t fetch_ids_version = 13;
constexpr std::int16_t replica_state_version = 15;

wire::ProduceRequest produce(const Gate& gate, std::int16_t version) {
  const auto batch = model::build_batch({}, {{.key = "k", .value = "v", .timestamp = 1'790'000'000'000}});
  wire::ProduceRequest request;
  request.acks = -1;
  request.timeout_ms = 10'000;
  for (const bool exists : {true, false}) {
    wire::ProduceRequest::Topic topic;
    topic.name = exists ? "existing" : "missing";
    if (version >= produce_ids_version) topic.topic_id = exists ? gate.existing : gate.unknown_id;
    wire::ProduceRequest::Partition partition;
    partition.records = wire::Records(bytes::BufferList{*batch});
    topic.partition_data.push_back(std::move(partition));
    request.topic_data.push_back(std::move(topic));
  }
  return request;
}

void expect_produce(Gate& gate, const wire::ProduceRequest& request, std::int16_t version, ErrorCode existing,
                    ErrorCode missing) {
  const auto answer = gate.client.ask<wire::ProduceResponse>(request, version);
  ASSERT_EQ(answer->responses.size(), 2U);
  EXPECT_EQ(answer->responses[0].partition_responses.at(0).error_code, existing);
  EXPECT_EQ(answer->responses[1].partition_responses.at(0).error_code, missing);
}

}  // namespace

void denied_produce(Gate& gate) {
  each_version<wire::ProduceRequest>([&](std::int16_t version) {
    const bool by_id = version >= produce_ids_version;
    wire::ProduceRequest request = produce(gate, version);
    gate.authorizer.deny_all();
    expect_produce(gate, request, version, ErrorCode::topic_authorization_failed,
                   by_id ? ErrorCode::unknown_topic_id : ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::write, ResourceType::topic);
    expect_produce(gate, request, version, ErrorCode::none,
                   by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition);
    request.transactional_id = "mine";
    expect_produce(gate, request, version, ErrorCode::transactional_id_authorization_failed,
                   ErrorCode::transactional_id_authorization_failed);
  });
  // Nobody listens for an error with acks=0: the connection ends.
  Client deaf(gate.broker);
  gate.authorizer.deny_all();
  wire::ProduceRequest request = produce(gate, 9);
  request.acks = 0;
  deaf.send_request(request, 9);
  EXPECT_FALSE(deaf.receive().has_value());
  EXPECT_TRUE(deaf.closed());
}

std::vector<std::byte> answered_produce(Gate& gate, std::int16_t version) { return body_of(produce(gate, version), version); }

void denied_fetch(Gate& gate) {
  each_version<wire::FetchRequest>([&](std::int16_t version) {
    const bool by_id = version >= fetch_ids_version;
    wire::FetchRequest request;
    request.max_bytes = 1 << 20;
    for (const bool exists : {true, false}) {
      wire::FetchRequest::Topic topic;
      topic.topic = exists ? "existing" : "missing";
      if (by_id) topic.topic_id = exists ? gate.existing : gate.unknown_id;
      wire::FetchRequest::Partition partition;
      partition.partition_max_bytes = 1 << 20;
      topic.partitions.push_back(std::move(partition));
      request.topics.push_back(std::move(topic));
    }
    const auto expect = [&](ErrorCode existing, ErrorCode missing) {
      const auto answer = gate.client.ask<wire::FetchResponse>(request, version);
      EXPECT_EQ(answer->error_code, ErrorCode::none);
      ASSERT_EQ(answer->responses.size(), 2U);
      EXPECT_EQ(answer->responses[0].partitions.at(0).error_code, existing);
      EXPECT_EQ(answer->responses[0].partitions[0].records.size(), 0U);
      EXPECT_EQ(answer->responses[1].partitions.at(0).error_code, missing);
    };
    const ErrorCode unknown = by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition;
    gate.authorizer.deny_all();
    expect(ErrorCode::topic_authorization_failed, by_id ? unknown : ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::read, ResourceType::topic);
    expect(ErrorCode::none, unknown);
    // A follower is judged by what it may do with the cluster, not with topics.
    if (version >= replica_state_version) request.replica_state.replica_id = model::NodeId(3);
    else request.replica_id = model::NodeId(3);
    expect(ErrorCode::topic_authorization_failed, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::cluster_action, ResourceType::cluster);
    expect(ErrorCode::none, unknown);
  });
}

void denied_list_offsets(Gate& gate) {
  each_version<wire::ListOffsetsRequest>([&](std::int16_t version) {
    wire::ListOffsetsRequest request;
    for (const char* name : {"existing", "missing"}) {
      wire::ListOffsetsRequest::Topic topic;
      topic.name = name;
      wire::ListOffsetsRequest::Partition partition;
      partition.timestamp = -1;
      topic.partitions.push_back(std::move(partition));
      request.topics.push_back(std::move(topic));
    }
    const auto expect = [&](ErrorCode existing, ErrorCode missing) {
      const auto answer = gate.client.ask<wire::ListOffsetsResponse>(request, version);
      ASSERT_EQ(answer->topics.size(), 2U);
      EXPECT_EQ(answer->topics[0].partitions.at(0).error_code, existing);
      EXPECT_EQ(answer->topics[1].partitions.at(0).error_code, missing);
    };
    gate.authorizer.deny_all();
    expect(ErrorCode::topic_authorization_failed, ErrorCode::topic_authorization_failed);
    gate.authorizer.allow_only(Operation::describe, ResourceType::topic);
    expect(ErrorCode::none, ErrorCode::unknown_topic_or_partition);
  });
}

void denied_init_producer_id(Gate& gate) {
  each_version<wire::InitProducerIdRequest>([&](std::int16_t version) {
    wire::InitProducerIdRequest request;
    request.transactional_id.reset();
    const auto expect = [&](ErrorCode error) {
      const auto answer = gate.client.ask<wire::InitProducerIdResponse>(request, version);
      EXPECT_EQ(answer->error_code, error);
      EXPECT_EQ(answer->producer_id.value() >= 0, error == ErrorCode::none);
    };
    gate.authorizer.deny_all();
    expect(ErrorCode::cluster_authorization_failed);
    gate.authorizer.allow_only(Operation::idempotent_write, ResourceType::cluster);
    expect(ErrorCode::none);
    gate.authorizer.allow_only(Operation::write, ResourceType::topic);  // on some topic
    expect(ErrorCode::none);
    request.transactional_id = "mine";
    expect(ErrorCode::transactional_id_authorization_failed);
  });
}

}  // namespace weir::gates
