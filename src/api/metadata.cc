// api/metadata.cc: Metadata (3): brokers, topics, leaders. A topic that may be created on demand is, before the answer that it is
// unknown.
#include "wire/metadata.h"

#include <deque>
#include <numeric>
#include <set>

#include "api/access.h"
#include "api/endpoint.h"
#include "api/errors.h"
#include "api/handler.h"
#include "api/view.h"
#include "model/topic_name.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;

using TopicOut = wire::MetadataResponse::Topic;

// `names` keeps what the answer borrows.
Task<TopicOut> describe(Call& call, const meta::TopicRecord& topic, bool with_operations, std::deque<std::string>& names) {
  const model::NodeId self(call.services.config.node_id);
  TopicOut out;
  out.name = names.emplace_back(topic.name);
  out.topic_id = topic.id;
  out.is_internal = topic.internal;
  if (with_operations) out.topic_authorized_operations = authorized_operations(call, security::ResourceType::topic, topic.name);
  std::vector<model::LeaderEpoch> epochs;
  if (call.ctx.api_version >= 7) {
    std::vector<std::int32_t> all(static_cast<std::size_t>(topic.partition_count));
    std::iota(all.begin(), all.end(), 0);
    epochs = co_await epochs_of(call, topic, std::move(all));
  }
  out.partitions.reserve(static_cast<std::size_t>(topic.partition_count));
  for (std::int32_t p = 0; p < topic.partition_count; ++p) {
    wire::MetadataResponse::Partition partition;
    partition.partition_index = model::PartitionIndex(p);
    partition.leader_id = self;
    if (!epochs.empty()) partition.leader_epoch = epochs[static_cast<std::size_t>(p)];
    partition.replica_nodes = replicas_of(topic, p, self);
    partition.isr_nodes = partition.replica_nodes;
    out.partitions.push_back(std::move(partition));
  }
  co_return out;
}

TopicOut failed(std::optional<std::string_view> name, const model::TopicId& id, ErrorCode error) {
  TopicOut out;
  out.name = name;
  out.topic_id = id;
  out.error_code = error;
  return out;
}

Task<TopicOut> by_name(Call& call, const wire::MetadataRequest& request, std::string_view name,
                       std::deque<std::string>& names) {
  const bool with_operations = request.include_topic_authorized_operations;
  if (!allowed_on_topic(call, security::Operation::describe, name)) {
    co_return failed(name, {}, ErrorCode::topic_authorization_failed);
  }
  if (const auto entry = call.services.topics.current()->by_name(name)) {
    co_return co_await describe(call, entry->record, with_operations, names);
  }
  const bool creates = request.allow_auto_topic_creation && call.services.config.settings.boolean("auto.create.topics.enable");
  if (creates && !allowed_on_cluster(call, security::Operation::create) &&
      !allowed_on_topic(call, security::Operation::create, name)) {
    co_return failed(name, {}, ErrorCode::topic_authorization_failed);
  }
  if (!model::topic_name_fault(name).empty()) co_return failed(name, {}, ErrorCode::invalid_topic_exception);
  if (!creates) co_return failed(name, {}, ErrorCode::unknown_topic_or_partition);
  const auto created = co_await call.topic_admin.create_automatically(std::string(name));
  // The asker learns of it when it asks again, as from Kafka: to who only looked, the topic was unknown. It costs one more request.
  const bool refused = !created && created.kind() == base::ErrorKind::invalid;
  co_return failed(name, {}, refused ? ErrorCode::invalid_topic_exception : ErrorCode::unknown_topic_or_partition);
}

Task<TopicOut> by_id(Call& call, const wire::MetadataRequest& request, model::TopicId id, std::deque<std::string>& names) {
  const auto entry = call.services.topics.current()->by_id(id);
  if (entry == nullptr) co_return failed(std::nullopt, id, ErrorCode::unknown_topic_id);
  if (!allowed_on_topic(call, security::Operation::describe, entry->record.name)) {
    co_return failed(std::nullopt, id, ErrorCode::topic_authorization_failed);
  }
  co_return co_await describe(call, entry->record, request.include_topic_authorized_operations, names);
}

}  // namespace

runtime::Task<Reply> handle_metadata(Call call) {
  auto request = decode_body<wire::MetadataRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::MetadataResponse response;
  const Endpoint endpoint = endpoint_for(call);
  const model::NodeId self(call.services.config.node_id);
  const std::string cluster = call.services.cluster.to_string();
  const std::string& rack = call.services.config.rack;
  response.brokers.push_back({.node_id = self,
                              .host = endpoint.host,
                              .port = endpoint.port,
                              .rack = rack.empty() ? std::nullopt : std::optional<std::string_view>(rack),
                              .unknown_tags = {}});
  response.cluster_id = cluster;
  response.controller_id = self;
  if (request->include_cluster_authorized_operations) {
    response.cluster_authorized_operations =
        allowed_on_cluster(call, security::Operation::describe)
            ? authorized_operations(call, security::ResourceType::cluster, security::cluster_resource.name)
            : 0;
  }

  const meta::TopicViewPtr view = call.services.topics.current();
  const bool all = !request->topics || (call.ctx.api_version == 0 && request->topics->empty());
  std::deque<std::string> names;
  if (all) {
    for (const meta::TopicEntryPtr& entry : view->in_order_of_name()) {
      if (!allowed_on_topic(call, security::Operation::describe, entry->record.name)) continue;  // hidden, not refused
      response.topics.push_back(co_await describe(call, entry->record, request->include_topic_authorized_operations, names));
    }
  } else {
    std::set<std::string_view> seen;
    for (const wire::MetadataRequest::Topic& topic : *request->topics) {
      if (topic.name && topic.topic_id.is_zero() && !seen.insert(*topic.name).second) continue;
      if (call.ctx.api_version < 12 && (!topic.name || !topic.topic_id.is_zero())) {
        // Ids came with version 12; before it the field is there, but asking by it is an error.
        response.topics.push_back(failed("", topic.topic_id, ErrorCode::invalid_request));
      } else if (topic.name && topic.topic_id.is_zero()) {
        response.topics.push_back(co_await by_name(call, *request, *topic.name, names));
      } else {
        // An id is asked by the id alone: a stale one is not the topic that has the name now.
        response.topics.push_back(co_await by_id(call, *request, topic.topic_id, names));
      }
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
