// api/create_partitions.cc: CreatePartitions (37): more partitions for topics that exist, placed by hand or not.
#include "wire/create_partitions.h"

#include <deque>
#include <map>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/view.h"
#include "model/topic_name.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using TopicIn = wire::CreatePartitionsRequest::Topic;

struct Fault {
  ErrorCode error = ErrorCode::none;
  std::string message;  ///< empty: null
};

Fault check_count(const TopicIn& topic, std::int32_t present) {
  if (topic.count == present) {
    return {.error = ErrorCode::invalid_partitions, .message = fmt::format("Topic already has {} partition(s).", present)};
  }
  if (topic.count < present) {
    return {.error = ErrorCode::invalid_partitions,
            .message = fmt::format("The topic {} currently has {} partition(s); {} would not be an increase.", topic.name,
                                   present, topic.count)};
  }
  if (topic.count > topic_partitions_max) {
    return {.error = ErrorCode::invalid_partitions,
            .message = fmt::format("A topic has at most {} partitions.", topic_partitions_max)};
  }
  return {};
}

// One replica list per new partition, each with the topic's number of different replicas.
Fault check_assignments(const TopicIn& topic, const meta::TopicRecord& record) {
  if (!topic.assignments) return {};
  const auto added = static_cast<std::size_t>(topic.count - record.partition_count);
  if (topic.assignments->size() != added) {
    return {.error = ErrorCode::invalid_replica_assignment,
            .message = fmt::format("Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                                   added, topic.assignments->size())};
  }
  for (const auto& assignment : *topic.assignments) {
    const std::set<model::NodeId> nodes(assignment.broker_ids.begin(), assignment.broker_ids.end());
    if (nodes.empty()) {
      return {.error = ErrorCode::invalid_replica_assignment,
              .message = "The manual partition assignment includes an empty replica list."};
    }
    if (nodes.size() != assignment.broker_ids.size()) {
      return {.error = ErrorCode::invalid_replica_assignment,
              .message = "The manual partition assignment includes a broker twice."};
    }
    if (nodes.size() != static_cast<std::size_t>(record.replication_factor)) {
      return {.error = ErrorCode::invalid_replica_assignment,
              .message = fmt::format("The manual partition assignment includes a partition with {} replica(s), but this is not "
                                     "consistent with previous partitions, which have {} replica(s).",
                                     nodes.size(), record.replication_factor)};
    }
  }
  return {};
}

void grow(const TopicIn& topic, meta::TopicRecord& record, model::NodeId self) {
  const auto before = static_cast<std::size_t>(record.partition_count);
  if (topic.assignments || !record.assignments.empty()) {
    std::vector<std::vector<std::int32_t>> all;
    for (std::int32_t p = 0; p < topic.count; ++p) {
      const bool placed = topic.assignments && static_cast<std::size_t>(p) >= before;
      const std::vector<model::NodeId> nodes =
          placed ? (*topic.assignments)[static_cast<std::size_t>(p) - before].broker_ids : replicas_of(record, p, self);
      auto& ids = all.emplace_back();
      for (const model::NodeId node : nodes) ids.push_back(node.value());
    }
    record.assignments = std::move(all);
  }
  record.partition_count = topic.count;
}

runtime::Task<Fault> add_partitions(Call& call, const TopicIn& topic, bool validate_only) {
  if (!allowed_on_topic(call, security::Operation::alter, topic.name)) {
    co_return Fault{.error = ErrorCode::topic_authorization_failed, .message = "Authorization failed."};
  }
  const auto entry = call.services.topics.current()->by_name(topic.name);
  if (entry == nullptr) { co_return Fault{.error = ErrorCode::unknown_topic_or_partition, .message = ""}; }
  Fault fault;
  const model::NodeId self(call.services.config.node_id);
  const auto edit = [&](meta::TopicRecord& record) -> base::Result<void> {
    fault = check_count(topic, record.partition_count);
    if (fault.error == ErrorCode::none) fault = check_assignments(topic, record);
    if (fault.error != ErrorCode::none) return base::fail(base::ErrorKind::invalid, fault.message);
    grow(topic, record, self);
    return {};
  };
  meta::TopicRecord trial = entry->record;
  if (!edit(trial) || validate_only) co_return fault;
  auto done = co_await call.topic_admin.change(entry->record.id, edit);
  if (!done && fault.error == ErrorCode::none) { fault = {.error = admin_error(done.kind()), .message = done.error().text}; }
  co_return fault;
}

}  // namespace

runtime::Task<Reply> handle_create_partitions(Call call) {
  auto request = decode_body<wire::CreatePartitionsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::CreatePartitionsResponse response;
  std::deque<std::string> texts;
  std::map<std::string_view, std::size_t> occurrences;
  for (const TopicIn& topic : request->topics) ++occurrences[topic.name];
  for (const TopicIn& topic : request->topics) {
    const std::size_t count = std::exchange(occurrences[topic.name], 0);
    if (count == 0) continue;  // answered with its first occurrence
    Fault fault{.error = ErrorCode::invalid_request, .message = "Duplicate topic name."};
    if (count == 1) fault = co_await add_partitions(call, topic, request->validate_only);
    wire::CreatePartitionsResponse::Outcome out;
    out.name = topic.name;
    out.error_code = fault.error;
    if (!fault.message.empty()) out.error_message = texts.emplace_back(std::move(fault.message));
    response.results.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
