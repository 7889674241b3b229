// The gates of topics: who may see them, make them, delete them.
#include "cases.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/metadata.h"

namespace weir::gates {

using model::ErrorCode;
using security::Operation;
using security::ResourceType;

namespace {

constexpr std::int16_t metadata_ids_version = 12;
constexpr std::int16_t create_configs_version = 5;
constexpr std::int16_t delete_ids_version = 6;

constexpr std::int32_t bit(Operation operation) { return 1 << static_cast<int>(operation); }

wire::MetadataRequest metadata_of(std::initializer_list<std::string_view> names, bool create) {
  wire::MetadataRequest request;
  for (const std::string_view name : names) {
    wire::MetadataRequest::Topic topic;
    topic.name = name;
    request.topics->push_back(std::move(topic));
  }
  request.allow_auto_topic_creation = create;
  return request;
}

bool exists(Gate& gate, std::string_view name) {
  gate.authorizer.allow_all();
  const auto answer = gate.client.ask<wire::MetadataResponse>(metadata_of({name}, false), 8);
  return answer->topics.at(0).error_code == ErrorCode::none;
}

void named_metadata(Gate& gate, std::int16_t version) {
  gate.authorizer.deny_all();
  auto request = metadata_of({"existing", "missing"}, true);
  auto answer = gate.client.ask<wire::MetadataResponse>(request, version);
  ASSERT_EQ(answer->topics.size(), 2U);
  for (const auto& topic : answer->topics) {
    EXPECT_EQ(topic.error_code, ErrorCode::topic_authorization_failed);
    EXPECT_TRUE(topic.topic_id.is_zero()) << "an id would tell that the name exists";
    EXPECT_TRUE(topic.partitions.empty());
  }
  gate.authorizer.allow_only(Operation::describe, ResourceType::topic);
  answer = gate.client.ask<wire::MetadataResponse>(request, version);
  EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::none);
  EXPECT_EQ(answer->topics[0].partitions.size(), 2U);
  EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::topic_authorization_failed) << "it may not be created";
  request.allow_auto_topic_creation = false;
  if (version >= 4) {
    answer = gate.client.ask<wire::MetadataResponse>(request, version);
    EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::unknown_topic_or_partition);
  }
  EXPECT_FALSE(exists(gate, "missing"));
}

void all_metadata(Gate& gate, std::int16_t version) {
  wire::MetadataRequest request;
  if (version > 0) request.topics.reset();
  gate.authorizer.deny_all();
  EXPECT_TRUE(gate.client.ask<wire::MetadataResponse>(request, version)->topics.empty()) << "hidden, not refused";
  gate.authorizer.rule = [](Operation operation, ResourceType type, std::string_view name) {
    return operation == Operation::describe && type == ResourceType::topic && name == "existing";
  };
  const auto answer = gate.client.ask<wire::MetadataResponse>(request, version);
  ASSERT_EQ(answer->topics.size(), 1U);
  EXPECT_EQ(answer->topics[0].name, "existing");
}

void metadata_by_id(Gate& gate, std::int16_t version) {
  wire::MetadataRequest request;
  for (const model::TopicId& id : {gate.existing, gate.unknown_id}) {
    wire::MetadataRequest::Topic topic;
    topic.topic_id = id;
    topic.name.reset();
    request.topics->push_back(std::move(topic));
  }
  gate.authorizer.deny_all();
  const auto answer = gate.client.ask<wire::MetadataResponse>(request, version);
  ASSERT_EQ(answer->topics.size(), 2U);
  EXPECT_EQ(answer->topics[0].error_code, ErrorCode::topic_authorization_failed);
  EXPECT_EQ(answer->topics[0].name, std::nullopt) << "the name behind the id is not told";
  EXPECT_EQ(answer->topics[1].error_code, ErrorCode::unknown_topic_id);
}

}  // namespace

void denied_metadata(Gate& gate) {
  gate.broker.make_topic("hidden");
  each_version<wire::MetadataRequest>([&](std::int16_t version) {
    named_metadata(gate, version);
    all_metadata(gate, version);
    if (version >= metadata_ids_version) metadata_by_id(gate, version);
  });
  // The operations that are listed are those that the authorizer allows.
  gate.authorizer.rule = [](Operation operation, ResourceType, std::string_view) {
    return operation == Operation::describe || operation == Operation::read || operation == Operation::alter;
  };
  auto request = metadata_of({"existing"}, false);
  request.include_topic_authorized_operations = true;
  request.include_cluster_authorized_operations = true;
  auto answer = gate.client.ask<wire::MetadataResponse>(request, 8);
  EXPECT_EQ(answer->topics.at(0).topic_authorized_operations,
            bit(Operation::describe) | bit(Operation::read) | bit(Operation::alter));
  EXPECT_EQ(answer->cluster_authorized_operations, bit(Operation::describe) | bit(Operation::alter));
  gate.authorizer.deny_all();
  answer = gate.client.ask<wire::MetadataResponse>(request, 8);
  EXPECT_EQ(answer->cluster_authorized_operations, 0);
  // The right to create, on the cluster or on the name, creates.
  for (const ResourceType type : {ResourceType::cluster, ResourceType::topic}) {
    const std::string_view name = type == ResourceType::cluster ? "auto1" : "auto2";
    gate.authorizer.rule = [type](Operation operation, ResourceType on, std::string_view) {
      return operation == Operation::describe || (operation == Operation::create && on == type);
    };
    const auto first = gate.client.ask<wire::MetadataResponse>(metadata_of({name}, true), 9);
    EXPECT_EQ(first->topics.at(0).error_code, ErrorCode::unknown_topic_or_partition) << "Kafka's answer to who asks first";
    EXPECT_TRUE(exists(gate, name));
  }
}

