// api/describe_topic_partitions.cc: DescribeTopicPartitions (75): partitions of topics in order of name, page by page.
#include "wire/describe_topic_partitions.h"

#include <algorithm>
#include <deque>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/view.h"
#include "model/topic_name.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::DescribeTopicPartitionsRequest;
using Response = wire::DescribeTopicPartitionsResponse;

Response::Topic failed(std::string_view name, ErrorCode error) {
  Response::Topic out;
  out.name = name;
  out.error_code = error;
  return out;
}

// Every topic of the request is answered with the error.
Response refuse_all(const Request& request) {
  Response response;
  for (const auto& topic : request.topics) response.topics.push_back(failed(topic.name, ErrorCode::invalid_request));
  return response;
}

Task<Response::Topic> page_of(Call& call, const meta::TopicRecord& record, std::int32_t from, std::int32_t to) {
  const model::NodeId self(call.services.config.node_id);
  std::vector<std::int32_t> all(static_cast<std::size_t>(to - from));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = from + static_cast<std::int32_t>(i);
  const std::vector<model::LeaderEpoch> epochs = co_await epochs_of(call, record, all);
  Response::Topic out;
  out.topic_id = record.id;
  out.is_internal = record.internal;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Response::Partition partition;
    partition.partition_index = model::PartitionIndex(all[i]);
    partition.leader_id = self;
    partition.leader_epoch = epochs[i];
    partition.replica_nodes = replicas_of(record, all[i], self);
    partition.isr_nodes = partition.replica_nodes;
    partition.eligible_leader_replicas.emplace();
    partition.last_known_elr.emplace();
    out.partitions.push_back(std::move(partition));
  }
  co_return out;
}

}  // namespace

Task<Reply> handle_describe_topic_partitions(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  const meta::TopicViewPtr view = call.services.topics.current();
  const bool all = request->topics.empty();
  std::set<std::string_view> names;  // in order, from the cursor on
  const std::string_view first = request->cursor ? request->cursor->topic_name : std::string_view();
  const auto wanted = [&](std::string_view name) { return name >= first; };
  if (all) {
    for (const auto& entry : view->in_order_of_name()) {
      if (wanted(entry->record.name) && allowed_on_topic(call, security::Operation::describe, entry->record.name))
        names.insert(entry->record.name);
    }
  } else {
    for (const auto& topic : request->topics) {
      if (wanted(topic.name)) names.insert(topic.name);
    }
  }
  if (request->cursor && (request->cursor->partition_index.value() < 0 || (!all && !names.contains(first)))) {
    co_return make_reply(call, refuse_all(*request));
  }
  const auto limit_max = static_cast<std::int32_t>(call.services.config.settings.integer("max.request.partition.size.limit"));
  std::int32_t room = std::clamp(request->response_partition_limit, 1, std::max(1, limit_max));
  Response response;
  for (const std::string_view name : names) {
    if (room == 0) {
      response.next_cursor = Response::NextCursor{};
      response.next_cursor->topic_name = name;
      response.next_cursor->partition_index = model::PartitionIndex(0);
      break;
    }
    if (!allowed_on_topic(call, security::Operation::describe, name)) {
      response.topics.push_back(failed(name, ErrorCode::topic_authorization_failed));
      continue;
    }
    const auto entry = view->by_name(name);
    if (entry == nullptr) {
      const bool bad_name = !model::topic_name_fault(name).empty();
      response.topics.push_back(
          failed(name, bad_name ? ErrorCode::invalid_topic_exception : ErrorCode::unknown_topic_or_partition));
      response.topics.back().topic_authorized_operations = authorized_operations(call, security::ResourceType::topic, name);
      continue;
    }
    const std::int32_t count = entry->record.partition_count;
    const std::int32_t from = request->cursor && name == first ? std::min(request->cursor->partition_index.value(), count) : 0;
    const std::int32_t to = from + std::min(room, count - from);
    Response::Topic out = co_await page_of(call, entry->record, from, to);
    out.name = name;
    out.topic_authorized_operations = authorized_operations(call, security::ResourceType::topic, name);
    response.topics.push_back(std::move(out));
    room -= to - from;
    if (to < count) {
      response.next_cursor = Response::NextCursor{};
      response.next_cursor->topic_name = name;
      response.next_cursor->partition_index = model::PartitionIndex(to);
      break;
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
