// api/offset_delete.cc: OffsetDelete (47): a group's offsets of topics that it is not subscribed to.
#include "wire/offset_delete.h"

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using Request = wire::OffsetDeleteRequest;
using Response = wire::OffsetDeleteResponse;

ErrorCode judge(const Call& call, std::string_view topic, model::PartitionIndex index) {
  if (!allowed_on_topic(call, security::Operation::read, topic)) return ErrorCode::topic_authorization_failed;
  const auto entry = call.services.topics.current()->by_name(topic);
  if (entry == nullptr || index.value() < 0 || index.value() >= entry->record.partition_count) {
    return ErrorCode::unknown_topic_or_partition;
  }
  return ErrorCode::none;
}

}  // namespace

runtime::Task<Reply> handle_offset_delete(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  Response response;
  if (!allowed(call, security::Operation::remove, security::ResourceType::group, request->group_id)) {
    response.error_code = ErrorCode::group_authorization_failed;
    co_return make_reply(call, response);
  }
  std::vector<groups::TopicIndex> offsets;
  for (const auto& topic : request->topics) {
    Response::Topic out;
    out.name = topic.name;
    for (const auto& partition : topic.partitions) {
      Response::Partition one;
      one.partition_index = partition.partition_index;
      one.error_code = judge(call, topic.name, partition.partition_index);
      if (one.error_code == ErrorCode::none)
        offsets.push_back({.topic = std::string(topic.name), .partition = partition.partition_index});
      out.partitions.push_back(one);
    }
    response.topics.push_back(std::move(out));
  }
  const groups::ListAnswer answer =
      co_await call.services.groups.remove_offsets(std::string(request->group_id), std::move(offsets));
  if (answer.error != groups::Errc::none) {
    response.error_code = group_error(answer.error);
    response.topics.clear();
    co_return make_reply(call, response);
  }
  std::size_t at = 0;
  for (Response::Topic& topic : response.topics) {
    for (Response::Partition& partition : topic.partitions) {
      if (partition.error_code == ErrorCode::none) partition.error_code = group_error(answer.each[at++]);
    }
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
