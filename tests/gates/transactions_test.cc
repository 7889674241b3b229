// What a transactional client is told while there is no transaction coordinator: a clear no, at once, nothing left behind.
#include <algorithm>

#include "cases.h"
#include "model/records.h"
#include "wire/api_versions.h"
#include "wire/find_coordinator.h"
#include "wire/init_producer_id.h"
#include "wire/list_offsets.h"
#include "wire/produce.h"

namespace weir::gates {
namespace {

using model::ErrorCode;

ErrorCode produce(Gate& gate, bool transactional, std::optional<std::string_view> transactional_id) {
  model::BatchSpec spec;
  if (transactional) {
    spec = {.producer_id = model::ProducerId(5),
            .producer_epoch = model::ProducerEpoch(0),
            .base_sequence = model::Sequence(0),
            .transactional = true};
  }
  const auto batch = model::build_batch(spec, {{.key = "k", .value = "v", .timestamp = 1'790'000'000'000}});
  wire::ProduceRequest request;
  request.transactional_id = transactional_id;
  request.acks = -1;
  request.timeout_ms = 10'000;
  wire::ProduceRequest::Topic topic;
  topic.name = "existing";
  wire::ProduceRequest::Partition partition;
  partition.records = wire::Records(bytes::BufferList{*batch});
  topic.partition_data.push_back(std::move(partition));
  request.topic_data.push_back(std::move(topic));
  const auto answer = gate.client.ask<wire::ProduceResponse>(request, 9);
  return answer->responses.at(0).partition_responses.at(0).error_code;
}

TEST(TransactionalRequests, AreRefusedAtOnceAndLeaveNothing) {
  Gate gate;
  gate.authorizer.allow_all();
  wire::FindCoordinatorRequest find;
  find.key_type = 1;
  find.key = "mine";
  const auto older = gate.client.ask<wire::FindCoordinatorResponse>(find, 2);
  EXPECT_EQ(older->error_code, ErrorCode::transactional_id_authorization_failed) << "the one that ends librdkafka's asking";
  EXPECT_NE(older->error_message->find("not served"), std::string::npos);
  find.coordinator_keys = {"mine"};
  const auto newer = gate.client.ask<wire::FindCoordinatorResponse>(find, 4);
  EXPECT_EQ(newer->coordinators.at(0).error_code, ErrorCode::unsupported_version);
  EXPECT_NE(newer->coordinators.at(0).error_message->find("not served"), std::string::npos);
  wire::InitProducerIdRequest init;
  init.transactional_id = "mine";
  init.transaction_timeout_ms = 60'000;
  const auto id = gate.client.ask<wire::InitProducerIdResponse>(init, 4);
  EXPECT_EQ(id->error_code, ErrorCode::unsupported_version);
  EXPECT_EQ(id->producer_id, model::ProducerId(-1));
  EXPECT_EQ(produce(gate, true, std::nullopt), ErrorCode::transactional_id_authorization_failed) << "as Kafka";
  EXPECT_EQ(produce(gate, true, "mine"), ErrorCode::invalid_txn_state);
  EXPECT_EQ(produce(gate, false, "mine"), ErrorCode::none) << "as Kafka: the batch is of no transaction";
  for (const std::int8_t isolation : {std::int8_t{0}, std::int8_t{1}}) {
    wire::ListOffsetsRequest list;
    list.isolation_level = isolation;
    list.topics.emplace_back();
    list.topics[0].name = "existing";
    list.topics[0].partitions.emplace_back();
    list.topics[0].partitions[0].timestamp = -1;
    const auto end = gate.client.ask<wire::ListOffsetsResponse>(list, 5);
    EXPECT_EQ(end->topics.at(0).partitions.at(0).offset, model::Offset(1)) << "only the plain one is there, and it is stable";
  }
}

TEST(TransactionalRequests, OfTheCoordinatorAreNotAdvertised) {
  Gate gate;
  const auto versions = gate.client.ask<wire::ApiVersionsResponse>(wire::ApiVersionsRequest{}, 2);
  for (const wire::ApiKey key : {wire::ApiKey::add_partitions_to_txn, wire::ApiKey::add_offsets_to_txn, wire::ApiKey::end_txn,
                                 wire::ApiKey::txn_offset_commit, wire::ApiKey::write_txn_markers}) {
    EXPECT_TRUE(std::ranges::none_of(versions->api_keys,
                                     [&](const auto& api) { return api.api_key == static_cast<std::int16_t>(key); }));
  }
}

}  // namespace
}  // namespace weir::gates
