// api/elect_leaders.cc: ElectLeaders (43): every partition has its one leader, so no election is ever needed.
#include "wire/elect_leaders.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;

struct Verdict {
  ErrorCode error = ErrorCode::none;
  std::string message;
};

Verdict judge(const Call& call, std::string_view topic, model::PartitionIndex partition) {
  const auto entry = call.services.topics.current()->by_name(topic);
  if (entry == nullptr) return {ErrorCode::unknown_topic_or_partition, fmt::format("No such topic as {}", topic)};
  if (partition.value() < 0 || partition.value() >= entry->record.partition_count) {
    return {ErrorCode::unknown_topic_or_partition, fmt::format("No such partition as {}-{}", topic, partition.value())};
  }
  return {ErrorCode::election_not_needed, "Leader election not needed for topic partition."};
}

}  // namespace

runtime::Task<Reply> handle_elect_leaders(Call call) {
  constexpr std::int8_t election_type_max = 1;
  auto request = decode_body<wire::ElectLeadersRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  wire::ElectLeadersResponse response;
  std::deque<std::string> texts;
  Verdict for_all;
  if (!allowed_on_cluster(call, security::Operation::alter)) {
    for_all = {ErrorCode::cluster_authorization_failed, "Authorization failed."};
  } else if (request->election_type < 0 || request->election_type > election_type_max) {
    for_all = {ErrorCode::invalid_request, fmt::format("Unknown election type {}", request->election_type)};
  }
  response.error_code = for_all.error;
  // All partitions are asked for by null: Kafka then lists only those that got another leader, none.
  if (!request->topic_partitions && for_all.error == ErrorCode::none) {
    for (const auto& entry : call.services.topics.current()->in_order_of_name()) {
      wire::ElectLeadersResponse::TopicOutcome out;
      out.topic = texts.emplace_back(entry->record.name);
      response.replica_election_results.push_back(std::move(out));
    }
  }
  if (request->topic_partitions) {
    for (const auto& topic : *request->topic_partitions) {
      wire::ElectLeadersResponse::TopicOutcome out;
      out.topic = topic.topic;
      for (const model::PartitionIndex partition : topic.partitions) {
        Verdict verdict = for_all.error == ErrorCode::none ? judge(call, topic.topic, partition) : for_all;
        wire::ElectLeadersResponse::PartitionOutcome one;
        one.partition_id = partition;
        one.error_code = verdict.error;
        one.error_message = texts.emplace_back(std::move(verdict.message));
        out.partition_result.push_back(std::move(one));
      }
      response.replica_election_results.push_back(std::move(out));
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
