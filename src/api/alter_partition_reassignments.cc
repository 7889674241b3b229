// api/alter_partition_reassignments.cc: AlterPartitionReassignments (45): the replica list that is asked for is kept and shown; no
// data move, since the object store and the WAL volume hold them.
#include "wire/alter_partition_reassignments.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/view.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using TopicIn = wire::AlterPartitionReassignmentsRequest::Topic;
using PartitionIn = wire::AlterPartitionReassignmentsRequest::Partition;

struct Verdict {
  ErrorCode error = ErrorCode::none;
  std::string message;  ///< empty: null
};

Verdict judge(const PartitionIn& wanted, const meta::TopicRecord* record, std::string_view topic, bool factor_may_change,
              model::NodeId self) {
  if (record == nullptr) {
    return {ErrorCode::unknown_topic_or_partition, fmt::format("Unable to find a topic named {}.", topic)};
  }
  const std::int32_t index = wanted.partition_index.value();
  if (index < 0 || index >= record->partition_count) {
    return {ErrorCode::unknown_topic_or_partition, fmt::format("Unable to find partition {}:{}.", topic, index)};
  }
  if (!wanted.replicas) return {ErrorCode::no_reassignment_in_progress, ""};
  if (wanted.replicas->empty()) {
    return {ErrorCode::invalid_replica_assignment, "The manual partition assignment includes an empty replica list."};
  }
  std::set<model::NodeId> seen;
  for (const model::NodeId node : *wanted.replicas) {
    if (node.value() < 0) {
      return {
          ErrorCode::invalid_replica_assignment,
          fmt::format("The manual partition assignment includes broker {}, but no such broker is registered.", node.value())};
    }
    if (!seen.insert(node).second) {
      return {ErrorCode::invalid_replica_assignment,
              fmt::format("The manual partition assignment includes the broker {} more than once.", node.value())};
    }
  }
  if (const std::size_t now = replicas_of(*record, index, self).size(); !factor_may_change && now != seen.size()) {
    return {ErrorCode::invalid_replication_factor,
            fmt::format("The replication factor is changed from {} to {}", now, seen.size())};
  }
  return {};
}

void place(meta::TopicRecord& record, const std::map<std::int32_t, std::vector<model::NodeId>>& places, model::NodeId self) {
  std::vector<std::vector<std::int32_t>> all;
  for (std::int32_t p = 0; p < record.partition_count; ++p) {
    const auto placed = places.find(p);
    auto& ids = all.emplace_back();
    for (const model::NodeId node : placed != places.end() ? placed->second : replicas_of(record, p, self))
      ids.push_back(node.value());
  }
  record.assignments = std::move(all);
}

// One verdict per partition of the request.
Task<std::vector<Verdict>> reassign(Call& call, const TopicIn& topic, bool factor_may_change) {
  const model::NodeId self(call.services.config.node_id);
  const auto entry = call.services.topics.current()->by_name(topic.name);
  std::vector<Verdict> verdicts;
  std::map<std::int32_t, std::vector<model::NodeId>> places;
  for (const PartitionIn& wanted : topic.partitions) {
    verdicts.push_back(judge(wanted, entry == nullptr ? nullptr : &entry->record, topic.name, factor_may_change, self));
    if (verdicts.back().error == ErrorCode::none) places[wanted.partition_index.value()] = *wanted.replicas;
  }
  if (places.empty()) co_return verdicts;
  const auto edit = [&](meta::TopicRecord& record) -> base::Result<void> {
    place(record, places, self);
    return {};
  };
  auto done = co_await call.topic_admin.change(entry->record.id, edit);
  if (done) co_return verdicts;
  for (Verdict& verdict : verdicts) {
    if (verdict.error == ErrorCode::none) verdict = {admin_error(done.kind()), done.error().text};
  }
  co_return verdicts;
}

}  // namespace

Task<Reply> handle_alter_partition_reassignments(Call call) {
  auto request = decode_body<wire::AlterPartitionReassignmentsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::AlterPartitionReassignmentsResponse response;
  response.error_message = std::nullopt;
  if (request->topics.empty()) response.error_message = "";
  response.allow_replication_factor_change = request->allow_replication_factor_change;
  std::deque<std::string> texts;
  const bool may = allowed_on_cluster(call, security::Operation::alter);
  if (!may) {
    response.error_code = ErrorCode::cluster_authorization_failed;
    response.error_message = "Authorization failed.";
  }
  for (const TopicIn& topic : request->topics) {
    std::vector<Verdict> verdicts(topic.partitions.size(),
                                  Verdict{ErrorCode::cluster_authorization_failed, "Authorization failed."});
    if (may) verdicts = co_await reassign(call, topic, request->allow_replication_factor_change);
    wire::AlterPartitionReassignmentsResponse::Topic out;
    out.name = topic.name;
    for (std::size_t i = 0; i < verdicts.size(); ++i) {
      wire::AlterPartitionReassignmentsResponse::Partition one;
      one.partition_index = topic.partitions[i].partition_index;
      one.error_code = verdicts[i].error;
      one.error_message = std::nullopt;
      if (!verdicts[i].message.empty()) one.error_message = texts.emplace_back(std::move(verdicts[i].message));
      out.partitions.push_back(std::move(one));
    }
    response.responses.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
