// api/offset_commit.cc: OffsetCommit (8): answered when the offsets are durable.
#include "wire/offset_commit.h"

#include <deque>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using Request = wire::OffsetCommitRequest;
using Response = wire::OffsetCommitResponse;

constexpr std::int16_t topic_id_version = 10;
constexpr std::int16_t not_found_version = 9;

// What is wrong with a topic as a whole; none: its partitions are looked at one by one.
ErrorCode judge_topic(const Call& call, const Request::Topic& topic, const meta::TopicEntryPtr& entry) {
  const bool by_id = call.ctx.api_version >= topic_id_version;
  if (by_id && entry == nullptr) return ErrorCode::unknown_topic_id;
  const std::string_view name = entry != nullptr ? std::string_view(entry->record.name) : topic.name;
  if (!allowed_on_topic(call, security::Operation::read, name)) return ErrorCode::topic_authorization_failed;
  return entry == nullptr ? ErrorCode::unknown_topic_or_partition : ErrorCode::none;
}

groups::Commit make_event(const Call& call, const Request& request, Response& response) {
  groups::Commit event;
  event.member_id = std::string(request.member_id);
  if (request.group_instance_id) event.instance_id = std::string(*request.group_instance_id);
  event.generation = request.generation_id_or_member_epoch;
  event.retention_ms = request.retention_time_ms;
  const meta::TopicViewPtr view = call.services.topics.current();
  for (const Request::Topic& topic : request.topics) {
    const bool by_id = call.ctx.api_version >= topic_id_version;
    const meta::TopicEntryPtr entry = by_id ? view->by_id(topic.topic_id) : view->by_name(topic.name);
    const ErrorCode topic_error = judge_topic(call, topic, entry);
    Response::Topic out;
    out.topic_id = topic.topic_id;
    out.name = topic.name;
    for (const Request::Partition& partition : topic.partitions) {
      Response::Partition answer;
      answer.partition_index = partition.partition_index;
      answer.error_code = topic_error;
      const std::int32_t index = partition.partition_index.value();
      if (topic_error == ErrorCode::none && (index < 0 || index >= entry->record.partition_count)) {
        answer.error_code = ErrorCode::unknown_topic_or_partition;
      }
      if (answer.error_code == ErrorCode::none) {
        event.items.push_back({.at = {.topic = entry->record.name, .partition = partition.partition_index},
                               .offset = partition.committed_offset,
                               .leader_epoch = partition.committed_leader_epoch,
                               .metadata = std::string(partition.committed_metadata.value_or(""))});
      }
      out.partitions.push_back(std::move(answer));
    }
    response.topics.push_back(std::move(out));
  }
  return event;
}

}  // namespace

runtime::Task<Reply> handle_offset_commit(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  Response response;
  if (!allowed(call, security::Operation::read, security::ResourceType::group, request->group_id)) {
    for (const Request::Topic& topic : request->topics) {
      Response::Topic out;
      out.topic_id = topic.topic_id;
      out.name = topic.name;
      for (const Request::Partition& partition : topic.partitions) {
        Response::Partition refused;
        refused.partition_index = partition.partition_index;
        refused.error_code = ErrorCode::group_authorization_failed;
        out.partitions.push_back(std::move(refused));
      }
      response.topics.push_back(std::move(out));
    }
    co_return make_reply(call, response);
  }
  groups::Commit event = make_event(call, *request, response);
  if (event.items.empty()) co_return make_reply(call, response);
  const groups::ListAnswer answer = co_await call.services.groups.commit(std::string(request->group_id), std::move(event),
                                                                         call.ctx.api_version >= not_found_version);
  std::size_t at = 0;
  for (Response::Topic& topic : response.topics) {
    for (Response::Partition& partition : topic.partitions) {
      if (partition.error_code != ErrorCode::none) continue;  // refused before
      partition.error_code = commit_error(answer.error != groups::Errc::none ? answer.error : answer.each[at]);
      ++at;
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