void denied_create_topics(Gate& gate) {
  each_version<wire::CreateTopicsRequest>([&](std::int16_t version) {
    wire::CreateTopicsRequest request;
    const std::string fresh = "fresh" + std::to_string(version);
    for (const std::string_view name : {std::string_view("existing"), std::string_view(fresh)}) {
      wire::CreateTopicsRequest::Topic topic;
      topic.name = name;
      topic.num_partitions = 1;
      topic.replication_factor = 1;
      request.topics.push_back(std::move(topic));
    }
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::CreateTopicsResponse>(request, version);
    ASSERT_EQ(answer->topics.size(), 2U);
    for (const auto& topic : answer->topics) EXPECT_EQ(topic.error_code, ErrorCode::topic_authorization_failed);
    EXPECT_FALSE(exists(gate, fresh));
    gate.authorizer.allow_only(Operation::create, version % 2 == 0 ? ResourceType::topic : ResourceType::cluster);
    answer = gate.client.ask<wire::CreateTopicsResponse>(request, version);
    EXPECT_EQ(answer->topics.at(0).error_code, ErrorCode::topic_already_exists);
    EXPECT_EQ(answer->topics.at(1).error_code, ErrorCode::none);
    if (version >= create_configs_version) {
      EXPECT_EQ(answer->topics[1].topic_config_error_code, ErrorCode::topic_authorization_failed);
      EXPECT_EQ(answer->topics[1].num_partitions, -1);
      EXPECT_TRUE(!answer->topics[1].configs || answer->topics[1].configs->empty());
    }
    EXPECT_TRUE(exists(gate, fresh));
  });
}

void denied_delete_topics(Gate& gate) {
  each_version<wire::DeleteTopicsRequest>([&](std::int16_t version) {
    const bool by_id = version >= delete_ids_version;
    const std::string name = "doomed" + std::to_string(version);
    const model::TopicId id = gate.broker.make_topic(name);
    wire::DeleteTopicsRequest request;
    request.topic_names = {name, "missing"};
    for (const std::string_view each : {std::string_view(name), std::string_view("missing")}) {
      wire::DeleteTopicsRequest::Topic topic;
      topic.name = each;
      request.topics.push_back(std::move(topic));
    }
    gate.authorizer.deny_all();
    auto answer = gate.client.ask<wire::DeleteTopicsResponse>(request, version);
    ASSERT_EQ(answer->responses.size(), 2U);
    for (const auto& topic : answer->responses) {
      EXPECT_EQ(topic.error_code, ErrorCode::topic_authorization_failed);
      EXPECT_TRUE(topic.topic_id.is_zero());
    }
    if (by_id) {
      request.topics[0].name.reset();
      request.topics[0].topic_id = id;
      request.topics[1].name.reset();
      request.topics[1].topic_id = gate.unknown_id;
      answer = gate.client.ask<wire::DeleteTopicsResponse>(request, version);
      EXPECT_EQ(answer->responses.at(0).error_code, ErrorCode::topic_authorization_failed);
      EXPECT_EQ(answer->responses[0].name, std::nullopt);
      EXPECT_EQ(answer->responses.at(1).error_code, ErrorCode::unknown_topic_id);
      gate.authorizer.allow_only(Operation::describe, ResourceType::topic);
      answer = gate.client.ask<wire::DeleteTopicsResponse>(request, version);
      EXPECT_EQ(answer->responses.at(0).error_code, ErrorCode::topic_authorization_failed);
      EXPECT_EQ(answer->responses[0].name, name) << "who may describe it may learn its name";
    }
    EXPECT_TRUE(exists(gate, name));
    gate.authorizer.allow_only(Operation::remove, version % 2 == 0 ? ResourceType::topic : ResourceType::cluster);
    answer = gate.client.ask<wire::DeleteTopicsResponse>(request, version);
    EXPECT_EQ(answer->responses.at(0).error_code, ErrorCode::none);
    EXPECT_EQ(answer->responses.at(1).error_code, by_id ? ErrorCode::unknown_topic_id : ErrorCode::unknown_topic_or_partition);
    EXPECT_FALSE(exists(gate, name));
  });
}

void denied_api_versions(Gate& gate) {
  gate.authorizer.deny_all();
  each_version<wire::ApiVersionsRequest>([&](std::int16_t version) {
    wire::ApiVersionsRequest request;
    request.client_software_name = "gates";
    request.client_software_version = "1";
    const auto answer = gate.client.ask<wire::ApiVersionsResponse>(request, version);
    EXPECT_EQ(answer->error_code, ErrorCode::none);
    EXPECT_FALSE(answer->api_keys.empty());
  });
}

}  // namespace weir::gates
