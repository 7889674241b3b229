// cli/topic.cc: weir topic create, list, describe, delete, over weir's own client.
#include <cstdio>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "cli/admin.h"
#include "cli/commands.h"
#include "wire/create_topics.h"
#include "wire/delete_topics.h"
#include "wire/metadata.h"

namespace weir::cli {
namespace {

using runtime::Task;

Task<int> create(client::Client& client, const Common& common, const TopicCreate& options) {
  wire::CreateTopicsRequest request;
  std::vector<wire::CreateTopicsRequest::Config> configs;
  for (const std::string& item : options.configs) {
    const std::size_t equals = item.find('=');
    if (equals == std::string::npos) {
      tell_error(fmt::format("--config {}: write NAME=VALUE", item));
      co_return exit_usage;
    }
    wire::CreateTopicsRequest::Config config;
    config.name = std::string_view(item).substr(0, equals);
    config.value = std::string_view(item).substr(equals + 1);
    configs.push_back(config);
  }
  for (const std::string& name : options.names) {
    wire::CreateTopicsRequest::Topic topic;
    topic.name = name;
    topic.num_partitions = options.partition_count;
    topic.replication_factor = options.replication_factor;
    topic.configs = configs;
    request.topics.push_back(std::move(topic));
  }
  request.validate_only = options.validate_only;
  auto answer = co_await client.call<wire::CreateTopicsResponse>(request);
  if (!answer) {
    tell_error(answer.error().text);
    co_return exit_failed;
  }
  int code = exit_done;
  std::string json;
  for (const auto& topic : answer->message.topics) {
    const bool present = topic.error_code == model::ErrorCode::topic_already_exists && options.if_not_exists;
    const bool good = topic.error_code == model::ErrorCode::none || present;
    if (!good) {
      code = exit_failed;
      tell_error(fmt::format("{}: {}", topic.name, error_text(topic.error_code, topic.error_message)));
    }
    if (common.json) {
      json += fmt::format(R"({}{{"name":{},"created":{},"id":{},"partitions":{},"error":{}}})", json.empty() ? "" : ",",
                          json_string(topic.name), topic.error_code == model::ErrorCode::none ? "true" : "false",
                          json_string(topic.topic_id.to_string()), topic.num_partitions,
                          good ? "null" : json_string(model::to_string(topic.error_code)));
    } else if (good) {
      std::puts(fmt::format("{} {}", topic.name,
                            present                 ? "exists"
                            : options.validate_only ? "can be created"
                                                    : "created")
                    .c_str());
    }
  }
  if (common.json) std::puts(fmt::format(R"({{"topics":[{}]}})", json).c_str());
  co_return code;
}

Task<int> describe(client::Client& client, const Common& common, const std::vector<std::string>& names, bool partitions) {
  wire::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (names.empty()) request.topics.reset();
  for (const std::string& name : names) {
    wire::MetadataRequest::Topic topic;
    topic.name = name;
    request.topics->push_back(topic);
  }
  auto answer = co_await client.call<wire::MetadataResponse>(request);
  if (!answer) {
    tell_error(answer.error().text);
    co_return exit_failed;
  }
  int code = exit_done;
  std::string json;
  if (!common.json && partitions) std::puts("TOPIC PARTITION LEADER EPOCH REPLICAS");
  for (const auto& topic : answer->message.topics) {
    if (topic.error_code != model::ErrorCode::none) {
      code = exit_failed;
      tell_error(fmt::format("{}: {}", topic.name.value_or(""), model::to_string(topic.error_code)));
      continue;
    }
    std::string rows;
    for (const auto& partition : topic.partitions) {
      std::string replicas;
      for (const model::NodeId node : partition.replica_nodes)
        replicas += fmt::format("{}{}", replicas.empty() ? "" : ",", node.value());
      if (common.json) {
        rows += fmt::format(R"({}{{"partition":{},"leader":{},"epoch":{},"replicas":[{}]}})", rows.empty() ? "" : ",",
                            partition.partition_index.value(), partition.leader_id.value(), partition.leader_epoch.value(),
                            replicas);
      } else if (partitions) {
        std::puts(fmt::format("{} {} {} {} {}", *topic.name, partition.partition_index.value(), partition.leader_id.value(),
                              partition.leader_epoch.value(), replicas)
                      .c_str());
      }
    }
    if (common.json) {
      json += fmt::format(R"({}{{"name":{},"id":{},"internal":{},"partitions":[{}]}})", json.empty() ? "" : ",",
                          json_string(*topic.name), json_string(topic.topic_id.to_string()),
                          topic.is_internal ? "true" : "false", rows);
    } else if (!partitions) {
      std::puts(std::string(*topic.name).c_str());
    }
  }
  if (common.json) std::puts(fmt::format(R"({{"topics":[{}]}})", json).c_str());
  co_return code;
}

Task<int> remove(client::Client& client, const Common& common, const std::vector<std::string>& names) {
  wire::DeleteTopicsRequest request;
  for (const std::string& name : names) {
    wire::DeleteTopicsRequest::Topic topic;
    topic.name = name;
    request.topics.push_back(topic);
    request.topic_names.push_back(name);
  }
  auto answer = co_await client.call<wire::DeleteTopicsResponse>(request);
  if (!answer) {
    tell_error(answer.error().text);
    co_return exit_failed;
  }
  int code = exit_done;
  std::string json;
  for (const auto& topic : answer->message.responses) {
    const std::string name(topic.name.value_or(""));
    const bool good = topic.error_code == model::ErrorCode::none;
    if (!good) {
      code = exit_failed;
      tell_error(fmt::format("{}: {}", name, error_text(topic.error_code, topic.error_message)));
    }
    if (common.json) {
      json += fmt::format(R"({}{{"name":{},"deleted":{},"error":{}}})", json.empty() ? "" : ",", json_string(name),
                          good ? "true" : "false", good ? "null" : json_string(model::to_string(topic.error_code)));
    } else if (good) {
      std::puts(fmt::format("{} deleted", name).c_str());
    }
  }
  if (common.json) std::puts(fmt::format(R"({{"topics":[{}]}})", json).c_str());
  co_return code;
}

}  // namespace

int topic_create(const Common& common, const TopicCreate& options) {
  return with_admin(common, [&](Admin& admin) { return create(admin.any(), common, options); });
}
int topic_list(const Common& common) {
  return with_admin(common, [&](Admin& admin) { return describe(admin.any(), common, {}, false); });
}
int topic_describe(const Common& common, const std::vector<std::string>& names) {
  return with_admin(common, [&](Admin& admin) { return describe(admin.any(), common, names, true); });
}
int topic_delete(const Common& common, const std::vector<std::string>& names) {
  if (!confirmed(common, fmt::format("delete {} with all records", fmt::join(names, ", ")))) return exit_usage;
  return with_admin(common, [&](Admin& admin) { return remove(admin.any(), common, names); });
}

}  // namespace weir::cli
