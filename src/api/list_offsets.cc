// api/list_offsets.cc: ListOffsets (2): the ends of a log, and the first offset at or after a time.
#include "wire/list_offsets.h"

#include <algorithm>
#include <map>
#include <set>

#include "api/access.h"
#include "api/errors.h"
#include "api/handler.h"
#include "runtime/when_all.h"

namespace weir::api {
namespace {

using model::ErrorCode;
using runtime::Task;
using Request = wire::ListOffsetsRequest;
using Response = wire::ListOffsetsResponse;

// Kafka's special timestamps and the versions that know them.
constexpr std::int64_t latest = -1;
constexpr std::int64_t earliest = -2;
constexpr std::int64_t max_timestamp = -3;
constexpr std::int64_t earliest_local = -4;
constexpr std::int64_t latest_tiered = -5;
constexpr std::int64_t earliest_pending_upload = -6;

bool version_knows(std::int16_t version, std::int64_t timestamp) {
  if (timestamp >= earliest) return true;
  if (timestamp == max_timestamp) return version >= 7;
  if (timestamp == earliest_local) return version >= 8;
  if (timestamp == latest_tiered) return version >= 9;
  return timestamp == earliest_pending_upload && version >= 11;
}

log::OffsetQuery to_query(std::int64_t timestamp) {
  if (timestamp == latest) return log::OffsetQuery::latest;
  if (timestamp == earliest) return log::OffsetQuery::earliest;
  if (timestamp == max_timestamp) return log::OffsetQuery::max_timestamp;
  if (timestamp == earliest_local) return log::OffsetQuery::earliest_local;
  return log::OffsetQuery::by_time;
}

Response::Partition failed(model::PartitionIndex index, ErrorCode error) {
  Response::Partition out;
  out.partition_index = index;
  out.error_code = error;
  return out;
}

Task<Response::Partition> refused(model::PartitionIndex index, ErrorCode error) { co_return failed(index, error); }

Task<Response::Partition> answer(Call& call, const Request& request, const meta::TopicEntryPtr entry,
                                 const Request::Partition& partition, bool repeated, base::MonoTime deadline) {
  const model::PartitionIndex index = partition.partition_index;
  if (entry == nullptr || index.value() < 0 || index.value() >= entry->record.partition_count) {
    co_return failed(index, ErrorCode::unknown_topic_or_partition);
  }
  if (repeated) co_return failed(index, ErrorCode::invalid_request);
  if (!version_knows(call.ctx.api_version, partition.timestamp)) co_return failed(index, ErrorCode::unsupported_version);
  const model::TopicPartition tp{.topic = entry->record.id, .partition = index};
  if (partition.current_leader_epoch.value() >= 0) {
    auto state = co_await call.services.log.state(tp);
    if (!state) co_return failed(index, ErrorCode::unknown_topic_or_partition);
    if (partition.current_leader_epoch < state->epoch) co_return failed(index, ErrorCode::fenced_leader_epoch);
    if (partition.current_leader_epoch > state->epoch) co_return failed(index, ErrorCode::unknown_leader_epoch);
  }
  // Nothing is tiered here, as on a Kafka broker without remote storage: there is no such offset.
  if (partition.timestamp == latest_tiered || partition.timestamp == earliest_pending_upload)
    co_return failed(index, ErrorCode::none);
  const auto isolation = request.isolation_level == 1 ? log::Isolation::read_committed : log::Isolation::read_uncommitted;
  const log::OffsetAndTimestamp found =
      co_await call.services.log.query_offset(tp, to_query(partition.timestamp), partition.timestamp, isolation, deadline);
  Response::Partition out;
  out.partition_index = index;
  out.error_code = fetch_error(found.error);
  if (out.error_code == ErrorCode::none) {
    out.offset = found.offset;
    out.timestamp = found.timestamp;
    out.leader_epoch = found.epoch;
  }
  co_return out;
}

}  // namespace

runtime::Task<Reply> handle_list_offsets(Call call) {
  auto request = decode_body<Request>(call);
  if (!request) co_return close_reply(request.error().text);
  const std::int64_t timeout_max_ms = call.services.config.settings.integer("request.timeout.ms");
  const std::int64_t timeout_ms = call.ctx.api_version >= 10 && request->timeout_ms > 0
                                      ? std::min<std::int64_t>(request->timeout_ms, timeout_max_ms)
                                      : timeout_max_ms;
  const base::MonoTime deadline = runtime::Reactor::current().now() + std::chrono::milliseconds(timeout_ms);
  std::map<std::pair<std::string_view, std::int32_t>, int> occurrences;
  for (const auto& topic : request->topics) {
    for (const auto& partition : topic.partitions) ++occurrences[{topic.name, partition.partition_index.value()}];
  }
  const meta::TopicViewPtr view = call.services.topics.current();
  std::vector<Task<Response::Partition>> tasks;
  for (const auto& topic : request->topics) {
    const bool may_describe = allowed_on_topic(call, security::Operation::describe, topic.name);
    const meta::TopicEntryPtr entry = may_describe ? view->by_name(topic.name) : nullptr;
    for (const auto& partition : topic.partitions) {
      if (!may_describe) {
        tasks.push_back(refused(partition.partition_index, ErrorCode::topic_authorization_failed));
        continue;
      }
      const bool repeated = occurrences[{topic.name, partition.partition_index.value()}] > 1;
      tasks.push_back(answer(call, *request, entry, partition, repeated, deadline));
    }
  }
  std::vector<Response::Partition> answers = co_await runtime::when_all(std::move(tasks));
  Response response;
  std::size_t at = 0;
  std::set<std::pair<std::string_view, std::int32_t>> answered;  // a repeated partition is refused once
  for (const auto& topic : request->topics) {
    Response::Topic out;
    out.name = topic.name;
    for (const auto& partition : topic.partitions) {
      Response::Partition& one = answers[at++];
      if (answered.emplace(topic.name, partition.partition_index.value()).second) out.partitions.push_back(std::move(one));
    }
    response.topics.push_back(std::move(out));
  }
  co_return make_reply(call, response);
}

}  // namespace weir::api
