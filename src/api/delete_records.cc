// api/delete_records.cc: DeleteRecords (21): moves log starts forward; what is below is gone for every reader at once.
#include "wire/delete_records.h"

#include <algorithm>
#include <map>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Response = wire::DeleteRecordsResponse;

/// The last mention of a partition counts, and each is answered once.
using Wanted = std::map<std::string_view, std::map<model::PartitionIndex, model::Offset>>;

// A topic's refusal goes before any of its partitions is looked at.
ErrorCode judge_topic(Call& call, std::string_view name, const meta::TopicEntryPtr& entry) {
  if (!allowed_on_topic(call, security::Operation::remove, name)) return ErrorCode::topic_authorization_failed;
  if (entry == nullptr) return ErrorCode::unknown_topic_or_partition;
  if (entry->record.internal) return ErrorCode::invalid_topic_exception;
  return ErrorCode::none;
}

// The move is repeated safely: whether it was not made or nobody knows, the client asks again.
ErrorCode delete_error(log::Errc errc) {
  if (errc == log::Errc::not_appended || errc == log::Errc::outcome_unknown) return ErrorCode::request_timed_out;
  return fetch_error(errc);
}

Task<Response::Partition> move_start(Call& call, const meta::TopicEntryPtr entry, ErrorCode refused,
                                     model::PartitionIndex index, model::Offset to, base::MonoTime deadline) {
  Response::Partition out;
  out.partition_index = index;
  out.low_watermark = model::Offset(-1);
  out.error_code = refused;
  if (refused != ErrorCode::none) co_return out;
  if (index.value() < 0 || index.value() >= entry->record.partition_count) {
    out.error_code = ErrorCode::unknown_topic_or_partition;
    co_return out;
  }
  if (!entry->config->cleanup_delete) {  // only compaction may decide what goes
    out.error_code = ErrorCode::policy_violation;
    co_return out;
  }
  const log::Log::Deleted deleted =
      co_await call.services.log.delete_records({.topic = entry->record.id, .partition = index}, to, deadline);
  out.error_code = delete_error(deleted.error);
  if (out.error_code == ErrorCode::none) out.low_watermark = deleted.log_start;
  co_return out;
}

}  // namespace

runtime::Task<Reply> handle_delete_records(Call call) {
  auto request = decode_body<wire::DeleteRecordsRequest>(call);
  if (!request) co_return close_reply(request.error().text);
  const std::int64_t timeout_max_ms = call.services.config.settings.integer("request.timeout.ms");
  const base::MonoTime deadline = runtime::Reactor::current().now() +
                                  std::chrono::milliseconds(std::clamp<std::int64_t>(request->timeout_ms, 1, timeout_max_ms));
  Wanted wanted;
  for (const auto& topic : request->topics) {
    for (const auto& partition : topic.partitions) wanted[topic.name][partition.partition_index] = partition.offset;
  }
  const meta::TopicViewPtr view = call.services.topics.current();
  std::vector<Task<Response::Partition>> tasks;
  for (const auto& [name, partitions] : wanted) {
    const meta::TopicEntryPtr entry = view->by_name(name);
    const ErrorCode refused = judge_topic(call, name, entry);
    for (const auto& [index, to] : partitions) tasks.push_back(move_start(call, entry, refused, index, to, deadline));
  }
  std::vector<Response::Partition> answers = co_await runtime::when_all(std::move(tasks));
  Response response;
  std::size_t at = 0;
  bool freed = false;
  for (const auto& [name, partitions] : wanted) {
    Response::Topic out;
    out.name = name;
    for (std::size_t i = 0; i < partitions.size(); ++i) {
      freed = freed || answers[at].error_code == ErrorCode::none;
      out.partitions.push_back(std::move(answers[at++]));
    }
    response.topics.push_back(std::move(out));
  }
  if (freed) call.services.runtime.shard(runtime::ShardId(0)).post(call.services.space_freed);
  co_return make_reply(call, response);
}

}  // namespace weir::api
