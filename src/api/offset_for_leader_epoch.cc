// api/offset_for_leader_epoch.cc: OffsetForLeaderEpoch (23): where an epoch ended, for clients that look for lost records.
#include "wire/offset_for_leader_epoch.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::OffsetForLeaderEpochRequest;
using Response = wire::OffsetForLeaderEpochResponse;

Task<Response::Partition> answer(Call& call, const meta::TopicEntryPtr entry, ErrorCode refused,
                                 const Request::Partition& partition) {
  Response::Partition out;
  out.partition = partition.partition;
  out.error_code = refused;
  if (refused != ErrorCode::none) co_return out;
  if (partition.partition.value() < 0 || partition.partition.value() >= entry->record.partition_count) {
    out.error_code = ErrorCode::unknown_topic_or_partition;
    co_return out;
  }
  const model::TopicPartition tp{.topic = entry->record.id, .partition = partition.partition};
  if (partition.current_leader_epoch.value() >= 0) {
    const auto state = co_await call.services.log.state(tp);
    if (!state) {
      out.error_code = ErrorCode::unknown_topic_or_partition;
    } else if (partition.current_leader_epoch < state->epoch) {
      out.error_code = ErrorCode::fenced_leader_epoch;
    } else if (partition.current_leader_epoch > state->epoch) {
      out.error_code = ErrorCode::unknown_leader_epoch;
    }
    if (out.error_code != ErrorCode::none) co_return out;
  }
  const log::EpochEnd end = co_await call.services.log.epoch_end(tp, partition.leader_epoch);
  out.error_code = fetch_error(end.error);
  if (out.error_code != ErrorCode::none) co_return out;
  out.leader_epoch = end.epoch;
  out.end_offset = end.end_offset;
  co_return out;
}

}  // namespace

runtime::Task<Reply> handle_offset_for_leader_epoch(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  const meta::TopicViewPtr view = call.services.topics.current();
  std::vector<Task<Response::Partition>> tasks;
  for (const auto& topic : request->topics) {
    const meta::TopicEntryPtr entry = view->by_name(topic.topic);
    ErrorCode refused = ErrorCode::none;
    if (!allowed_on_topic(call, security::Operation::describe, topic.topic)) {
      refused = ErrorCode::topic_authorization_failed;
    } else if (entry == nullptr) {
      refused = ErrorCode::unknown_topic_or_partition;
    }
    for (const auto& partition : topic.partitions) tasks.push_back(answer(call, entry, refused, partition));
  }
  std::vector<Response::Partition> answers = co_await runtime::when_all(std::move(tasks));
  Response response;
  std::size_t at = 0;
  for (const auto& topic : request->topics) {
    Response::Topic out;
    out.topic = topic.topic;
    for (std::size_t i = 0; i < topic.partitions.size(); ++i) out.partitions.push_back(std::move(answers[at++]));
    response.topics.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
